#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cloned_ref_to_slice_refs)]
use super::*;
use proptest::prelude::*;

fn merged(base: &str, ours: &str, theirs: &str) -> (String, usize) {
    let m = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &MergeOptions::default());
    (String::from_utf8(m.bytes).unwrap(), m.conflicts)
}

#[track_caller]
fn clean(base: &str, ours: &str, theirs: &str, want: &str) {
    let (got, conflicts) = merged(base, ours, theirs);
    assert_eq!((got.as_str(), conflicts), (want, 0), "\n--- got\n{got}\n--- wanted\n{want}");
}

/// An entry of Ann's or whoever's, without the blank line below.
fn e(day: u8, who: &str, body: &str) -> String {
    format!("2024-02-{day:02}  {who}  <{who}@x>\n\n\t* {body}\n")
}

fn log(entries: &[String]) -> String {
    entries.join("\n")
}

fn old() -> [String; 2] {
    [e(3, "Old", "o.c: Three."), e(2, "Old", "o.c: Two.")]
}

fn with_old(entries: &[String]) -> String {
    log(&[entries, &old()].concat())
}

#[test]
fn added_entries_stand_newest_first_and_theirs_above_ours() {
    let (a, b) = (e(5, "Ann", "a.c: A."), e(6, "Bob", "b.c: B."));
    clean(&with_old(&[]), &with_old(&[a.clone()]), &with_old(&[b.clone()]), &with_old(&[b.clone(), a.clone()]));
    clean(&with_old(&[]), &with_old(&[b.clone()]), &with_old(&[a.clone()]), &with_old(&[b.clone(), a.clone()]));
    let same_day = e(6, "Cid", "c.c: C.");
    clean(
        &with_old(&[]),
        &with_old(&[b.clone()]),
        &with_old(&[same_day.clone()]),
        &with_old(&[same_day.clone(), b.clone()]),
    );
    // The same in the middle, and with nothing before.
    let [top, bottom] = old();
    clean(
        &with_old(&[]),
        &log(&[top.clone(), b.clone(), bottom.clone()]),
        &log(&[top.clone(), a.clone(), bottom.clone()]),
        &log(&[top, b.clone(), a.clone(), bottom]),
    );
    clean("", &a, &b, &log(&[b.clone(), a.clone()]));
}

#[test]
fn arrival_puts_theirs_on_top() {
    let (a, b) = (e(5, "Ann", "a.c: A."), e(6, "Bob", "b.c: B."));
    let options = MergeOptions { order: Order::Arrival, ..MergeOptions::default() };
    let m =
        merge(with_old(&[]).as_bytes(), with_old(&[b.clone()]).as_bytes(), with_old(&[a.clone()]).as_bytes(), &options);
    assert_eq!(String::from_utf8(m.bytes).unwrap(), with_old(&[a, b]));
}

#[test]
fn the_time_counts_on_one_day_and_undated_entries_stay_with_the_one_above() {
    let early = "2024-02-05 08:00  Ann  <a@x>\n\n\t* a.c: Early.\n".to_owned();
    let late = "2024-02-05 20:00  Bob  <b@x>\n\n\t* b.c: Late.\n".to_owned();
    clean(&with_old(&[]), &with_old(&[late.clone()]), &with_old(&[early.clone()]), &with_old(&[late, early]));
    let (a, open, b) =
        (e(7, "Ann", "a.c: A."), "2024-02-??  Ann  <Ann@x>\n\n\t* p.c: Open.\n".to_owned(), e(6, "Bob", "b.c: B."));
    clean(&with_old(&[]), &with_old(&[b.clone()]), &with_old(&[a.clone(), open.clone()]), &with_old(&[a, open, b]));
}

#[test]
fn an_entry_that_both_added_stands_once_where_ours_has_it() {
    let (x, a, b) = (e(4, "Xia", "x.c: X."), e(5, "Ann", "a.c: A."), e(6, "Bob", "b.c: B."));
    clean(
        &with_old(&[]),
        &with_old(&[a.clone(), x.clone()]),
        &with_old(&[x.clone(), b.clone()]),
        &with_old(&[b, a, x]),
    );
    // What the base had already comes back as often as it is added.
    let regenerate = e(2, "Old", "o.c: Two.");
    clean(
        &with_old(&[]),
        &with_old(&[regenerate.clone()]),
        &with_old(&[e(9, "Ann", "a.c: A.")]),
        &with_old(&[e(9, "Ann", "a.c: A."), regenerate]),
    );
}

