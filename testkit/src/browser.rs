//! A real Chromium, driven through chromedriver, with a fresh profile that goes away with it.

use crate::http::Client;
use crate::process::{Watched, on_path};
use base64::Engine;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A browser with one window.
pub struct Browser {
    driver: Client,
    session: String,
    _process: Watched,
}

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not installed.
    #[error(
        "there is no Chromium or no chromedriver on PATH\n\
         hint: `cargo xtask test` installs them when root; else install the packages chromium and chromium-driver"
    )]
    NotInstalled,
    /// It did not start.
    #[error("the browser did not start: {0}")]
    NotStarted(String),
}

/// Starts a browser.
///
/// # Panics
/// When there is none: the test that needs one fails and says how to get it.
#[must_use]
pub fn browser() -> Browser {
    Browser::start().unwrap_or_else(|error| panic!("this test needs a browser: {error}"))
}

/// Where Chromium and chromedriver are.
#[must_use]
pub fn find_binaries() -> Option<(PathBuf, PathBuf)> {
    let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(on_path)?;
    Some((chromium, on_path("chromedriver")?))
}

/// Ends the driver and all that it started, at the end of its input; then removes the profile.
const SCRIPT: &str = r#"
trap 'rm -rf -- "$1"' EXIT
HOME="$1" setsid "$2" --port=0 --allowed-ips=127.0.0.1 2>&1 &
driver=$!
cat >/dev/null
kill -9 "-$driver" 2>/dev/null || true
wait "$driver" 2>/dev/null || true
"#;

/// How often the driver is asked again that answered with nothing.
const AGAIN: u32 = 500;

impl Browser {
    /// Starts chromedriver on a free port, and Chromium by it.
    ///
    /// # Errors
    /// When they are not installed or don't start.
    pub fn start() -> Result<Browser, Error> {
        let (chromium, chromedriver) = find_binaries().ok_or(Error::NotInstalled)?;
        let failed = |what: &str| Error::NotStarted(what.to_owned());
        let profile = tempfile::Builder::new()
            .prefix("bb-browser-")
            .tempdir()
            .map_err(|error| failed(&error.to_string()))?
            .keep();
        let mut process = Watched::start(SCRIPT, [profile.as_path(), chromedriver.as_path()])
            .map_err(|error| failed(&error.to_string()))?;
        let port = std::iter::from_fn(|| process.line())
            .find_map(|line| {
                line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
            })
            .ok_or_else(|| failed("chromedriver named no port"))?;
        let driver = Client::new(&format!("http://127.0.0.1:{port}"));
        let answer = driver.post("/session", &capabilities(&chromium, &profile)).json();
        let session =
            answer["value"]["sessionId"].as_str().ok_or_else(|| failed(&answer["value"].to_string()))?.to_owned();
        Ok(Browser { driver, session, _process: process })
    }

