//! Did you mean: the word that is nearest to a misspelt one.

/// Words that other tools use for the same thing.
const ELSEWHERE: &[(&str, &str)] = &[
    ("script", "run"),
    ("command", "run"),
    ("commands", "run"),
    ("cmd", "run"),
    ("labels", "slaves"),
    ("tags", "slaves"),
    ("workers", "slaves"),
    ("runs-on", "slaves"),
    ("variables", "env"),
    ("environment", "env"),
    ("semaphores", "locks"),
    ("optional", "required"),
    ("allow_failure", "on_failure"),
    ("if", "when"),
    ("depth", "history"),
    ("fetch-depth", "history"),
    ("tests", "junit"),
    ("strategy", "matrix"),
    ("axes", "matrix"),
];

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let near = known.iter().map(|k| (distance(&lower, k), *k)).min();
    let close = near.filter(|(far, k)| *far <= (k.len() / 3).max(1)).map(|(_, k)| k);
    let meant = || ELSEWHERE.iter().find(|(other, _)| *other == lower).map(|(_, ours)| *ours);
    close.or_else(|| meant().and_then(|ours| known.iter().copied().find(|k| *k == ours)))
}

/// How many characters must be added, removed, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    // Nothing that long is a misspelt key, and the table below grows with both.
    let a: Vec<char> = a.chars().take(40).collect();
    let b: Vec<char> = b.chars().take(40).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_guess_is_not_made() {
        let known = ["name", "run", "timeout", "when", "on_failure", "env", "junit", "artifacts"];
        assert_eq!(nearest("timout", &known), Some("timeout"));
        assert_eq!(nearest("tiemout", &known), Some("timeout"));
        assert_eq!(nearest("Name", &known), Some("name"));
        assert_eq!(nearest("on-failure", &known), Some("on_failure"));
        assert_eq!(nearest("script", &known), Some("run"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("labels", &known), None, "what it stands for elsewhere is not known here");
    }
}