#[test]
fn neighbours_with_one_header_are_joined() {
    let (ours, theirs) = (e(5, "Ann", "a.c: Ours."), e(5, "Ann", "b.c: Theirs."));
    let joined = "2024-02-05  Ann  <Ann@x>\n\n\t* b.c: Theirs.\n\n\t* a.c: Ours.\n".to_owned();
    clean(&with_old(&[]), &with_old(&[ours]), &with_old(&[theirs]), &with_old(&[joined]));
    // Entries of one side that have one header are left as they are.
    let (one, two) = (e(5, "Ann", "a.c: One."), e(5, "Ann", "a.c: Two."));
    clean(
        &with_old(&[]),
        &with_old(&[one.clone(), two.clone()]),
        &with_old(&[e(9, "Bob", "b: B.")]),
        &with_old(&[e(9, "Bob", "b: B."), one, two]),
    );
}

#[test]
fn a_change_on_one_side_or_the_same_on_both_counts_once() {
    let [top, bottom] = old();
    let corrected = top.replace("Three", "3");
    clean(
        &with_old(&[]),
        &with_old(&[e(9, "Ann", "a: A.")]),
        &log(&[corrected.clone(), bottom.clone()]),
        &log(&[e(9, "Ann", "a: A."), corrected.clone(), bottom.clone()]),
    );
    let both = log(&[e(9, "Ann", "a: A."), corrected.clone(), bottom.clone()]);
    clean(&with_old(&[]), &both, &log(&[corrected, bottom.clone()]), &both);
    // Removed by one or both.
    clean(&with_old(&[]), &with_old(&[e(9, "Ann", "a: A.")]), &bottom, &log(&[e(9, "Ann", "a: A."), bottom.clone()]));
    clean(
        &with_old(&[]),
        &log(&[e(9, "Ann", "a: A."), bottom.clone()]),
        &bottom,
        &log(&[e(9, "Ann", "a: A."), bottom.clone()]),
    );
}

const LONG: &str =
    "2024-02-03  Old  <o@x>\n\n\t* one.c (f): First\n\tthing.\n\t* two.c: Second.\n\n\t* three.c: Third.\n";

#[test]
fn different_items_of_one_entry_merge() {
    clean(
        LONG,
        &LONG.replace("First", "1st"),
        &LONG.replace("Third", "3rd"),
        &LONG.replace("First", "1st").replace("Third", "3rd"),
    );
    let (o, t) =
        (LONG.replace("\t* two", "\t* our.c: O.\n\t* two"), LONG.replace("\t* two", "\t* their.c: T.\n\t* two"));
    clean(LONG, &o, &t, &LONG.replace("\t* two", "\t* their.c: T.\n\t* our.c: O.\n\t* two"));
    let (o, t) = (format!("{LONG}\t* our.c: O.\n"), format!("{LONG}\n\t* their.c: T.\n"));
    clean(LONG, &o, &t, &format!("{LONG}\t* our.c: O.\n\n\t* their.c: T.\n"));
    let header = LONG.replace("<o@x>", "<o@x>  (tiny change)");
    clean(LONG, &header, &LONG.replace("Third", "3rd"), &header.replace("Third", "3rd"));
    // One more function of the last item stays with that item.
    let (o, t) = (format!("{LONG}\t* our.c: O.\n"), format!("{LONG}\t(g): T.\n"));
    clean(LONG, &o, &t, &format!("{LONG}\t(g): T.\n\t* our.c: O.\n"));
}

#[test]
fn new_indent_on_one_side_and_new_words_on_the_other() {
    let spaces = LONG.replace('\t', "        ");
    let words = LONG.replace("thing.", "thing,\n\tand more.").replace("Third", "3rd");
    clean(LONG, &spaces, &words, &words.replace('\t', "        "));
    clean(LONG, &words, &spaces, &words.replace('\t', "        "));
}

#[test]
fn only_the_entry_that_both_changed_is_marked() {
    let ours = format!("{}\n{}", e(9, "Ann", "a: A."), LONG.replace("Second", "2nd"));
    let theirs = format!("{}\n{}", e(8, "Bob", "b: B."), LONG.replace("Second", "Zweitens"));
    let (got, conflicts) = merged(LONG, &ours, &theirs);
    let want = format!(
        "{}\n{}\n<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n",
        e(9, "Ann", "a: A."),
        e(8, "Bob", "b: B."),
        LONG.replace("Second", "2nd"),
        LONG.replace("Second", "Zweitens")
    );
    assert_eq!((got.as_str(), conflicts), (want.as_str(), 1), "{got}");
    // Removed here, changed there.
    let [top, bottom] = old();
    let (got, conflicts) = merged(&with_old(&[]), &bottom, &with_old(&[]).replace("Three", "3"));
    assert_eq!(
        (got, conflicts),
        (format!("<<<<<<< ours\n=======\n{}\n>>>>>>> theirs\n{bottom}", top.replace("Three", "3")), 1)
    );
}

