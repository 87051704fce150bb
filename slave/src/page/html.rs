//! The page's text: the master's style sheet and glyphs, no script.

use crate::availability::{History, RuleState, Status};
use protocol::UnixMs;
use protocol::wire::{Availability, Word};
use std::fmt::Write as _;

/// The picture of the load, in its own units: a day is its width.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 120.0;
const DAY_MS: f64 = 24.0 * 60.0 * 60.0 * 1000.0;
/// Samples that are further apart than this, in milliseconds, are not joined by a line.
const GAP_MS: i64 = 5 * 60 * 1000;

/// Text as HTML has it. What could turn the order of writing, or be no character at all, is shown as such.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

/// A moment: by this machine's clock in the text, exactly in `datetime`.
fn time(at: UnixMs) -> String {
    let Ok(stamp) = jiff::Timestamp::from_millisecond(at.0) else { return String::new() };
    let here = stamp.to_zoned_datetime(jiff::tz::TimeZone::system());
    let (iso, exact) = (stamp.strftime("%Y-%m-%dT%H:%M:%SZ"), here.strftime("%Y-%m-%d %H:%M:%S %Z"));
    format!("<time datetime=\"{iso}\" title=\"{exact}\">{}</time>", here.strftime("%a %H:%M"))
}

fn glyph(says: Availability) -> String {
    let (class, word) = (look(says), says.as_str());
    format!("<svg class=\"g {class}\" aria-hidden=\"true\"><use href=\"#i-{word}\"/></svg>")
}

fn look(says: Availability) -> &'static str {
    match says {
        Availability::Eager => "passed",
        Availability::Reluctant => "warnings",
        Availability::Unavailable => "waiting",
    }
}

/// Whose a word is, since when, and until when.
fn whose(word: &Word) -> String {
    let because = word.because();
    let mut text = if because.is_empty() { String::new() } else { format!("{}, ", escape(&because)) };
    let _ = write!(text, "since {}", time(word.since));
    if let Some(until) = word.until {
        let _ = write!(text, ", until {}", time(until));
    }
    text
}

/// The whole page.
pub(super) fn page(name: &str, status: &Status, history: &History, csrf: &str, now: UnixMs) -> String {
    let name = escape(name);
    let says = status.word.says;
    let stricter = status.admin.as_ref().filter(|admin| admin.holds(now) && admin.says > says);
    let effective = stricter.map_or(says, |admin| admin.says);
    let headline = match effective {
        Availability::Eager => "It takes builds",
        Availability::Reluctant => "It takes a build only when no eager slave could start it in time",
        Availability::Unavailable => "It takes no builds",
    };
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    );
    let _ = writeln!(
        out,
        "<title>{} · slave {name}</title>\n<link rel=\"stylesheet\" href=\"/bb.css\">\n</head>\n<body>",
        effective.as_str()
    );
    out.push_str(include_str!("../../../templates/sprite.hbs"));
    let _ = writeln!(
        out,
        "<main id=\"main\">\n<div class=\"head\"><div><h1>Slave {name}</h1><p class=\"dim\">On this machine; the stricter of its word and the master's counts</p></div></div>"
    );
    let by = stricter.map_or_else(|| whose(&status.word), |admin| format!("the master's word: {}", whose(admin)));
    let _ = writeln!(
        out,
        "<section class=\"verdict {}\" id=\"answer\"><div><h2 id=\"verdict\">{}{headline}</h2><p><b>{}</b>: {by}</p></div>{}</section>",
        look(effective),
        glyph(effective),
        effective.as_str(),
        facts(status, history)
    );
    out.push_str(&buttons(csrf, status));
    out.push_str(&words(status));
    out.push_str(&rules(status));
    out.push_str(&load(history, now));
    let _ = writeln!(
        out,
        "</main>\n<footer class=\"foot\"><span>bb {} on this machine</span><span>Times are this machine's; load the page again for what holds now</span></footer>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    );
    out
}

