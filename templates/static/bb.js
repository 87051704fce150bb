// Renews what is there, and nothing more: a running step's log, and a page of which something changed.
"use strict";
(() => {
  const kept = 20000; // lines of a live log
  const pause = 1000; // between two renewals, in ms
  let streams = [], due = 0, last = 0;

  const listen = (url, handlers) => {
    const stream = new EventSource(url);
    for (const [name, handler] of Object.entries(handlers)) stream.addEventListener(name, handler);
    // The connection's end says nothing about what was missed: the page is read again.
    stream.onerror = () => { stream.close(); renew(3 * pause); };
    streams.push(stream);
  };

  const begin = () => {
    for (const pre of document.querySelectorAll("pre[data-log]")) {
      const follow = () => pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 40;
      pre.scrollTop = pre.scrollHeight;
      listen(pre.dataset.log, {
        log: (event) => {
          const stay = follow();
          pre.insertAdjacentHTML("beforeend", JSON.parse(event.data).html);
          while (pre.childElementCount > kept) pre.firstElementChild.remove();
          if (stay) pre.scrollTop = pre.scrollHeight;
        },
        end: () => renew(pause),
      });
    }
    const { events, kinds, awaits } = document.querySelector("main").dataset;
    const changed = () => renew(pause);
    if (events) listen(events, Object.fromEntries(kinds.split(" ").map((kind) => [kind, changed])));
    // The log of a step that has not begun: whatever comes of it changes the page.
    if (awaits) listen(awaits, { log: changed, end: changed });
  };

  const end = () => { for (const stream of streams) stream.close(); streams = []; };

  const busy = () => document.activeElement?.matches("main input, main select, main textarea")
    || !getSelection().isCollapsed;

  const renew = (wait) => {
    if (due) return;
    due = setTimeout(read, Math.max(wait, last + 2 * pause - Date.now()));
  };

  const read = async () => {
    due = 0;
    last = Date.now();
    if (document.hidden || busy()) return renew(5 * pause);
    let text;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return renew(10 * pause);
      text = await answer.text();
    } catch {
      return renew(10 * pause);
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    const now = page.querySelector("main"), old = document.querySelector("main");
    if (!now || busy()) return renew(5 * pause);
    end();
    // What the reader opened or closed stays so, and so does the focus.
    const focus = document.activeElement?.id;
    for (const details of now.querySelectorAll("details[id]")) {
      const before = document.getElementById(details.id);
      if (before) details.open = before.open || details.querySelector("pre[data-log]") !== null;
    }
    document.title = page.title;
    old.replaceWith(document.adoptNode(now));
    if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
    begin();
  };

  begin();
  addEventListener("pagehide", end);
})();
