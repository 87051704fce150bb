//! Characters that are taken for others: a Cyrillic `а` in a Latin word, a Greek question mark for a semicolon.
//!
//! What looks like what is told by Unicode's own tables (UTS 39: confusable characters, and which letters are for writing
//! languages at all); here is only where a character may stand as what it is. People can write their languages: words of one
//! script are left alone, and so are the signs of a script beside its letters.

use super::combining::is_astray;
use unicode_properties::UnicodeEmoji as _;
use unicode_properties::emoji::EmojiStatus;
use unicode_script::{Script, ScriptExtension, UnicodeScript as _};
use unicode_security::general_security_profile::IdentifierType;
use unicode_security::{GeneralSecurityProfile as _, skeleton};
use unicode_width::UnicodeWidthChar as _;

/// Where in the text, by byte and in order, characters stand that are taken for others, or are drawn over them.
pub(super) fn marked(text: &str) -> Vec<usize> {
    let mut marks = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.is_ascii() {
            Line::of(line).mark(start, &mut marks);
        }
        start += line.len();
    }
    marks
}

/// What a character is taken for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Looks {
    /// One of ASCII, that is no letter and no digit.
    AsciiSign,
    /// A letter or digit of ASCII.
    Ascii,
    /// Another Latin letter.
    Latin,
    Itself,
}

impl Looks {
    fn of(c: char) -> Self {
        if c.is_ascii() {
            return Self::Itself;
        }
        let mut buffer = [0; 4];
        let mut shape = skeleton(c.encode_utf8(&mut buffer));
        match (shape.next(), shape.next()) {
            (Some(one), None) if one == c => Self::Itself,
            (Some(one), None) if one.is_ascii_alphanumeric() => Self::Ascii,
            (Some(one), None) if one.is_ascii() => Self::AsciiSign,
            (Some(one), None) if one.script() == Script::Latin => Self::Latin,
            _ => Self::Itself,
        }
    }

    fn is_ascii(self) -> bool {
        matches!(self, Self::Ascii | Self::AsciiSign)
    }
}

#[derive(Clone, Copy)]
struct Character {
    at: usize,
    c: char,
    looks: Looks,
    script: Script,
}

impl Character {
    fn is_latin_letter(self) -> bool {
        self.c.is_ascii_alphabetic() || (self.script == Script::Latin && self.c.is_alphabetic())
    }

    /// Whether it is of a script of its own, other than Latin.
    fn is_foreign(self) -> bool {
        !matches!(self.script, Script::Latin | Script::Common | Script::Inherited | Script::Unknown)
    }

    /// Whether it shows that somebody writes in its script: no other can be meant.
    fn is_evidence(self) -> bool {
        self.is_foreign() && !self.looks.is_ascii()
    }
}

/// A line with something in it that is not ASCII.
struct Line {
    characters: Vec<Character>,
    has_ascii: bool,
    /// Nothing in it that programs are made of: a title, a sentence.
    is_prose: bool,
    /// A letter that languages add to the Latin ones, and that is like none of ASCII.
    has_other_latin: bool,
    /// A part of a drawn box, that is like none of ASCII.
    has_corner: bool,
}

/// How far is looked for what a character belongs to: more would cost the square of a long line.
const NEAR: usize = 64;

/// What programs are made of, and sentences are not.
const OF_PROGRAMS: &[char] =
    &['(', ')', '{', '}', '[', ']', '<', '>', '=', ';', '$', '\\', '|', '&', '*', '_', '#', '@', '/', '"', '`'];

impl Line {
    fn of(text: &str) -> Self {
        let character = |(at, c): (usize, char)| Character { at, c, looks: Looks::of(c), script: c.script() };
        let characters: Vec<Character> = text.char_indices().map(character).collect();
        Self {
            has_ascii: text.contains(|c: char| c.is_ascii_alphabetic()),
            is_prose: !text.contains(OF_PROGRAMS),
            has_other_latin: characters.iter().any(|it| is_other_latin(*it)),
            has_corner: characters.iter().any(|it| matches!(it.c, '\u{2500}'..='\u{257f}') && !it.looks.is_ascii()),
            characters,
        }
    }

