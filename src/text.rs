//! Text for a terminal, and for a shell.

/// A text for a terminal: what could steer it, can't be seen or is taken for another character is written out, as on pages.
pub(crate) fn safe(text: &str) -> String {
    tracker::text::whole(text).into_owned()
}

/// A word as a shell takes it back whole: in quotes if it needs them.
pub(crate) fn word(text: &str) -> String {
    tracker::text::shell_word(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_word_back_whole() {
        assert_eq!(word("/home/ann/x-1.token"), "/home/ann/x-1.token");
        assert_eq!(word("/home/ann o'x/$t"), "'/home/ann o'\\''x/$t'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn names_steer_no_terminal() {
        assert_eq!(
            safe("a\x1b[2Jb\u{9b}c\u{202e}d\u{61c}\u{2028}e\n\tf"),
            "a<U+001B>[2Jb<U+009B>c<U+202E>d<U+061C><U+2028>e\n\tf"
        );
        // As on pages: an invisible character makes another name, also behind a heart.
        assert_eq!(safe("Grüße, 日本 \u{2764}\u{fe0f}"), "Grüße, 日本 \u{2764}<U+FE0F>");
        assert_eq!(safe("p\u{430}ypal"), "p<U+0430>ypal");
    }
}
