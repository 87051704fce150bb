//! Letters that are taken for others: a Cyrillic `а` in a Latin word reads as it should and is another name.
//!
//! By Unicode's own tables (UTS 39). Words of one script are left alone, so that people can write their language.

use std::collections::BTreeSet;
use unicode_script::{Script, UnicodeScript as _};
use unicode_security::skeleton;

/// Where in the text, by byte, letters stand that look like those around them and are none.
pub(super) fn marked(text: &str) -> BTreeSet<usize> {
    let mut marks = BTreeSet::new();
    if text.is_ascii() {
        return marks;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.is_ascii() {
            mark_line(line, start, &mut marks);
        }
        start += line.len();
    }
    marks
}

fn mark_line(line: &str, start: usize, marks: &mut BTreeSet<usize>) {
    let mut own: Vec<Script> = Vec::new();
    let mut has_ascii = false;
    let mut alone: Vec<(usize, Script)> = Vec::new();
    let mut at = 0;
    for word in line.split_inclusive(|c: char| !is_of_word(c)) {
        let letters: Vec<(usize, char, LooksLike)> = word
            .char_indices()
            .filter(|(_, c)| c.is_alphanumeric())
            .map(|(i, c)| (start + at + i, c, looks_like(c)))
            .collect();
        at += word.len();
        let is_latin =
            letters.iter().any(|(_, c, _)| c.is_ascii_alphabetic() || (c.script() == Script::Latin && !is_styled(*c)));
        has_ascii |= letters.iter().any(|(_, c, _)| c.is_ascii_alphabetic());
        let foreign = letters.iter().filter(|(_, c, _)| !c.is_ascii() && (is_styled(*c) || is_another_script(*c)));
        if is_latin {
            marks.extend(foreign.filter(|(.., looks)| *looks != LooksLike::Itself).map(|(at, ..)| *at));
        } else {
            for (at, c, looks) in foreign {
                match looks {
                    LooksLike::Ascii => alone.push((*at, c.script())),
                    LooksLike::Latin | LooksLike::Itself => own.push(c.script()),
                }
            }
        }
    }
    // A line that has no letter of the script but such as look Latin is not written in it.
    if has_ascii {
        marks.extend(alone.into_iter().filter(|(_, script)| !own.contains(script)).map(|(at, _)| at));
    }
}

/// What a letter is taken for in a Latin word.
#[derive(Clone, Copy, Eq, PartialEq)]
enum LooksLike {
    Ascii,
    Latin,
    Itself,
}

fn looks_like(c: char) -> LooksLike {
    if c.is_ascii() {
        return LooksLike::Itself;
    }
    let mut buffer = [0; 4];
    let mut looks = skeleton(c.encode_utf8(&mut buffer));
    match (looks.next(), looks.next()) {
        (Some(one), None) if one == c => LooksLike::Itself,
        (Some(one), None) if one.is_ascii_alphanumeric() => LooksLike::Ascii,
        (Some(one), None) if one.script() == Script::Latin => LooksLike::Latin,
        _ => LooksLike::Itself,
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c.script() == Script::Inherited
}

fn is_another_script(c: char) -> bool {
    !matches!(c.script(), Script::Latin | Script::Common | Script::Inherited | Script::Unknown)
}

/// Latin letters in another dress: of double width, mathematical, and those kept for old character sets.
fn is_styled(c: char) -> bool {
    matches!(u32::from(c), 0x2100..=0x214F | 0xFF10..=0xFF5A | 0x1D400..=0x1D7FF | 0x1F130..=0x1F189)
}

#[cfg(test)]
mod tests {
    use super::super::shown;

    #[test]
    fn letters_of_another_script_in_a_latin_word_are_marked() {
        for (text, as_shown) in [
            ("p\u{430}ypal", "p<U+0430>ypal"),
            ("\u{430}dmin_user", "<U+0430>dmin_user"),
            ("is\u{410}dmin", "is<U+0410>dmin"),
            ("v\u{3bf}id", "v<U+03BF>id"),
            ("to\u{442}al", "to<U+0442>al"),
            ("p\u{ff41}y", "p<U+FF41>y"),
            ("p\u{1d41a}y", "p<U+1D41A>y"),
            ("re\u{13a2}urn", "re<U+13A2>urn"),
            ("\u{585}pen", "<U+0585>pen"),
            // A whole name of such letters, in a line that is otherwise Latin.
            ("if (\u{430} == b)", "if (<U+0430> == b)"),
            ("\u{441}\u{43e}\u{440}\u{443}(x)", "<U+0441><U+043E><U+0440><U+0443>(x)"),
        ] {
            assert_eq!(shown(text.as_bytes()), as_shown);
        }
    }

    #[test]
    fn languages_are_left_alone() {
        for text in [
            "Ошибка в git-репозитории исправлена, рост скорости",
            "см. README: оса и рот",
            "Ελληνικά: το αρχείο",
            "Größe, naïve, İstanbul, ışık, ĸ",
            "日本語のテスト",
            "שלום",
            "5 µs, 2π",
            "сор",
        ] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }
}