    fn mark(&self, start: usize, marks: &mut Vec<usize>) {
        let words = self.words();
        let mut word = 0;
        for (i, it) in self.characters.iter().enumerate().filter(|(_, it)| !it.c.is_ascii()) {
            while words.get(word).is_some_and(|(_, end)| *end <= i) {
                word += 1;
            }
            let at_word = words.get(word).filter(|(from, _)| *from <= i).map(|_| word);
            let is_taken = match (it.script, at_word) {
                (Script::Latin, _) => self.latin_is_taken(i),
                (Script::Common | Script::Inherited | Script::Unknown, _) => {
                    it.looks.is_ascii() && !self.sign_is_itself(i)
                }
                (_, Some(word)) if it.c.is_alphanumeric() => self.foreign_is_taken(i, word, &words),
                _ => it.looks.is_ascii() && !self.is_beside(i, it.c.script_extension()),
            };
            let before = || self.characters[..i].iter().rev().map(|it| it.c);
            if is_taken || is_astray(it.c, before()) {
                marks.push(start + it.at);
            }
        }
    }

    /// Words, as the places of their first characters and those after their last.
    fn words(&self) -> Vec<(usize, usize)> {
        let mut words = Vec::new();
        let mut from = None;
        for (i, it) in self.characters.iter().enumerate() {
            let is_inside = it.c.is_alphanumeric() || it.c == '_' || (it.script == Script::Inherited && from.is_some());
            match (is_inside, from) {
                (true, None) => from = Some(i),
                (false, Some(first)) => {
                    words.push((first, i));
                    from = None;
                }
                _ => {}
            }
        }
        words.extend(from.map(|first| (first, self.characters.len())));
        words
    }

    /// A letter of the Latin script that is not of ASCII. Those that no language is written with (phonetic ones, those in
    /// another dress) are taken for others, forgotten ones in a word of ordinary ones. One that is like an ASCII letter is, where
    /// nothing else is of the language that it would be of: in the same part of a name, or anywhere in a sentence.
    fn latin_is_taken(&self, i: usize) -> bool {
        let it = self.characters[i];
        if !it.c.identifier_allowed() {
            let was_of_one = it.c.identifier_type() == Some(IdentifierType::Obsolete) && !it.looks.is_ascii();
            return !was_of_one || self.part_of_name(i).any(|it| it.c.is_ascii());
        }
        let is_known = || if self.is_prose { self.has_other_latin } else { self.part_of_name(i).any(is_other_latin) };
        it.looks.is_ascii() && !is_known()
    }

    /// The letters around one, up to where a name has its next part: `größe_limit`, `größeLimit`.
    fn part_of_name(&self, i: usize) -> impl Iterator<Item = Character> {
        let (before, after) = self.characters.split_at(i);
        let mut last_upper = false;
        let back = before.iter().rev().take_while(move |it| {
            let goes_on = it.is_latin_letter() && !last_upper;
            last_upper = it.c.is_uppercase();
            goes_on
        });
        let on =
            after.iter().enumerate().take_while(|(n, it)| it.is_latin_letter() && (*n == 0 || !it.c.is_uppercase()));
        back.take(NEAR).chain(on.map(|(_, it)| it).take(NEAR)).copied()
    }

    /// Whether a sign of no script stands where it is nothing else: beside letters of a script that it is used with; or as
    /// people set their sentences.
    fn sign_is_itself(&self, i: usize) -> bool {
        let c = self.characters[i].c;
        let next_to = |is: fn(char) -> bool| {
            let before = i.checked_sub(1).and_then(|before| self.characters.get(before));
            [before, self.characters.get(i + 1)].into_iter().all(|it| it.is_some_and(|it| is(it.c)))
        };
        match c {
            // `don’t`, `l’été`, and `‘make’` as programs say it: a shell that takes no quotes for it gets the same word.
            '\u{2018}' | '\u{2019}' => (c == '\u{2019}' && next_to(char::is_alphabetic)) || self.quotes_a_word(i),
            // `a – b`, `2010–2020`
            '\u{2013}' => next_to(|c| c == ' ') || next_to(|c| c.is_ascii_digit()),
            // A side of a box that has corners.
            '\u{2500}'..='\u{257f}' => self.has_corner,
            _ if is_picture(c) => true,
            _ => self.is_beside(i, used_with(c)),
        }
    }