fn facts(status: &Status, history: &History) -> String {
    let builds: Vec<String> = status.builds.iter().map(|id| format!("#{id}")).collect();
    let runs = if builds.is_empty() { "nothing".to_owned() } else { builds.join(", ") };
    let load = history.newest().map_or_else(|| "not known".to_owned(), |load| format!("{load:.2}"));
    format!("<dl class=\"facts\"><dt>Runs</dt><dd>{runs}</dd><dt>Load</dt><dd>{load}</dd></dl>")
}

fn buttons(csrf: &str, status: &Status) -> String {
    let mut out = format!(
        "<section id=\"say\"><h2>Say otherwise</h2>\n<form method=\"post\" action=\"/word\"><input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">\n<p class=\"row\"><label for=\"reason\">Reason</label> <input id=\"reason\" name=\"reason\" maxlength=\"200\"> <label for=\"length\">For</label> <select id=\"length\" name=\"length\"><option value=\"\">until it is taken back</option><option value=\"1h\">1 hour</option><option value=\"2h\">2 hours</option><option value=\"8h\">8 hours</option><option value=\"1d\">a day</option></select> "
    );
    let mut button = |word: &str, label: &str| {
        let _ = write!(out, "<button name=\"word\" value=\"{word}\">{label}</button> ");
    };
    button("eager", "Eager");
    button("reluctant", "Reluctant");
    button("unavailable", "Unavailable");
    if !status.builds.is_empty() {
        button("now", "Unavailable, and what runs goes to other slaves now");
    }
    button("auto", "As the rules say");
    out.push_str("</p></form></section>\n");
    out
}

fn words(status: &Status) -> String {
    let mut rows = String::new();
    let mut row = |who: &str, word: &Word| {
        let _ = write!(
            rows,
            "<li>{}<div><b>{who}</b> {} <span class=\"dim\">{}</span></div></li>",
            glyph(word.says),
            word.says.as_str(),
            whose(word)
        );
    };
    if let Some(person) = &status.person {
        row("A person", person);
    }
    for machine in &status.machine {
        row("The machine", machine);
    }
    if let Some(admin) = &status.admin {
        row("The master", admin);
    }
    if rows.is_empty() {
        rows.push_str("<li>Nobody: the rules count.</li>");
    }
    format!("<section id=\"words\"><h2>Who says what</h2><ul class=\"list\">{rows}</ul></section>\n")
}

fn rules(status: &Status) -> String {
    let mut out = String::from("<section id=\"rules\"><h2>Rules</h2>");
    if status.rules.is_empty() {
        out.push_str("<p class=\"dim\">None; they are written into <code>slave.toml</code>, below <code>[availability]</code>.</p>");
    } else {
        if status.person.is_some() {
            out.push_str("<p class=\"dim\">A person's word stands in for them.</p>");
        }
        out.push_str("<table class=\"stack\"><thead><tr><th scope=\"col\">Rule</th><th scope=\"col\">Says</th><th scope=\"col\">Holds</th><th scope=\"col\">While</th></tr></thead><tbody>\n");
        for rule in &status.rules {
            out.push_str(&rule_row(rule));
        }
        let _ = write!(out, "</tbody></table><p class=\"dim\">Where none holds: {}</p>", status.otherwise.as_str());
    }
    for warning in &status.warnings {
        let _ = write!(
            out,
            "<p class=\"note warnings\"><svg class=\"g warnings\" aria-hidden=\"true\"><use href=\"#i-warnings\"/></svg><span>{}</span></p>",
            escape(warning)
        );
    }
    out.push_str("</section>\n");
    out
}

fn rule_row(rule: &RuleState) -> String {
    let holds = match (rule.holds, rule.since) {
        (Some(true), Some(since)) => {
            let until = rule.until.map_or_else(String::new, |until| format!(", until {}", time(until)));
            format!("<b>yes</b>, since {}{until}", time(since))
        }
        (Some(true), None) => "<b>yes</b>".to_owned(),
        (Some(false), _) => "no".to_owned(),
        (None, _) => "this machine does not tell".to_owned(),
    };
    let reason = if rule.reason.is_empty() {
        String::new()
    } else {
        format!(" <span class=\"dim\">{}</span>", escape(&rule.reason))
    };
    let measured = if rule.measured.is_empty() {
        String::new()
    } else {
        format!("<br><span class=\"dim small\">now {}</span>", escape(&rule.measured.join(", ")))
    };
    format!(
        "<tr><th scope=\"row\" class=\"up\">{}{reason}</th><td data-l=\"says\"><span class=\"st\">{}{}</span></td><td data-l=\"holds\">{holds}</td><td class=\"w\">{}{measured}</td></tr>\n",
        rule.number,
        glyph(rule.says),
        rule.says.as_str(),
        escape(&rule.asks)
    )
}

