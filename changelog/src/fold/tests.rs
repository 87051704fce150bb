#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use proptest::prelude::*;

const DAY: Date = Date::constant(2024, 3, 5);

fn folded_with(log: Option<&str>, fragments: &[&str], options: &FoldOptions<'_>) -> Result<Folded, FoldError> {
    let paths: Vec<String> = (1..=fragments.len()).map(|n| format!("changelog-fragments/{n}.ChangeLog")).collect();
    let fragments: Vec<_> =
        fragments.iter().zip(&paths).map(|(f, p)| Fragment::gnu(p.as_bytes(), f.as_bytes())).collect();
    fold(b"ChangeLog", log.map(str::as_bytes), &fragments, DAY, options)
}

fn text(folded: &Folded) -> String {
    String::from_utf8(folded.changelog.clone()).unwrap()
}

fn folded(log: &str, fragments: &[&str]) -> String {
    text(&folded_with(Some(log), fragments, &FoldOptions::default()).unwrap())
}

const OLD: &str = "2024-02-01  Bob  <bob@x>\n\n\t* a.c: Old.\n";
const ANN: &str = "2024-02-10  Ann  <ann@x>\n\n\t* b.c (f): New.\n";

#[test]
fn an_entry_goes_on_top_dated_by_the_merge() {
    assert_eq!(folded(OLD, &[ANN]), format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{OLD}"));
}

#[test]
fn without_a_changelog_one_is_made() {
    let made = folded_with(None, &[ANN], &FoldOptions::default()).unwrap();
    assert_eq!(text(&made), "2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n");
    assert_eq!(made.removed, [b"changelog-fragments/1.ChangeLog".to_vec()]);
    assert_eq!(folded("", &[ANN]), text(&made));
}

#[test]
fn preamble_stays_above_and_trailer_below() {
    let log = format!("Discontinued.\n{OLD}\nLocal Variables:\nEnd:\n");
    let want =
        format!("Discontinued.\n\n2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{OLD}\nLocal Variables:\nEnd:\n");
    assert_eq!(folded(&log, &[ANN]), want);
    let only_trailer = "Local Variables:\nEnd:\n";
    assert_eq!(
        folded(only_trailer, &[ANN]),
        format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{only_trailer}")
    );
}

#[test]
fn untidy_fragments_are_written_tidily() {
    let fragment = "\n2024-02-10 Ann <ann@x>\n\t* b.c: New. \n\n\n\n\t* c.c: Too.\n\n\n";
    assert_eq!(
        folded(OLD, &[fragment]),
        format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c: New. \n\n\n\n\t* c.c: Too.\n\n{OLD}")
    );
}

#[test]
fn entries_that_get_one_header_share_it() {
    let fragment =
        format!("2024-02-12  Ann  <ann@x>\n\n\t* c.c: Newer.\n\n{ANN}\n2024-02-09  Bob  <bob@x>\n\n\t* d.c: Other.\n");
    assert_eq!(
        folded(OLD, &[&fragment]),
        format!(
            "2024-03-05  Ann  <ann@x>\n\n\t* c.c: Newer.\n\n\t* b.c (f): New.\n\n2024-03-05  Bob  <bob@x>\n\n\t* d.c: Other.\n\n{OLD}"
        )
    );
}

#[test]
fn a_top_entry_of_the_same_header_takes_the_text() {
    let log = format!("2024-03-05  Ann  <ann@x>\n\n\t* z.c: First.\n\n{OLD}");
    assert_eq!(
        folded(&log, &[ANN]),
        format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n\t* z.c: First.\n\n{OLD}")
    );
    let tiny = format!("2024-03-05  Ann  <ann@x>  (tiny change)\n\n\t* z.c: First.\n\n{OLD}");
    assert_eq!(folded(&tiny, &[ANN]), format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{tiny}"));
}

#[test]
fn notes_and_further_authors_stay() {
    let fragment = "2024-02-10  Ann  <ann@x>  (tiny change)\n\t    Co  <co@x>\n\n\t* b.c: New.\n";
    assert_eq!(
        folded(OLD, &[fragment]),
        format!("2024-03-05  Ann  <ann@x>  (tiny change)\n\t    Co  <co@x>\n\n\t* b.c: New.\n\n{OLD}")
    );
}

#[test]
fn line_ends_are_the_changelogs() {
    let crlf = OLD.replace('\n', "\r\n");
    assert_eq!(
        folded(&crlf, &[ANN]),
        format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{OLD}").replace('\n', "\r\n")
    );
    assert_eq!(folded(OLD, &[&ANN.replace('\n', "\r\n")]), folded(OLD, &[ANN]));
    let cut = OLD.trim_end();
    assert_eq!(folded(cut, &[ANN.trim_end()]), format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{cut}"));
}

#[test]
fn several_fragments_come_newest_first() {
    let older = "2024-02-05  Cid  <cid@x>\n\n\t* e.c: Older.\n";
    assert_eq!(folded(OLD, &[older, ANN]), folded(OLD, &[ANN, older]));
    assert!(folded(OLD, &[older, ANN]).starts_with("2024-03-05  Ann"));
    let options = FoldOptions { date: DatePolicy::Author, ..FoldOptions::default() };
    let mixed = format!("2024-02-20  Dan  <dan@x>\n\n\t* g.c: Newest.\n\n{older}");
    let got = text(&folded_with(Some(OLD), &[ANN, &mixed], &options).unwrap());
    assert_eq!(got, format!("2024-02-20  Dan  <dan@x>\n\n\t* g.c: Newest.\n\n{ANN}\n{older}\n{OLD}"));
}

#[test]
fn folding_again_changes_nothing() {
    let once = folded(OLD, &[ANN]);
    let again = folded_with(Some(&once), &[ANN], &FoldOptions::default()).unwrap();
    assert_eq!((text(&again), again.entries, again.left_out.len()), (once, 0, 1));
    assert_eq!(
        again.left_out[0].to_string(),
        "changelog-fragments/1.ChangeLog:1: left out, the ChangeLog has it already: 2024-02-10  Ann  <ann@x>"
    );
    // Also when the text was joined with what stood on top.
    let top = format!("2024-03-05  Ann  <ann@x>\n\n\t* z.c: First.\n\n{OLD}");
    let joined = folded(&top, &[ANN]);
    assert_eq!(folded(&joined, &[ANN]), joined);
}

#[test]
fn what_comes_back_for_years_is_no_copy() {
    let old = "2024-02-01  Ann  <ann@x>\n\n\t* configure: Regenerate.\n";
    let new = "2024-02-10  Ann  <ann@x>\n\n\t* configure: Regenerate.\n";
    assert_eq!(folded(old, &[new]), format!("2024-03-05  Ann  <ann@x>\n\n\t* configure: Regenerate.\n\n{old}"));
    // With the base at hand, an entry of the same day that was there is no copy, and one gained since is.
    let there = "2024-02-10  Ann  <ann@x>\n\n\t* configure: Regenerate.\n";
    let options = FoldOptions { base: Some(there.as_bytes()), ..FoldOptions::default() };
    assert_eq!(folded_with(Some(there), &[new], &options).unwrap().entries, 1);
    let options = FoldOptions { base: Some(b""), ..FoldOptions::default() };
    assert_eq!(folded_with(Some(there), &[new], &options).unwrap().entries, 0);
}

#[test]
fn an_entry_that_two_fragments_bring_stands_once() {
    let got = folded_with(Some(OLD), &[ANN, ANN], &FoldOptions::default()).unwrap();
    assert_eq!((got.entries, got.left_out.len(), got.removed.len()), (1, 1, 2));
}

#[test]
fn latin_1_goes_into_latin_1_only() {
    let log = b"2024-02-01  J\xf6rg  <j@x>\n\n\t* a.c: Old.\n";
    let fragment = b"2024-02-10  J\xf6rg  <j@x>\n\n\t* b.c: New.\n";
    let good =
        fold(b"ChangeLog", Some(log), &[Fragment::gnu(b"repo.ChangeLog", fragment)], DAY, &FoldOptions::default())
            .unwrap();
    assert!(good.changelog.starts_with(b"2024-03-05  J\xf6rg  <j@x>\n\n\t* b.c: New.\n\n2024-02-01"));
    let bad = fold(
        b"ChangeLog",
        Some(OLD.as_bytes()),
        &[Fragment::gnu(b"repo.ChangeLog", fragment)],
        DAY,
        &FoldOptions::default(),
    );
    assert_eq!(bad.unwrap_err().to_string(), "repo.ChangeLog:1:14: the fragment is not UTF-8, but the ChangeLog is");
}

#[test]
fn every_bad_fragment_is_named() {
    let error = folded_with(Some(OLD), &["", ANN, "text\n"], &FoldOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "changelog-fragments/1.ChangeLog:1:1: the fragment is empty\n\
         changelog-fragments/3.ChangeLog:1:1: no header: an entry starts with a line `YYYY-MM-DD  Name  <address>`"
    );
}

#[test]
fn a_date_that_does_not_exist_is_said() {
    let fragment = "2009-18-02  Ann  <ann@x>\n\n\t* b.c: New.\n";
    let got = folded_with(Some(OLD), &[fragment], &FoldOptions::default()).unwrap();
    assert!(text(&got).starts_with("2024-03-05  Ann"));
    assert_eq!(got.notes.len(), 1);
    let options = FoldOptions { date: DatePolicy::Author, ..FoldOptions::default() };
    let error = folded_with(Some(OLD), &[fragment], &options).unwrap_err();
    assert_eq!(error.to_string(), "changelog-fragments/1.ChangeLog:1:1: the date `2009-18-02` does not exist");
}

#[test]
fn indent_is_adopted_when_told_to() {
    let log = "2024-02-01  Bob  <bob@x>\n\n        * a.c: Old.\n";
    assert!(folded(log, &[ANN]).contains("\n\t* b.c (f): New.\n"));
    let options = FoldOptions { indent: IndentPolicy::Adopt, ..FoldOptions::default() };
    assert!(text(&folded_with(Some(log), &[ANN], &options).unwrap()).contains("\n        * b.c (f): New.\n"));
}

fn entry() -> impl Strategy<Value = String> {
    ((1i8..28), prop_oneof![Just("Ann"), Just("Bob")], "[a-c]{1,2}")
        .prop_map(|(day, who, what)| format!("2024-02-{day:02}  {who}  <{who}@x>\n\n\t* {what}.c: {what}.\n\n"))
}

fn file(of: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    proptest::collection::vec(entry(), of).prop_map(|e| e.concat())
}

proptest! {
    #[test]
    fn a_fold_only_inserts_and_is_idempotent(log in file(0..6), fragments in proptest::collection::vec(file(1..4), 1..4)) {
        let fragments: Vec<&str> = fragments.iter().map(String::as_str).collect();
        let options = FoldOptions { base: Some(log.as_bytes()), ..FoldOptions::default() };
        let once = folded_with(Some(&log), &fragments, &options).unwrap();
        let whole = text(&once);
        let without = format!("{}{}", &whole[..once.added.start], &whole[(once.added.end + 1).min(whole.len())..]);
        prop_assert!(log.ends_with(&without) || log.trim_end() == without.trim_end());
        let again = folded_with(Some(&whole), &fragments, &options).unwrap();
        prop_assert_eq!(text(&again), whole);
        prop_assert_eq!(again.entries, 0);
    }

    #[test]
    fn any_bytes_fold_or_are_refused(log in proptest::collection::vec(any::<u8>(), 0..200), fragment in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(folded) = fold(b"ChangeLog", Some(&log), &[Fragment::gnu(b"f", &fragment)], DAY, &FoldOptions::default()) {
            prop_assert!(folded.changelog.len() >= log.len());
        }
    }
}