    /// Whether a quote, with its other half, stands around one word or path.
    fn quotes_a_word(&self, i: usize) -> bool {
        let is_of_word = |it: &&Character| it.c.is_alphanumeric() || matches!(it.c, '.' | '/' | '_' | '-' | '+' | ':');
        let (before, after) = self.characters.split_at(i);
        let other = match self.characters[i].c {
            '\u{2018}' => after.iter().skip(1).take(NEAR).find(|it| !is_of_word(it)).filter(|it| it.c == '\u{2019}'),
            _ => before.iter().rev().take(NEAR).find(|it| !is_of_word(it)).filter(|it| it.c == '\u{2018}'),
        };
        other.is_some()
    }

    /// Whether the nearest letter on either side, no farther than some signs and one blank away, is of one of these scripts.
    fn is_beside(&self, i: usize, scripts: ScriptExtension) -> bool {
        if is_of_any(scripts) {
            return false;
        }
        let shares = |it: &Character| {
            !it.c.is_ascii() && !it.looks.is_ascii() && !it.c.script_extension().intersection(scripts).is_empty()
        };
        let is_of = |it: Option<&Character>| it.is_some_and(|it| !is_of_any(it.c.script_extension()) && shares(it));
        let (before, after) = self.characters.split_at(i);
        is_of(nearest(before.iter().rev())) || is_of(nearest(after.iter().skip(1)))
    }

    /// A letter or digit of another script. In a word with Latin letters it is taken for one of them if it looks like one; in a
    /// word of its own it is not, unless nothing in the whole word, or beside it, could be of no other script.
    fn foreign_is_taken(&self, i: usize, word: usize, words: &[(usize, usize)]) -> bool {
        let it = self.characters[i];
        if it.looks == Looks::Itself {
            return false;
        }
        let inside =
            |(first, end): (usize, usize)| &self.characters[first.max(i.saturating_sub(NEAR))..end.min(i + NEAR)];
        let own = inside(words[word]);
        if is_of_east_asia(it.script) {
            // These stand beside Latin ones without a blank.
            return it.looks.is_ascii() && !self.is_beside(i, east_asia());
        }
        let is_another = |other: &Character| {
            other.is_latin_letter() || (other.c.is_alphabetic() && other.is_foreign() && other.script != it.script)
        };
        if own.iter().any(is_another) {
            return true;
        }
        let is_evidence = |other: &Character| other.is_evidence() && other.script == it.script;
        if !it.looks.is_ascii() || own.iter().any(is_evidence) {
            return false;
        }
        let beside = |other: Option<usize>| {
            let Some(other) = other.filter(|other| *other < words.len()) else { return false };
            let (first, last) = (words[word.min(other)], words[word.max(other)]);
            let between = &self.characters[first.1..last.0];
            // What is farther away than is looked is not beside it.
            let is_near = first.1 + NEAR > i && last.0 < i + NEAR;
            is_near
                && between.iter().all(|it| matches!(it.c, ' ' | ',' | '-'))
                && inside(words[other]).iter().any(is_evidence)
        };
        let is_beside = beside(word.checked_sub(1)) || beside(Some(word + 1));
        !is_beside && (self.has_ascii || !self.is_prose)
    }
}

/// What comes first of characters, but for signs and one blank.
fn nearest<'c>(characters: impl Iterator<Item = &'c Character>) -> Option<&'c Character> {
    let mut rest = characters.take(NEAR).skip_while(|it| !it.c.is_ascii() && !it.c.is_alphabetic()).peekable();
    rest.next_if(|it| it.c == ' ');
    rest.next()
}

fn is_other_latin(it: Character) -> bool {
    it.script == Script::Latin && !it.c.is_ascii() && it.looks == Looks::Itself && it.c.identifier_allowed()
}

/// Whether it is drawn as a picture of several colours.
fn is_picture(c: char) -> bool {
    matches!(
        c.emoji_status(),
        EmojiStatus::EmojiPresentation
            | EmojiStatus::EmojiPresentationAndModifierBase
            | EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent
            | EmojiStatus::EmojiPresentationAndEmojiComponent
    )
}

/// The scripts that a sign is used with. Of those that are as wide as an ideograph the tables name none.
fn used_with(c: char) -> ScriptExtension {
    let scripts = c.script_extension();
    if scripts.is_common() && c.width() == Some(2) { east_asia() } else { scripts }
}

/// Whether that is no script in particular.
fn is_of_any(scripts: ScriptExtension) -> bool {
    scripts.is_common() || scripts.is_inherited() || scripts.is_empty()
}

fn is_of_east_asia(script: Script) -> bool {
    east_asia().contains_script(script)
}

