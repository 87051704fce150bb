//! Builds whose every slave has left: somebody is to be told, once.

use super::{Wait, Waiting};
use crate::words::slaves_are;
use protocol::{BuildId, ProjectId};
use std::collections::BTreeMap;

/// Builds of one project that ask for the same labels, and of which every slave is away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stranded {
    /// The project.
    pub project: ProjectId,
    /// The labels that they ask for, sorted.
    pub labels: Vec<String>,
    /// How many wait.
    pub builds: usize,
    /// Where their slaves are, in words: `slave oak is offline`.
    pub away: String,
    /// Whether some of them are not connected: they may be on their way back.
    pub offline: bool,
}

impl Stranded {
    /// What is told: `3 builds wait for a slave with the label `linux`: slave oak is offline`.
    pub fn text(&self) -> String {
        let builds =
            if self.builds == 1 { "One build waits".to_owned() } else { format!("{} builds wait", self.builds) };
        let labels: Vec<String> = self.labels.iter().map(|label| format!("`{label}`")).collect();
        let with = match labels.len() {
            0 => String::new(),
            1 => format!(" with the label {}", labels[0]),
            _ => format!(" with the labels {}", labels.join(", ")),
        };
        format!("{builds} for a slave{with}: {}", self.away)
    }
}

/// What of a plan's waits nobody can take up, as every slave that could is away.
pub fn stranded(waits: &[(BuildId, Wait)], waiting: &[Waiting]) -> Vec<Stranded> {
    let builds: BTreeMap<BuildId, &Waiting> = waiting.iter().map(|build| (build.id, build)).collect();
    let mut all: BTreeMap<(ProjectId, Vec<String>), Stranded> = BTreeMap::new();
    for (id, wait) in waits {
        let (Wait::Away { offline, unavailable }, Some(build)) = (wait, builds.get(id)) else { continue };
        let mut labels = build.labels.clone();
        labels.sort();
        labels.dedup();
        let says =
            |names: &[protocol::SlaveName], word| (!names.is_empty()).then(|| format!("{} {word}", slaves_are(names)));
        let away: Vec<String> =
            [says(offline, "offline"), says(unavailable, "unavailable")].into_iter().flatten().collect();
        let (project, away, offline) = (build.project, away.join(", "), !offline.is_empty());
        let new = Stranded { project, labels: labels.clone(), builds: 0, away, offline };
        let entry = all.entry((project, labels)).or_insert(new);
        entry.builds += 1;
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schedule::Class;
    use protocol::UnixMs;
    use protocol::wire::Isolation;

    #[test]
    fn builds_that_wait_for_the_same_are_told_together() {
        let build = |id, labels: &[&str]| Waiting {
            id: BuildId(id),
            project: ProjectId(1),
            class: Class::Other,
            priority: 0,
            publisher: "ann".to_owned(),
            since: UnixMs(0),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            locks: Vec::new(),
            isolation: Isolation::None,
        };
        let away = || Wait::Away { offline: vec!["oak".parse().unwrap()], unavailable: vec!["elm".parse().unwrap()] };
        let waiting = [build(1, &["linux"]), build(2, &["linux"]), build(3, &["kvm", "arm"]), build(4, &[])];
        let waits = [
            (BuildId(1), away()),
            (BuildId(2), away()),
            (BuildId(3), Wait::Away { offline: vec!["oak".parse().unwrap()], unavailable: vec![] }),
            (BuildId(4), Wait::NoSlave),
        ];
        let told: Vec<String> = stranded(&waits, &waiting).iter().map(Stranded::text).collect();
        assert_eq!(
            told,
            [
                "One build waits for a slave with the labels `arm`, `kvm`: slave oak is offline",
                "2 builds wait for a slave with the label `linux`: slave oak is offline, slave elm is unavailable",
            ]
        );
    }
}