#[test]
fn markers_have_the_size_and_labels_that_are_asked_for() {
    let options = MergeOptions {
        markers: Markers { size: 10, ours: "HEAD".to_owned(), theirs: "topic".to_owned() },
        ..MergeOptions::default()
    };
    let m = merge(
        LONG.as_bytes(),
        LONG.replace("Second", "2").as_bytes(),
        LONG.replace("Second", "II").as_bytes(),
        &options,
    );
    let text = String::from_utf8(m.bytes).unwrap();
    assert!(
        text.starts_with("<<<<<<<<<< HEAD\n2024")
            && text.contains("\n==========\n")
            && text.ends_with("\n>>>>>>>>>> topic\n"),
        "{text}"
    );
}

#[test]
fn committed_markers_are_text() {
    let marked = format!("<<<<<<< HEAD\n=======\n{}>>>>>>> topic\n", e(4, "Old", "x: X."));
    let base = format!("{}\n{marked}{}", e(5, "Old", "y: Y."), e(3, "Old", "z: Z."));
    clean(
        &base,
        &format!("{}\n{base}", e(7, "Ann", "a: A.")),
        &format!("{}\n{base}", e(8, "Bob", "b: B.")),
        &format!("{}\n{}\n{base}", e(8, "Bob", "b: B."), e(7, "Ann", "a: A.")),
    );
}

#[test]
fn preamble_and_trailer_merge_as_text() {
    let wrap = |pre: &str, entries: &str, tail: &str| format!("{pre}\n{entries}\nLocal Variables:\n{tail}End:\n");
    let (a, b) = (e(5, "Ann", "a.c: A."), e(6, "Bob", "b.c: B."));
    clean(
        &wrap("Pre.\n", &with_old(&[]), "mode: x\n"),
        &wrap("Pre-amble.\n", &with_old(&[a.clone()]), "mode: x\n"),
        &wrap("Pre.\n", &with_old(&[b.clone()]), "mode: x\ntab: 8\n"),
        &wrap("Pre-amble.\n", &with_old(&[b, a]), "mode: x\ntab: 8\n"),
    );
    let (got, conflicts) = merged(
        &wrap("Pre.\n", &with_old(&[]), "x\n"),
        &wrap("Pre.\n", &with_old(&[]), "y\n"),
        &wrap("Pre.\n", &with_old(&[]), "z\n"),
    );
    assert!(
        conflicts == 1 && got.ends_with("\nLocal Variables:\n<<<<<<< ours\ny\n=======\nz\n>>>>>>> theirs\nEnd:\n"),
        "{got}"
    );
    // A trailer that only theirs adds.
    let with = format!("{}\nLocal Variables:\nEnd:\n", with_old(&[]));
    clean(&with_old(&[]), &with_old(&[e(9, "Ann", "a: A.")]), &with, &format!("{}\n{with}", e(9, "Ann", "a: A.")));
}

#[test]
fn line_ends_of_ours_win() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let (a, b) = (e(5, "Ann", "a.c: A."), e(6, "Bob", "b.c: B."));
    let want = with_old(&[b.clone(), a.clone()]);
    clean(&crlf(&with_old(&[])), &crlf(&with_old(&[a.clone()])), &crlf(&with_old(&[b.clone()])), &crlf(&want));
    clean(&with_old(&[]), &crlf(&with_old(&[a.clone()])), &with_old(&[b.clone()]), &crlf(&want));
    clean(&with_old(&[]), &with_old(&[a.clone()]), &crlf(&with_old(&[b.clone()])), &want);
    // No last line end if ours has none.
    let cut = |text: &str| text.trim_end().to_owned();
    clean(&with_old(&[]), &cut(&with_old(&[a.clone()])), &with_old(&[b.clone()]), &cut(&want));
    clean(&cut(&with_old(&[])), &cut(&with_old(&[a])), &cut(&with_old(&[b])), &cut(&want));
}

#[test]
fn old_entries_that_ours_lacks_do_not_matter() {
    let old: Vec<String> = (1..9).rev().map(|d| e(d, "Old", &format!("o{d}.c: O."))).collect();
    let (a, b) = (e(20, "Ann", "a.c: A."), e(21, "Bob", "b.c: B."));
    let ours = log(&[&[a.clone()], &old[..4]].concat());
    clean(&log(&old), &ours, &log(&[&[b.clone()], &old[..]].concat()), &log(&[&[b, a], &old[..4]].concat()));
}