fn east_asia() -> ScriptExtension {
    // The sign for repetition is used with all of them.
    '\u{3003}'.script_extension()
}

#[cfg(test)]
mod tests {
    use super::super::shown;
    use super::Looks;

    fn written_out(c: char) -> String {
        format!("<U+{:04X}>", u32::from(c))
    }

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
            // In a line with nothing Latin, and beside words of the language.
            ("\t\u{441}\u{43e}\u{440}\u{443}();", "\t<U+0441><U+043E><U+0440><U+0443>();"),
            ("if (\u{441}\u{43e}\u{440}) // это", "if (<U+0441><U+043E><U+0440>) // это"),
            ("\u{441}\u{3bf}\u{440}", "<U+0441><U+03BF><U+0440>"),
        ] {
            assert_eq!(shown(text.as_bytes()), as_shown);
        }
    }

    /// All of them, whatever the tables know by now.
    #[test]
    fn what_looks_like_ascii_is_marked_between_ascii() {
        let mut count = 0;
        for c in ('\u{80}'..=char::MAX).filter(|c| Looks::of(*c).is_ascii()) {
            let text = format!("a{c}b = 1");
            let may_stand = c == '\u{2019}' || super::is_picture(c);
            let wanted = if may_stand { c.to_string() } else { written_out(c) };
            assert_eq!(shown(text.as_bytes()), format!("a{wanted}b = 1"));
            count += 1;
        }
        assert!(count > 1500, "{count}");
    }

    #[test]
    fn signs_that_are_taken_for_others_are_marked() {
        for (c, place) in [
            ('\u{37e}', "return x?"),
            ('\u{2236}', "http?//example.org"),
            ('\u{a789}', "key? value"),
            ('\u{1c3}', "if (?done)"),
            ('\u{2215}', "usr?bin"),
            ('\u{2010}', "rm ?rf x"),
            ('\u{2013}', "rm ?rf x"),
            ('\u{2212}', "x ? 1"),
            ('\u{2018}', "echo ?$(id)'"),
            ('\u{2019}', "echo '$(id)? x"),
            ('\u{2018}', "echo ?a b'"),
            ('\u{2502}', "cat x ? sh"),
            ('\u{ff1a}', "key?value"),
            ('\u{3a4}', "x = ?"),
            // Letters that no language is written with, and one of those that some are.
            ('\u{1d00}', "?dmin"),
            ('\u{251}', "is_?dmin"),
            ('\u{131}', "adm?n"),
            ('\u{131}', "größe_l?mit"),
            ('\u{131}', "größeL?mit(x)"),
            ('\u{131}', "if (adm?n) // für alle"),
            ('\u{fe}', "?assword"),
            ('\u{a730}', "?or"),
        ] {
            let text = place.replace('?', &c.to_string());
            assert_eq!(shown(text.as_bytes()), place.replace('?', &written_out(c)));
        }
    }

    /// However a line is made, its cost is that of its length: each of these would take minutes.
    #[test]
    fn long_lines_cost_no_more_than_their_length() {
        for (piece, is_marked) in [
            ("\u{ff1b}", true),
            ("\u{1d00}", true),
            ("\u{131}", true),
            ("\u{430}", true),
            ("\u{436}\u{430}", false),
            ("\u{2502}", true),
            ("\u{430} ", true),
            ("\u{ff1b}\u{30ce}", true),
        ] {
            let text = format!("{}(x)", piece.repeat(20_000));
            assert_eq!(super::marked(&text).is_empty(), !is_marked, "{piece}");
        }
    }

    #[test]
    fn languages_are_left_alone() {
        for text in [
            "Ошибка в git-репозитории исправлена, рост скорости",
            "см. README: оса и рот",
            "Ελληνικά: το αρχείο",
            "Größe, naïve, İstanbul, ışık, ĸ",
            "Kapı açıldı",
            "日本語のテスト",
            "שלום",
            "5 µs, 2π",
            "сор",
            "Don’t, l’été, м’ята",
            "/usr/bin/env: ‘node’: No such file or directory",
            "A page – of 2010–2020",
            "修复：文件（一）不存在，见 README。",
            "ノートPCの設定／変更",
            "├── a │ b",
            "Add ➕ and 🎉",
            "مرحبا، ١٢٣",
            "नमः",
            "fr: où, œuvre; da: smørrebrød på æble",
        ] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }
}
