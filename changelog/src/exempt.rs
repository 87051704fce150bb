//! A commit that says that its branch needs no fragment.

/// The trailer's name.
const NAME: &[u8] = b"no-changelog:";

/// The reason that a commit's message gives in a trailer `No-ChangeLog: REASON` for having no fragment: a line of its last paragraph, in
/// whatever case, with the indented lines below it. Without a reason it says nothing, and a title is no trailer.
pub fn exemption(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let end = lines.iter().rposition(|line| !line.is_empty())? + 1;
    // The first paragraph is the title.
    let start = lines[..end].iter().rposition(|line| line.is_empty())? + 1;
    if lines[..start].iter().all(|line| line.is_empty()) {
        return None;
    }
    let own = &lines[start..end];
    own.iter().enumerate().find_map(|(at, line)| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        if !name.as_bytes().eq_ignore_ascii_case(NAME) {
            return None;
        }
        let more = own[at + 1..].iter().take_while(|line| line.starts_with([' ', '\t']));
        let words: Vec<&str> = std::iter::once(&value).chain(more).flat_map(|part| part.split_whitespace()).collect();
        Some(words.join(" ")).filter(|reason| !reason.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_stands_in_the_last_paragraph() {
        let cases = [
            ("Test more\n\nNo-ChangeLog: only tests\n", Some("only tests")),
            (
                "Test more\n\nWords.\n\nSigned-off-by: A <a@x>\nno-changelog:  only\n  tests \nBug: 1\n\n",
                Some("only tests"),
            ),
            ("Test more\r\n\r\nNO-CHANGELOG: only tests\r\n", Some("only tests")),
            ("Test more\n\nNo-ChangeLog:\n", None),
            ("Test more\n\nNo-ChangeLog: not here\n\nLast words.\n", None),
            ("No-ChangeLog: a title\n", None),
            ("\n\nNo-ChangeLog: a title\n", None),
            ("Test more\n\nThe trailer No-ChangeLog: would do.\n", None),
            ("Test\n\nNo-Changelög: x\n", None),
            ("", None),
        ];
        for (message, want) in cases {
            assert_eq!(exemption(message.as_bytes()).as_deref(), want, "{message:?}");
        }
    }
}