#[test]
fn files_without_entries_merge_as_text() {
    clean("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n");
    let (got, conflicts) = merged("a\n", "b\n", "c\n");
    assert_eq!((got.as_str(), conflicts), ("<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n", 1));
}

#[test]
fn what_all_three_end_in_is_not_read_but_kept() {
    let old: Vec<String> = (1..28).rev().map(|d| e(d, "Old", &format!("o{d}.c: O."))).collect();
    let all = log(&old);
    let tail = common_tail(all.as_bytes(), format!("x{all}").as_bytes(), format!("y{all}").as_bytes());
    // All but the first entry, above which it is not known what the two others have.
    assert_eq!(tail, log(&old[1..]).len());
    assert_eq!(common_tail(b"abc", b"abc", b"abc"), 0);
}

fn entries() -> impl Strategy<Value = Vec<String>> {
    let one = ((1u8..28), "[A-C]", "[a-d]{1,2}", any::<bool>());
    proptest::collection::vec(
        one.prop_map(|(d, w, f, two)| {
            e(d, &w, &if two { format!("{f}.c: X.\n\t* {w}.h: Y.") } else { format!("{f}.c: X.") })
        }),
        0..5,
    )
}

fn contents(text: &[u8]) -> Vec<Vec<u8>> {
    crate::lines::lines(text).map(|l| crate::lines::trim_end(l).to_vec()).filter(|l| !l.is_empty()).collect()
}

proptest! {
    #[test]
    fn additions_never_conflict_and_nothing_is_lost(base in entries(), ours in entries(), theirs in entries()) {
        let with = |added: &[String]| log(&[added, &base[..]].concat());
        let (b, o, t) = (log(&base), with(&ours), with(&theirs));
        let m = merge(b.as_bytes(), o.as_bytes(), t.as_bytes(), &MergeOptions::default());
        prop_assert_eq!(m.conflicts, 0, "{}", String::from_utf8_lossy(&m.bytes));
        let lines = contents(&m.bytes);
        for line in contents(o.as_bytes()).into_iter().chain(contents(t.as_bytes())) {
            prop_assert!(lines.contains(&line), "lost {:?}", String::from_utf8_lossy(&line));
        }
        // Merging theirs a second time changes nothing.
        let again = merge(t.as_bytes(), &m.bytes, t.as_bytes(), &MergeOptions::default());
        prop_assert_eq!(again.bytes, m.bytes);
    }

    #[test]
    fn one_side_alone_is_taken_as_it_is(base in proptest::collection::vec(any::<u8>(), 0..100), side in proptest::collection::vec(any::<u8>(), 0..100)) {
        let options = MergeOptions::default();
        for (o, t) in [(&side, &base), (&base, &side), (&side, &side)] {
            prop_assert_eq!(merge(&base, o, t, &options), Merged { bytes: side.clone(), conflicts: 0 });
        }
    }

    #[test]
    fn any_three_merge_and_every_line_of_both_sides_is_accounted_for(b in mess(), o in mess(), t in mess()) {
        let m = merge(&b, &o, &t, &MergeOptions::default());
        let (lines, base) = (contents(&m.bytes), contents(&b));
        // Headers are joined and copies stand once, so presence counts, not number; a line may go if the base had it.
        for line in contents(&o).into_iter().chain(contents(&t)) {
            prop_assert!(base.contains(&line) || lines.contains(&line), "lost {:?}", String::from_utf8_lossy(&line));
        }
    }
}

fn mess() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => ((1u8..9), "[A-B]", "[a-d]").prop_map(|(d, w, f)| format!("{}\n", e(d, &w, &format!("{f}.c: X."))).into_bytes()),
        1 => "[a-c]".prop_map(|f| format!("\t* {f}.c: more.\n").into_bytes()),
        1 => "[a-c]".prop_map(|f| format!("\t({f}): more.\n").into_bytes()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"Local Variables:\n".to_vec()),
        1 => Just(b"\ttext\r\n".to_vec()),
        1 => Just(b"landmark".to_vec()),
    ];
    proptest::collection::vec(piece, 0..10).prop_map(|p| p.concat())
}

