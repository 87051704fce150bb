//! What every page must be: balanced, with ids once each, no dead links, and nothing that the content security policy
//! forbids or a stranger could have put there.

use std::collections::HashSet;
use tracker::text::is_hidden;

const VOID: &[&str] = &["meta", "link", "input", "br", "col"];

/// The paths that pages answer at; `*` stands for one part.
const ROUTES: &[&str] = &[
    "/",
    "/p/*",
    "/p/*/branches",
    "/p/*/branches/*",
    "/p/*/branches/*/accept",
    "/p/*/branches/*/withdraw",
    "/p/*/branches/*/rebuild",
    "/p/*/branches/*/hold",
    "/p/*/branches/*/release",
    "/p/*/branches/*/priority",
    "/p/*/branches/*/expedite",
    "/p/*/branches/*/eject",
    "/p/*/branches/*/claim",
    "/p/*/branches/*/revisions",
    "/p/*/branches/*/review",
    // With as many more parts as a file's path has.
    "/p/*/branches/*/raw/*/**",
    "/p/*/builds/*",
    "/p/*/builds/*/rebuild",
    "/p/*/builds/*/cancel",
    "/p/*/builds/*/steps/*/log",
    "/p/*/builds/*/steps/*/artifacts.tar",
    "/p/*/builds/*/steps/*/artifacts/**",
    "/p/*/builds",
    "/p/*/queue",
    "/p/*/queue/pause",
    "/p/*/queue/resume",
    "/p/*/publish",
    "/slaves",
    "/locks",
    "/slaves/*/availability",
    "/login",
    "/logout",
    "/static/*/*",
];

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

/// Checks a page.
pub(super) fn check(html: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut ids = HashSet::new();
    let mut targets = Vec::new();
    let body = html.strip_prefix("<!doctype html>\n").expect("a page begins with its type");
    for piece in body.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("a tag without its end: <{piece}"));
        assert!(!text.contains(['>', '"']) || !text.contains('>'), "a stray > after <{tag}>");
        assert!(!text.chars().any(|c| !matches!(c, '\n' | '\t') && is_hidden(c)), "hidden characters after <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}> closes another element");
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = parse(tag.trim_end_matches('/'));
        look(&tag, &mut ids, &mut targets);
        if !closed && !VOID.contains(&tag.name.as_str()) {
            open.push(tag.name);
        }
    }
    assert_eq!(open, Vec::<String>::new(), "elements are left open");
    for target in targets {
        assert!(ids.contains(&target), "nothing has the id {target}");
    }
}

fn parse(text: &str) -> Tag {
    let (name, mut rest) = text.split_once(' ').unwrap_or((text, ""));
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "an element named {name:?}");
    let mut attributes = Vec::new();
    while !rest.trim().is_empty() {
        rest = rest.trim_start();
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        assert!(
            key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == ':'),
            "an attribute {key:?} in <{text}>"
        );
        let value = match after.strip_prefix("=\"") {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').unwrap_or_else(|| panic!("an open quote in <{text}>"));
                rest = after;
                value
            }
            None => {
                assert!(!after.starts_with('='), "an attribute without quotes in <{text}>");
                rest = after;
                ""
            }
        };
        attributes.push((key.to_owned(), value.to_owned()));
    }
    Tag { name: name.to_owned(), attributes }
}

fn look(tag: &Tag, ids: &mut HashSet<String>, targets: &mut Vec<String>) {
    let Tag { name, attributes } = tag;
    let value = |key: &str| attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    assert!(!matches!(name.as_str(), "img" | "style" | "iframe" | "object" | "base"), "<{name}> is in no page");
    if name == "script" {
        assert!(value("src").is_some_and(|src| src.starts_with("/static/")), "a script without a file of ours");
    }
    for (key, value) in attributes {
        assert!(!key.starts_with("on") && key != "style", "{key} in <{name}>");
        assert!(!value.chars().any(|c| !matches!(c, '\n' | '\t') && is_hidden(c)), "hidden characters in {key}");
        match key.as_str() {
            "id" => assert!(ids.insert(value.clone()), "two elements have the id {value}"),
            "for" | "aria-describedby" | "aria-labelledby" => targets.extend(value.split(' ').map(str::to_owned)),
            "href" | "action" | "src" => {
                assert!(!value.is_empty(), "an empty {key} in <{name} {attributes:?}>");
                link(value, targets);
            }
            _ => {}
        }
    }
}

fn link(value: &str, targets: &mut Vec<String>) {
    if let Some(target) = value.strip_prefix('#') {
        targets.push(target.to_owned());
        return;
    }
    // Another part of the same page, as its query says.
    if value.starts_with('?') {
        return;
    }
    if value.starts_with("http://") || value.starts_with("https://") {
        return;
    }
    let path = value.split(['?', '#']).next().unwrap_or_default();
    let fits = |route: &str| {
        let (route, path): (Vec<&str>, Vec<&str>) = (route.split('/').collect(), path.split('/').collect());
        let is_long = route.last() == Some(&"**") && path.len() >= route.len();
        let is_part = |(r, p): (&&str, &&str)| r == p || (matches!(*r, "*" | "**") && !p.is_empty());
        (route.len() == path.len() || is_long) && route.iter().zip(&path).all(is_part)
    };
    assert!(ROUTES.iter().any(|route| fits(route)), "no page answers at {value}");
}
