//! The list of codes, `docs/verdicts.md`, is whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::code::{Code, Of};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verdicts.md");

/// The rows of all codes that are said of something.
fn rows(of: Of) -> String {
    let row = |c: &Code| format!("| `{c}` | {} | {} |\n", c.meaning(), c.next());
    Code::ALL.iter().filter(|c| c.of() == of).map(row).collect()
}

/// The page with its tables as they must be.
fn mended(page: &str) -> String {
    let mut page = page.to_owned();
    for (of, heading) in [(Of::Branch, "## Branches"), (Of::Queue, "## The queue"), (Of::Build, "## Builds that wait")]
    {
        let (before, rest) = page.split_once(heading).unwrap_or_else(|| panic!("{PAGE} has no heading {heading}"));
        let (between, rest) = rest.split_once("| --- | --- | --- |\n").expect("a table below each heading");
        let after = &rest[rest.lines().take_while(|l| l.starts_with('|')).map(|l| l.len() + 1).sum::<usize>()..];
        page = format!("{before}{heading}{between}| --- | --- | --- |\n{}{after}", rows(of));
    }
    page
}

#[test]
fn every_code_has_its_row() {
    let page = std::fs::read_to_string(PAGE).unwrap_or_else(|e| panic!("{PAGE}: {e}"));
    let mended = mended(&page);
    if page != mended && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &mended).unwrap();
        return;
    }
    assert!(
        page == mended,
        "docs/verdicts.md differs from gate::code; UPDATE_DOCS=1 cargo test -p gate --test docs mends it"
    );
}