#[test]
fn what_is_written_above_the_text_of_an_entry_that_the_other_side_lacks_stands_alone() {
    let top = "2024-02-06  Ann  <Ann@x>\n\n\t* a.c: A.\n\n";
    let extended = "2024-02-06  Ann  <Ann@x>\n\n\t* b.c: B.\n\n\t* a.c: A.\n\n";
    let alone = "2024-02-06  Ann  <Ann@x>\n\n\t* b.c: B.\n\n";
    let (base, extended) = (top.to_owned() + &with_old(&[]), extended.to_owned() + &with_old(&[]));
    let (lacks, want) = (with_old(&[]), alone.to_owned() + &with_old(&[]));
    clean(&base, &lacks, &extended, &want);
    clean(&base, &extended, &lacks, &want);
    // It is an addition like any other: newest first, and once.
    let newer = e(7, "Cid", "c.c: C.");
    clean(&base, &with_old(&[newer.clone()]), &extended, &format!("{newer}\n{want}"));
    clean(&base, &want, &extended, &want);
    // An item directly above stands alone too, if it has words of its own.
    let direct = base.replace("\t* a.c", "\t* b.c: B.\n\t* a.c");
    clean(&base, &lacks, &direct, &want);
    for above in ["\tPR 1\n", "\t* b.c:\n"] {
        let (_, conflicts) = merged(&base, &lacks, &base.replace("\t* a.c", &format!("{above}\t* a.c")));
        assert_eq!(conflicts, 1, "{above}");
    }
    let (_, conflicts) = merged(&base, &lacks, &extended.replace("A.", "Other."));
    assert_eq!(conflicts, 1);
}

#[test]
fn an_entry_that_one_side_moved_is_changed_where_it_stands_now() {
    let (a, b, c) = (e(6, "Ann", "a.c: A."), e(5, "Bob", "b.c: B."), e(4, "Cid", "c.c: C."));
    let base = with_old(&[a.clone(), b.clone(), c.clone()]);
    let corrected = c.replace("C.", "Corrected.");
    let theirs = with_old(&[a.clone(), b.clone(), corrected.clone()]);
    let ours = with_old(&[c.clone(), a.clone(), b.clone()]);
    clean(&base, &ours, &theirs, &with_old(&[corrected.clone(), a.clone(), b.clone()]));
    clean(&base, &theirs, &ours, &with_old(&[corrected, a.clone(), b.clone()]));
    let without = with_old(&[a.clone(), b.clone()]);
    clean(&base, &ours, &without, &without);
    clean(&base, &without, &ours, &without);
    clean(&base, &ours, &ours, &ours);
    let both = with_old(&[c, b, a]);
    let (got, conflicts) = merged(&base, &ours, &both);
    assert_eq!((got.matches("C.").count(), conflicts), (1, 0), "{got}");
}

#[test]
fn an_entry_of_a_great_many_items_is_merged() {
    let items: String = (0..150_000).map(|n| format!("\t* file{n}.c: Do.\n")).collect();
    let base = format!("2024-02-06  Ann  <a@x>\n\n{items}");
    let ours = base.replace("file20.c: Do", "file20.c: Undo");
    let theirs = base.replace("file149000.c: Do", "file149000.c: Redo");
    clean(&base, &ours, &theirs, &ours.replace("file149000.c: Do", "file149000.c: Redo"));
}

#[test]
fn what_is_hardly_a_letter_a_line_is_one_piece() {
    let base = "\n".repeat(300_000);
    let (ours, theirs) = (" \t\n".repeat(200_000), "\t\n".repeat(200_000));
    let (got, conflicts) = merged(&base, &ours, &theirs);
    assert_eq!((got, conflicts), (format!("<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n"), 1));
    let header = "2024-02-06  Ann  <a@x>\n\n";
    let [base, ours, theirs] = ["(b\n", "(o\n", "(t\n"].map(|line| header.to_owned() + &line.repeat(200_000));
    assert_eq!(merged(&base, &ours, &theirs).1, 1);
}

#[test]
fn a_missing_last_line_end_is_no_disagreement() {
    let end = "\x0c\nLocal Variables:\nmode: change-log\nEnd:\n";
    let with = |end: &str| with_old(&[]) + "\n" + end;
    clean(&with_old(&[]), &with(end.trim_end()), &with(end), &with(end.trim_end()));
    let theirs = end.replace("End:", "coding: utf-8\nEnd:\n;; more");
    clean(&with(end), &with(end.trim_end()), &with(&theirs), &with(theirs.trim_end()));
    clean("a\nb\n", "a\nb", "a\nb\nc\n", "a\nb\nc");
    // Nor are the blank lines above a trailer that ours took away.
    let newer = e(7, "Cid", "c.c: C.") + "\n";
    clean(&with(end), &with_old(&[]), &(newer.clone() + &with(end)), &(newer.clone() + &with_old(&[])));
    let open = with_old(&[]);
    clean(&with(end), open.trim_end(), &(newer.clone() + &with(end)), &(newer + open.trim_end()));
    clean("a\nb", "a\nb\nc\n", "z\na\nb\n", "z\na\nb\nc\n");
}
