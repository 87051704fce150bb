//! How bytes from git and from strangers are shown: the one way, so that none forgets it.
//!
//! What is not UTF-8 becomes U+FFFD; control, bidirectional, zero-width and other characters that can't be seen become
//! `<U+202E>`. Escaping for HTML is the pages' own.

/// The text of `bytes`, one line: hidden characters made visible, tabs kept.
pub fn shown(bytes: &[u8]) -> String {
    visible(&String::from_utf8_lossy(bytes), false)
}

/// The text of `bytes` that may have several lines: as [`shown`], but line feeds are kept and a CR before one is not said.
pub fn shown_lines(bytes: &[u8]) -> String {
    visible(&String::from_utf8_lossy(bytes).replace("\r\n", "\n"), true)
}

/// As [`shown`], cut to at most `max` characters, with `…` where something was left out.
pub fn shortened(text: &str, max: usize) -> String {
    let mut front: String = text.chars().take(max).collect();
    if front.len() < text.len() {
        front.push('…');
    }
    visible(&front, false)
}

/// The last `max` bytes of what a program said, as text of several lines.
pub(crate) fn tail(bytes: &[u8], max: usize) -> String {
    let from = bytes.len().saturating_sub(max);
    let text = shown_lines(&bytes[from..]);
    if from == 0 { text.trim().to_owned() } else { format!("…{}", text.trim()) }
}

fn visible(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\t' || (lines && c == '\n') || !is_hidden(c) {
            out.push(c);
        } else {
            out.push_str(&format!("<U+{:04X}>", u32::from(c)));
        }
    }
    out
}

/// Whether a character can't be seen, or changes how others are seen.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F
            | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
            | 0xFFF0..=0xFFFB | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_can_not_be_seen_is_said() {
        assert_eq!(
            shown("a\u{202e}b\u{200b}\0\r\x1b[31m".as_bytes()),
            "a<U+202E>b<U+200B><U+0000><U+000D><U+001B>[31m"
        );
        assert_eq!(shown(b"\xff\tx\ny"), "\u{fffd}\tx<U+000A>y");
        assert_eq!(shown_lines(b"a\r\nb\rc"), "a\nb<U+000D>c");
        assert_eq!(shortened("abcdef", 3), "abc…");
        assert_eq!(shown("Übel, שלום, 日本".as_bytes()), "Übel, שלום, 日本");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(bytes: Vec<u8>) {
            prop_assert!(!shown(&bytes).chars().any(|c| c != '\t' && is_hidden(c)));
            prop_assert!(!tail(&bytes, 20).chars().any(|c| !matches!(c, '\t' | '\n') && is_hidden(c)));
        }
    }
}
