//! Marks that are drawn over other characters: accents and vowel signs of languages, and what is done with them that no
//! language does. Lines of them cover what stands above, one through a letter strikes it out, and one that can't be told from
//! the letter makes another word of it (UTS 39, 5.4).

use super::hidden::is_hidden;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};
use unicode_script::{Script, UnicodeScript as _};
use unicode_security::GeneralSecurityProfile as _;

/// Marks that one letter may carry.
const MOST: usize = 4;

/// Letters with a dot of their own, where one more is not seen, and the same without it, where one more makes the other.
const DOTTED: [char; 6] = ['i', 'j', '\u{131}', '\u{237}', '\u{456}', '\u{458}'];

fn is_mark(c: char) -> bool {
    matches!(c.general_category(), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

/// Whether it goes through the letter, or around it.
fn covers(c: char) -> bool {
    matches!(c, '\u{334}'..='\u{338}' | '\u{20d2}'..='\u{20d3}' | '\u{20d8}'..='\u{20da}' | '\u{20e5}'..='\u{20eb}')
        || c.general_category() == GeneralCategory::EnclosingMark
}

/// Whether a character is a mark that does not stand as languages have it: on a letter of a script that it is used with, not
/// through it, not twice, and not as one of many. `before` is what stands before it, from the nearest on.
pub(super) fn is_astray(c: char, before: impl Iterator<Item = char>) -> bool {
    if !is_mark(c) {
        return false;
    }
    let mut marks = 0;
    for earlier in before {
        // What is written out carries nothing.
        if is_hidden(earlier) || (marks == 0 && earlier == c) {
            return true;
        }
        if !is_mark(earlier) {
            return covers(c) || !is_used_on(c, earlier);
        }
        marks += 1;
        if marks == MOST {
            return true;
        }
    }
    true
}

fn is_used_on(mark: char, letter: char) -> bool {
    if !letter.is_alphanumeric() || (mark == '\u{307}' && DOTTED.contains(&letter)) {
        return false;
    }
    let scripts = mark.script_extension();
    // With which ones an accent is used, the tables do not always say.
    let is_of_any = scripts.is_inherited() || scripts.is_common();
    let is_shared = is_of_any || !scripts.intersection(letter.script_extension()).is_empty();
    is_shared && (letter.script() != Script::Latin || mark.identifier_allowed())
}

#[cfg(test)]
mod tests {
    use super::super::shown;

    #[test]
    fn marks_are_left_alone_where_languages_have_them() {
        for text in [
            "Cafe\u{301}, Gro\u{308}\u{df}e, co\u{302}\u{301}, o\u{31b}\u{323}",
            "\u{438}\u{306}, \u{435}\u{308}",
            "\u{3b1}\u{313}\u{301}",
            "\u{304b}\u{3099}, \u{30cf}\u{309a}",
            "\u{5e9}\u{5c1}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}",
            "\u{645}\u{64f}\u{62d}\u{64e}\u{645}\u{651}\u{64e}\u{62f}",
            "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}, \u{915}\u{93e}\u{902}",
            "\u{e17}\u{e35}\u{e48}",
        ] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn marks_that_no_language_has_there_are_written_out() {
        for (text, as_shown) in [
            // Before anything, on a sign, behind what is written out itself.
            ("\u{301}x", "<U+0301>x"),
            ("= \u{338}", "= <U+0338>"),
            ("x =\u{338} y", "x =<U+0338> y"),
            ("a\u{200b}\u{301}", "a<U+200B><U+0301>"),
            // Struck out, and in a circle.
            ("p\u{336}a\u{336}", "p<U+0336>a<U+0336>"),
            ("1\u{20dd}", "1<U+20DD>"),
            // That can't be told from the letter.
            ("i\u{307}d", "i<U+0307>d"),
            ("e\u{301}\u{301}", "e\u{301}<U+0301>"),
            // Of another script, and of none.
            ("a\u{e49}", "a<U+0E49>"),
            ("a\u{5b8}", "a<U+05B8>"),
            ("a\u{353}", "a<U+0353>"),
        ] {
            assert_eq!(shown(text.as_bytes()), as_shown);
        }
    }

    #[test]
    fn however_many_there_are_a_letter_carries_few_and_the_cost_is_that_of_the_length() {
        let many = format!("a{}", "\u{300}\u{301}".repeat(10_000));
        let shown = super::super::whole(&many);
        let drawn = shown.chars().filter(|c| super::is_mark(*c)).count();
        assert_eq!(drawn, super::MOST);
    }
}