    /// Opens `url` and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// Makes the page's area this wide and high, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Shows pages as someone sees them who prefers this colour scheme, `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.cdp("Emulation.setEmulatedMedia", &features);
    }

    /// Turns the pages' JavaScript on or off, from the next page on.
    pub fn javascript(&self, on: bool) {
        self.cdp("Emulation.setScriptExecutionDisabled", &json!({ "value": !on }));
    }

    /// The window's title.
    #[must_use]
    pub fn title(&self) -> String {
        text(&self.query("title"))
    }

    /// The page's source as the browser has it.
    #[must_use]
    pub fn source(&self) -> String {
        // Asked while one document gives way to the next, the driver answers with nothing; no page of ours is that.
        let asked = || text(&self.query("source"));
        (0..AGAIN).map(|_| asked()).find(|source| !source.is_empty()).unwrap_or_default()
    }

    /// The text that an element shows, chosen by CSS; none where no element is chosen.
    #[must_use]
    pub fn text(&self, css: &str) -> Option<String> {
        let element = self.find(css)?;
        Some(text(&self.query(&format!("element/{element}/text"))))
    }

    /// Clicks on the element that `css` chooses.
    ///
    /// # Panics
    /// When there is none.
    pub fn click(&self, css: &str) {
        let element = self.find(css).unwrap_or_else(|| panic!("no element is chosen by {css}"));
        self.command(&format!("element/{element}/click"), &json!({}));
    }

    /// What `script` returns, run as a function's body in the page.
    #[must_use]
    pub fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the console said since it was last asked, warnings and errors only.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().map(Vec::as_slice).unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| text(&entry["message"]))
            .collect()
    }

    /// Fails when the page is wider than its window, naming what sticks out.
    ///
    /// # Panics
    /// When it is.
    pub fn no_sideways_scroll(&self) {
        let metrics = self.cdp("Page.getLayoutMetrics", &json!({}));
        let (content, window) = (&metrics["cssContentSize"]["width"], &metrics["cssLayoutViewport"]["clientWidth"]);
        if content.as_f64() > window.as_f64() {
            let culprits = self.run(
                "const width = document.documentElement.clientWidth;
                 return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > width + 0.5)
                     .slice(0, 8).map(e => e.tagName.toLowerCase() + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right))",
            );
            panic!("{} scrolls sideways: {content} px in a window of {window}: {culprits}", text(&self.query("url")));
        }
    }

    /// Fails when something of the page that must be read can't be: a name or a mark without a box, cut off by what it
    /// stands in, or beyond the window. What scrolls by itself, and says so, may be beyond.
    ///
    /// # Panics
    /// When there is such a one; all are named.
    pub fn names_and_marks_are_whole(&self) {
        let hidden = self.run(
            "const width = document.documentElement.clientWidth;
             const clips = (element, box) => {
                 for (let around = element.parentElement; around; around = around.parentElement) {
                     if (around.matches('.scroll')) return false;
                     if (getComputedStyle(around).overflowX === 'visible') continue;
                     const frame = around.getBoundingClientRect();
                     if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1) return true;
                 }
                 return box.left < -1 || box.right > width + 1;
             };
             const bad = [];
             for (const element of document.querySelectorAll('main .br, main .marks svg, main .marks small, main .tag')) {
                 if (element.closest('details:not([open])')) continue;
                 const box = element.getBoundingClientRect();
                 if (box.width < 1 || box.height < 1 || element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
                     || clips(element, box)) {
                     bad.push(`${element.textContent.trim() || 'a mark'} of ${element.closest('[id]')?.id}: ${Math.round(box.left)} to ${Math.round(box.right)}`);
                 }
             }
             return bad;",
        );
        let hidden = hidden.as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(hidden.is_empty(), "{} hides: {hidden:?}", text(&self.query("url")));
    }

    /// Words of the page that are cut off, or stand on others: beyond the box that clips them, or beyond their own cell.
    /// Only code may be longer than its box, which then scrolls; and what is cut on purpose says all of it in its title.
    pub fn cut_off(&self) -> Vec<String> {
        let cut = self.run(
            "const width = document.documentElement.clientWidth, bad = new Set();
             const clips = style => style.overflowX !== 'visible' || style.overflowY !== 'visible';
             const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
             for (let node = walk.nextNode(); node; node = walk.nextNode()) {
                 const own = node.parentElement;
                 if (!node.data.trim() || own.closest('.vh, script, svg, option, .diff, details:not([open]) > :not(summary)')) continue;
                 const range = document.createRange();
                 range.selectNodeContents(node);
                 const boxes = [...range.getClientRects()].filter(box => box.width > 0);
                 const cell = own.closest('td, th, li, dd, dt, button, .btn, .tag, p, pre, h1, h2, h3');
                 for (const box of boxes) {
                     const frame = cell?.getBoundingClientRect();
                     let why = box.right > width + 1 || box.left < -1 ? 'the window' : '';
                     if (frame && (box.right > frame.right + 1 || box.left < frame.left - 1)) why = 'its own box';
                     for (let around = own; around && around !== document.body; around = around.parentElement) {
                         if (!clips(getComputedStyle(around)) || around.title) continue;
                         const edge = around.getBoundingClientRect();
                         if (box.right > edge.right + 1 || box.left < edge.left - 1 || box.bottom > edge.bottom + 1)
                             why = `${around.tagName.toLowerCase()}.${around.className}`;
                     }
                     if (why) bad.add(`'${node.data.trim().slice(0, 60)}' in ${own.closest('[id]')?.id}, by ${why}`);
                 }
             }
             const pen = document.createElement('canvas').getContext('2d');
             for (const field of document.querySelectorAll('input[placeholder]')) {
                 const style = getComputedStyle(field), room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
                 pen.font = style.font;
                 if (pen.measureText(field.placeholder).width > room + 1) bad.add(`the hint '${field.placeholder}' of a field`);
             }
             return [...bad];",
        );
        cut.as_array().into_iter().flatten().map(text).collect()
    }

    /// Writes a PNG of the window to `file`.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn screenshot(&self, file: &Path) {
        let png = base64::engine::general_purpose::STANDARD
            .decode(text(&self.query("screenshot")))
            .expect("a screenshot is base64");
        std::fs::write(file, png).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    fn find(&self, css: &str) -> Option<String> {
        let found = self.command("elements", &json!({ "using": "css selector", "value": css }));
        let element = found.as_array()?.first()?.as_object()?.values().next()?.as_str()?;
        Some(element.to_owned())
    }

    fn cdp(&self, command: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn query(&self, what: &str) -> Value {
        value(what, &self.driver.get(&format!("/session/{}/{what}", self.session)).json())
    }

    fn command(&self, what: &str, body: &Value) -> Value {
        value(what, &self.driver.post(&format!("/session/{}/{what}", self.session), body).json())
    }
}

fn value(what: &str, answer: &Value) -> Value {
    let value = &answer["value"];
    assert!(value["error"].is_null(), "the browser can't {what}: {value}");
    value.clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn capabilities(chromium: &Path, profile: &Path) -> Value {
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        &format!("--user-data-dir={}", profile.join("profile").display()),
    ]
    .map(str::to_owned);
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": chromium, "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL" },
    } } })
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn a_page_is_shown_measured_and_pictured() {
        let folder = crate::folder();
        let page = folder.path().join("page.html");
        let html = "<!doctype html><title>Wide</title><meta name=viewport content='width=device-width'>\
                    <p id=p style='width: 600px'>before<script>p.textContent = 'after'; console.error('oh')</script>";
        std::fs::write(&page, html).unwrap();
        let url = format!("file://{}", page.display());
        let browser = browser();

        browser.resize(1280, 800);
        browser.open(&url);
        assert_eq!(browser.title(), "Wide");
        assert_eq!(browser.text("#p").as_deref(), Some("after"));
        assert_eq!(browser.complaints().len(), 1);
        browser.no_sideways_scroll();
        let picture = folder.path().join("page.png");
        browser.screenshot(&picture);
        assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));

        browser.javascript(false);
        browser.resize(390, 844);
        browser.open(&url);
        assert_eq!(browser.text("#p").as_deref(), Some("before"));
        let wide = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| browser.no_sideways_scroll()));
        assert!(wide.is_err(), "600 px don't fit into 390");
    }
}
