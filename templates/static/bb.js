// Renews what is there, and nothing more: a running step's log, and what of a page reads otherwise by now. Whatever the
// reader does meanwhile stays: what is open, typed, chosen, marked or in focus, and where the window stands.
"use strict";
(() => {
  const kept = 3000; // lines of a live log, then the page is read again
  const pause = 1000; // between two renewals, in ms
  const streams = new Map();
  let due = 0, last = 0;

  // The streams that the page names now: new ones are opened, others closed.
  const listen = () => {
    const wanted = new Map();
    const changed = () => renew(pause);
    for (const pre of document.querySelectorAll("pre[data-log]")) {
      wanted.set(pre.dataset.log, { log: (event) => grow(pre, JSON.parse(event.data).html), end: changed });
    }
    const { events, kinds, awaits } = document.querySelector("main").dataset;
    if (events) wanted.set(events, Object.fromEntries(kinds.split(" ").map((kind) => [kind, changed])));
    // The log of a step that has not begun: whatever comes of it changes the page.
    if (awaits) wanted.set(awaits, { log: changed, end: changed });
    for (const [url, stream] of streams) if (!wanted.has(url)) { stream.close(); streams.delete(url); }
    for (const [url, handlers] of wanted) {
      if (streams.has(url)) continue;
      const stream = new EventSource(url);
      for (const [name, handler] of Object.entries(handlers)) stream.addEventListener(name, handler);
      // The connection's end says nothing about what was missed: the page is read again.
      stream.onerror = () => { stream.close(); streams.delete(url); renew(3 * pause); };
      streams.set(url, stream);
    }
  };

  // Lines at a log's end. Who reads its last line goes on to do so.
  const grow = (pre, html) => {
    const bottom = () => pre.getBoundingClientRect().bottom - innerHeight;
    const follow = Math.abs(bottom()) < 80;
    pre.insertAdjacentHTML("beforeend", html);
    if (follow) scrollBy(0, bottom() + 40);
    if (pre.childElementCount > kept) { drop(pre.dataset.log); renew(pause); }
  };

  const drop = (url) => { streams.get(url)?.close(); streams.delete(url); };

  const touched = (field) => {
    if (field.matches("select")) return [...field.options].some((one) => one.selected !== one.defaultSelected);
    return field.matches("input:not([type=hidden]), textarea")
      && (field.value !== field.defaultValue || field.checked !== (field.defaultChecked ?? field.checked));
  };

  // Makes `old` like `now`, and leaves alone what is alike.
  const morph = (old, now) => {
    if (old.isEqualNode(now)) return;
    if (old.nodeType !== 1) { old.nodeValue = now.nodeValue; return; }
    // A log that grows is kept by its own stream, and a field by who fills it in.
    if (now.dataset.log && streams.has(old.dataset.log)) return;
    if (old.matches("input:not([type=hidden]), select, textarea") && (old === document.activeElement || touched(old))) return;
    const begins = !old.querySelector("pre[data-log]") && now.querySelector("pre[data-log]");
    for (const { name } of [...old.attributes]) {
      if (!now.hasAttribute(name) && !(name === "open" && old.matches("details"))) old.removeAttribute(name);
    }
    for (const { name, value } of now.attributes) {
      if (name === "open" && !begins) continue;
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const wanted = new Set([...now.children].map((child) => child.id));
    const named = new Map();
    for (const child of [...old.children].filter((child) => child.id)) {
      if (wanted.has(child.id)) named.set(child.id, child);
      else child.remove();
    }
    let at = old.firstChild;
    for (const next of [...now.childNodes]) {
      const match = next.id ? named.get(next.id) : at && !at.id && at.nodeName === next.nodeName ? at : null;
      if (!match || match.nodeName !== next.nodeName) {
        old.insertBefore(document.adoptNode(next), at);
        continue;
      }
      // The blanks before what stays, so that it need not be moved.
      while (next.id && at && at !== match && at.nodeType !== 1) { const gone = at; at = at.nextSibling; gone.remove(); }
      if (match === at) at = at.nextSibling;
      else if (old.moveBefore) old.moveBefore(match, at);
      else old.insertBefore(match, at);
      morph(match, next);
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  };

  const renew = (wait) => {
    if (!due) due = setTimeout(read, Math.max(wait, last + 2 * pause - Date.now()));
  };

  const read = async () => {
    due = 0;
    last = Date.now();
    if (document.hidden) return renew(5 * pause);
    let text;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return renew(10 * pause);
      text = await answer.text();
    } catch {
      return renew(10 * pause);
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    const now = page.querySelector("main"), old = document.querySelector("main"), focus = document.activeElement;
    if (!now) return renew(5 * pause);
    document.title = page.title;
    morph(old, now);
    // What had the focus may have been moved, or taken away with what it was for.
    if (document.activeElement !== focus) (focus.isConnected ? focus : old).focus({ preventScroll: true });
    listen();
  };

  // An address of a line that is not on the page: the master knows where it is.
  const line = /^#L(\d+-\d+)$/.exec(location.hash);
  if (line && !document.getElementById(location.hash.slice(1)) && !location.search.includes(`at=${line[1]}`)) {
    location.replace(`?at=${line[1]}${location.hash}`);
  }

  listen();
  addEventListener("pagehide", () => { for (const url of [...streams.keys()]) drop(url); });
  addEventListener("pageshow", (event) => { if (event.persisted) { listen(); renew(pause); } });
})();