/// The load over the last day, as a picture with its numbers in words.
fn load(history: &History, now: UnixMs) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    let samples: Vec<(i64, f64)> =
        history.samples().filter(|(at, _)| (now.0 - at) as f64 <= DAY_MS && *at <= now.0).collect();
    let most = samples.iter().map(|(_, load)| *load).fold(0.0, f64::max);
    let top = most.max(cores) * 1.1;
    let x = |at: i64| WIDTH - (now.0 - at) as f64 / DAY_MS * WIDTH;
    let y = |load: f64| HEIGHT - load / top * HEIGHT;
    let (mut path, mut last) = (String::new(), i64::MIN / 2);
    for &(at, load) in &samples {
        let joined = at - last <= GAP_MS;
        let _ = write!(path, "{}{:.1} {:.1}", if joined { "L" } else { "M" }, x(at), y(load));
        if !joined {
            // A single sample is a dot.
            path.push_str("h.1");
        }
        last = at;
    }
    let told = if samples.is_empty() {
        "nothing is known of it yet".to_owned()
    } else {
        format!("at most {most:.2} on {cores} cores")
    };
    let hours: String = (1..4)
        .map(|n| {
            format!(
                "<path d=\"M{0} 0V{HEIGHT}\" stroke=\"currentColor\" stroke-opacity=\".15\" fill=\"none\"/>",
                f64::from(n) * WIDTH / 4.0
            )
        })
        .collect();
    format!(
        "<section id=\"load\"><h2>Load over the last day</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"100%\" role=\"img\" aria-label=\"The load over the last 24 hours: {told}\"><path d=\"M0 {HEIGHT}H{WIDTH}\" stroke=\"currentColor\" stroke-opacity=\".4\" fill=\"none\"/>{hours}<path d=\"M0 {1:.1}H{WIDTH}\" stroke=\"currentColor\" stroke-opacity=\".4\" stroke-dasharray=\"4 4\" fill=\"none\"/><path d=\"{path}\" stroke=\"currentColor\" stroke-width=\"1.5\" stroke-linejoin=\"round\" stroke-linecap=\"round\" fill=\"none\"/></svg><p class=\"dim small\">{0}; the dashed line is all {cores} cores, each upright line 6 hours, now on the right.</p></section>\n",
        capital(&told),
        y(cores)
    )
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_say_is_text() {
        let word = Word {
            reason: "<script>alert(1)</script>\u{202e}'\"&".to_owned(),
            who: "<b>".to_owned(),
            ..Word::nobody(UnixMs(0))
        };
        let rule = RuleState {
            number: 1,
            says: Availability::Reluctant,
            asks: "<i>".to_owned(),
            reason: "</td><script>".to_owned(),
            holds: Some(true),
            since: Some(UnixMs(0)),
            until: None,
            measured: vec!["<u>".to_owned()],
        };
        let status = Status {
            running: true,
            word: word.clone(),
            person: Some(word.clone()),
            machine: vec![word.clone()],
            admin: Some(word),
            otherwise: Availability::Eager,
            rules: vec![rule],
            warnings: vec!["<em>".to_owned()],
            builds: vec![7],
            page: None,
        };
        let html = page("<h6>", &status, &History::default(), "word", UnixMs(1));
        for bad in ["<script", "<b>:", "<i>", "<u>", "<em>", "<h6>", "\u{202e}", "style=", "onload"] {
            assert!(!html.contains(bad), "{bad}: {html}");
        }
        assert!(html.contains("#7") && html.contains("what runs goes to other slaves now"));
    }
}
