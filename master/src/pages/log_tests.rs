#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

/// All lines of `bytes`, as they are shown while they grow.
fn shown(bytes: &[u8], step: u32) -> String {
    let mut live = LiveLog::new(step, 1);
    live.take(bytes);
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        live.end_line();
    }
    live.out
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let html = shown(bytes, 2);
    let lines = html.split("<span id=\"L2-").skip(1);
    lines
        .map(|line| {
            let body = line.split_once("</a>").unwrap().1;
            body.strip_suffix("</span>").unwrap().to_owned()
        })
        .collect()
}

#[test]
fn lines_are_numbered_and_can_be_linked_to() {
    assert_eq!(
        shown(b"one\ntwo\n", 3),
        "<span id=\"L3-1\"><a href=\"?at=3-1#L3-1\">1</a>one</span><span id=\"L3-2\"><a href=\"?at=3-2#L3-2\">2</a>two</span>"
    );
}

#[test]
fn lines_of_a_window_keep_their_numbers_and_one_is_marked() {
    let line = |number, text: &str, cut| crate::logs::Line { number, bytes: text.as_bytes().to_vec(), cut };
    let html = render(2, &[line(95_001, "\x1b[31mred", 0), line(95_002, "on\rlast", 7)], Some(95_002));
    assert_eq!(
        html,
        "<span id=\"L2-95001\"><a href=\"?at=2-95001#L2-95001\">95001</a><span class=\"a1\">red</span></span>\
         <span id=\"L2-95002\" class=\"hit\"><a href=\"?at=2-95002#L2-95002\">95002</a><span class=\"a1\">last</span>\
         <span class=\"af\"> … 7 more bytes in this line</span></span>"
    );
}

#[test]
fn colours_are_kept_and_other_codes_left_out() {
    assert_eq!(lines(b"\x1b[1;31mred\x1b[0m plain"), ["<span class=\"ab a1\">red</span> plain"]);
    assert_eq!(
        lines(b"\x1b[38;5;2mg\x1b[39m \x1b[38;2;1;2;3mx\x1b[90mgrey"),
        ["<span class=\"a2\">g</span> x<span class=\"af\">grey</span>"]
    );
    assert_eq!(lines(b"\x1b[2J\x1b[Hclear\x1b]0;title\x07ed"), ["cleared"]);
    assert_eq!(
        lines(b"\x1b[32mover\nlines\x1b[m"),
        ["<span class=\"a2\">over</span>", "<span class=\"a2\">lines</span>"]
    );
}

#[test]
fn a_code_left_open_ends_with_its_line() {
    assert_eq!(lines(b"a\x1b]8;;http://x\nstays\n"), ["a", "stays"]);
}

#[test]
fn progress_drawn_again_is_its_last_state() {
    assert_eq!(lines(b"10 %\r50 %\r100 %\ndone\r\n"), ["100 %", "done"]);
}

#[test]
fn what_is_not_text_is_said() {
    assert_eq!(lines(b"a\0b\xffc"), ["a\u{fffd}b\u{fffd}c"]);
    assert_eq!(lines("x\u{202e}y".as_bytes()), ["x&lt;U+202E&gt;y"]);
    assert_eq!(lines(b"<script>alert('1')</script>&"), ["&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;"]);
}

#[test]
fn long_lines_are_cut_with_a_word() {
    let long = vec![b'x'; LINE + 7];
    let line = lines(&long).remove(0);
    assert!(line.ends_with("<span class=\"af\"> … 7 more bytes in this line</span>"), "{line}");
}

#[test]
fn a_line_is_shown_when_it_is_whole() {
    let mut live = LiveLog::new(1, 8);
    assert_eq!(live.push(b"half"), "");
    assert_eq!(live.push(b" whole\nne"), "<span id=\"L1-8\"><a href=\"?at=1-8#L1-8\">8</a>half whole</span>");
}

/// The tags of `html`, each of which must be one that this module writes.
fn inert(html: &str) -> bool {
    let mut depth = 0_i64;
    for piece in html.split('<').skip(1) {
        let Some((tag, text)) = piece.split_once('>') else { return false };
        match tag {
            "/span" | "/a" => depth -= 1,
            _ if tag.starts_with("span id=\"L") || tag.starts_with("a href=\"?at=") => depth += 1,
            _ if tag.starts_with("span class=\"a") => depth += 1,
            _ => return false,
        }
        let attributes = tag.split_once(' ').map_or("", |(_, rest)| rest);
        let plain = |c: char| c.is_ascii_alphanumeric() || "=\"#?- ".contains(c);
        if !attributes.chars().all(plain) || text.contains('>') || depth < 0 {
            return false;
        }
        if text.chars().any(|c| c != '\t' && is_hidden(c)) {
            return false;
        }
    }
    depth == 0
}

proptest! {
    #[test]
    fn any_bytes_give_inert_html(bytes: Vec<u8>, step in 0u32..9) {
        prop_assert!(inert(&shown(&bytes, step)));
    }

    #[test]
    fn any_codes_and_markup_give_inert_html(parts in prop::collection::vec(prop::sample::select(vec![
        "\x1b[", "\x1b[1;31m", "\x1b]8;;", "\x07", "\x1bP", "38;5;", "m", ";", "<img src=x onerror=1>", "\"'>", "\n", "\r",
        "\u{9b}31m", "\u{202e}", "&#60;", "\0", "text",
    ]), 0..60)) {
        let text: String = parts.concat();
        prop_assert!(inert(&shown(text.as_bytes(), 1)));
    }

    #[test]
    fn a_log_in_pieces_is_the_log_at_once(bytes: Vec<u8>, at in 0usize..40) {
        let mut bytes = bytes;
        bytes.push(b'\n');
        let at = at.min(bytes.len());
        let mut live = LiveLog::new(1, 1);
        let pieces = live.push(&bytes[..at]) + &live.push(&bytes[at..]);
        prop_assert_eq!(pieces, shown(&bytes, 1));
    }
}
