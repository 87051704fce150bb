//! The messages between a slave and its master, over one WebSocket that the slave opens.
//!
//! Text frames are JSON: a slave sends [`ToMaster`], a master sends [`ToSlave`]. Binary frames go from slave to master
//! only and carry a piece of a step's log or of the files that it keeps ([`LogChunk`]). The slave's first frame is [`ToMaster::Hello`]; the master
//! answers [`ToSlave::Welcome`] or [`ToSlave::Refused`], before which it reads nothing else.
//!
//! Everything a slave says of a build is kept on its disk until the master acknowledged it: reports by their number,
//! logs by their offset. The master acknowledges what is durable, so after any crash of either side the slave goes on
//! from what [`ToSlave::Welcome`] says the master has.

use crate::artifacts::Artifacts;
use crate::tested::TestReport;
pub use crate::word::{Availability, MAX_WORD, Voice, Word};
use crate::{BuildId, BuildResult, CommitId, Fence, ProjectName, SlaveName, UnixMs};
use recipe::Builder;
use serde::{Deserialize, Serialize};

/// The version of these messages. Another major version can't be spoken with; a greater minor one only adds.
pub const VERSION: Version = Version { major: 1, minor: 2 };

/// The greatest length of a text frame, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// The greatest length of the log bytes in one binary frame.
pub const MAX_CHUNK: usize = 64 << 10;

/// The most links of one step.
pub const MAX_LINKS: usize = 32;

/// The longest name or URL of a link, in characters.
pub const MAX_LINK: usize = 1000;

/// The longest summary of a step, in bytes.
pub const MAX_SUMMARY: usize = 16 << 10;

/// The most builds that a slave may have on its disk when it says hello.
pub const MAX_HELD: usize = 4096;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Changes that can't be understood by others.
    pub major: u32,
    /// Additions.
    pub minor: u32,
}

/// A slave and a master can't understand each other.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the slave speaks version {}.{} of the protocol and this master version {}.{}: {} (slave is bb {slave_bb}, master is bb {})",
    slave.major, slave.minor, VERSION.major, VERSION.minor,
    if slave.major < VERSION.major { "update bb on the slave" } else { "update bb on the master" },
    env!("CARGO_PKG_VERSION")
)]
pub struct Incompatible {
    /// What the slave speaks.
    pub slave: Version,
    /// The slave's bb.
    pub slave_bb: String,
}

impl Version {
    /// Whether a master of [`VERSION`] can work with a slave of this version.
    pub fn check(self, slave_bb: &str) -> Result<(), Incompatible> {
        if self.major == VERSION.major {
            return Ok(());
        }
        Err(Incompatible { slave: self, slave_bb: slave_bb.chars().take(40).collect() })
    }
}

/// How a slave keeps builds apart from its machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Only another user id, when the slave runs as root; else nothing.
    None,
    /// bubblewrap: own namespaces, no network, nothing writable but the work folder. Proven by a self-test.
    Bubblewrap,
}

impl Isolation {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bubblewrap => "bubblewrap",
        }
    }
}

/// What a slave says to its master.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToMaster {
    /// Who it is. The first frame.
    Hello(Hello),
    /// Its own word on its availability.
    Availability {
        /// The new state.
        said: Availability,
        /// Why, for people.
        reason: String,
        /// The same in full; none from a slave of version 1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        word: Option<Word>,
    },
    /// Something happened to a build.
    Report(Report),
}

/// Who a slave is and what it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The version it speaks.
    pub version: Version,
    /// Its bb's version, for messages.
    pub bb: String,
    /// Its name; the token must be this slave's.
    pub name: SlaveName,
    /// What it can do, as builders ask for it.
    pub labels: Vec<String>,
    /// Builds it runs at once, at least one.
    pub slots: u32,
    /// The strongest isolation that its self-test proved; weaker ones it can do too.
    pub isolation: Isolation,
    /// What the self-test found, a line each, for people.
    pub isolation_notes: Vec<String>,
    /// Its own word on its availability.
    pub availability: Availability,
    /// The same in full; none from a slave of version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
    /// The machine, for people: system, cores, memory.
    pub machine: String,
    /// Builds on its disk, running or ended, of which it has not heard that the master has everything.
    pub builds: Vec<BuildRef>,
}

/// A build as one slave was given it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub struct BuildRef {
    /// The build.
    pub build: BuildId,
    /// The fencing number under which it was given out.
    pub fence: Fence,
}

/// Something that happened to a build. Numbers count from 0 for each build, without gaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which build.
    pub of: BuildRef,
    /// The report's number.
    pub number: u32,
    /// When it happened, by the slave's clock; shown, never used for decisions.
    pub at: UnixMs,
    /// What happened.
    pub what: Happened,
}

/// What happened to a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "happened", rename_all = "kebab-case")]
pub enum Happened {
    /// A step began. Step 0 is bb's own, `fetch`: getting the candidate; the recipe's steps follow from 1.
    StepStarted {
        /// The step's number.
        step: u32,
        /// Its name.
        name: String,
    },
    /// A step ended; its log is complete with so many bytes.
    StepFinished {
        /// The step's number.
        step: u32,
        /// How.
        result: BuildResult,
        /// The exit code, if it ended by itself.
        exit_code: Option<i32>,
        /// The log's whole length in bytes.
        log_len: u64,
        /// Why, if not by its exit code: `ran longer than 20 min`, `died by SIGSEGV`.
        reason: Option<String>,
        /// The program that the slave lacks, if the step failed for that. A plain name, at most 64 characters long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lacks: Option<String>,
        /// How long it ran by a clock that never jumps, in milliseconds.
        ran_ms: u64,
        /// Links published through `$BB_LINKS`: name and URL.
        links: Vec<(String, String)>,
        /// The summary published through `$BB_SUMMARY`.
        summary: String,
        /// What its JUnit files say, where its recipe names some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tests: Option<Box<TestReport>>,
        /// The files that it keeps, where its recipe names some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        artifacts: Option<Box<Artifacts>>,
    },
    /// The build ended; the last report.
    BuildFinished {
        /// How.
        result: BuildResult,
        /// One line for people: `test failed with exit code 2`.
        reason: String,
        /// Whether it is to be run again because its slave was taken away from it on purpose, by a person or for want of room:
        /// that says nothing of the build.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        handed_back: bool,
    },
}

/// A file that a step leaves and that grows at its end on the way to the master. On the wire it is a number: a step's own is its log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub enum StepFile {
    /// What the step with this number printed.
    Log(u32),
    /// The files that the step with this number keeps, one after the other; see [`Artifacts`].
    Artifacts(u32),
}

/// Marks the number of what a step keeps.
const KEPT: u32 = 1 << 31;

impl StepFile {
    /// The step's number.
    pub const fn step(self) -> u32 {
        match self {
            Self::Log(step) | Self::Artifacts(step) => step,
        }
    }
}

impl From<u32> for StepFile {
    fn from(number: u32) -> Self {
        if number & KEPT == 0 { Self::Log(number) } else { Self::Artifacts(number & !KEPT) }
    }
}

impl From<StepFile> for u32 {
    fn from(file: StepFile) -> Self {
        match file {
            StepFile::Log(step) => step & !KEPT,
            StepFile::Artifacts(step) => step | KEPT,
        }
    }
}

/// A piece of a step's file: the header of a binary frame. The frame is this as JSON, a line feed, then the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct LogChunk {
    /// Which build.
    pub of: BuildRef,
    /// Which file of which step.
    #[serde(rename = "step")]
    pub file: StepFile,
    /// Where in the file the bytes begin.
    pub offset: u64,
}

/// A binary frame that is no log chunk.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a log chunk: {0}")]
pub struct BadChunk(pub &'static str);

impl LogChunk {
    /// The binary frame that carries `bytes`.
    pub fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        let Self { of: BuildRef { build, fence }, file, offset } = self;
        let step = u32::from(*file);
        let mut frame =
            format!("{{\"of\":{{\"build\":{build},\"fence\":{fence}}},\"step\":{step},\"offset\":{offset}}}\n")
                .into_bytes();
        frame.extend_from_slice(bytes);
        frame
    }

    /// Reads a binary frame; the bytes are what follows the header.
    ///
    /// # Errors
    /// When there is no header of this form, or more than [`MAX_CHUNK`] bytes follow.
    pub fn decode(frame: &[u8]) -> Result<(Self, &[u8]), BadChunk> {
        let end = frame.iter().take(512).position(|&b| b == b'\n').ok_or(BadChunk("no header line"))?;
        let header = serde_json::from_slice(&frame[..end]).map_err(|_| BadChunk("the header is not as expected"))?;
        let bytes = &frame[end + 1..];
        if bytes.len() > MAX_CHUNK {
            return Err(BadChunk("too long"));
        }
        Ok((header, bytes))
    }
}

/// What a master says to a slave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToSlave {
    /// The slave is known; what the master has of its builds. Builds of the Hello that are not here are to be forgotten:
    /// stopped if they run, and their files deleted.
    Welcome {
        /// The version the master speaks.
        version: Version,
        /// The master's bb.
        bb: String,
        /// How far the master is with each build it still waits for.
        builds: Vec<Have>,
    },
    /// The slave can't work here; the connection is closed after this.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// Run this build.
    Start(Box<Assignment>),
    /// Stop a build; it still reports its end, as cancelled.
    Cancel {
        /// Which.
        of: BuildRef,
        /// Why, for the log.
        reason: String,
    },
    /// All reports below this number are durable.
    ReportsAcknowledged {
        /// Which build.
        of: BuildRef,
        /// The number of the next report expected.
        next: u32,
    },
    /// All bytes of a step's file below this offset are durable.
    LogAcknowledged {
        /// Which build.
        of: BuildRef,
        /// Which file of which step.
        #[serde(rename = "step")]
        file: StepFile,
        /// The offset of the next byte expected.
        next: u64,
    },
    /// The master has everything of a build, or wants no more of it: its files can go.
    Forget {
        /// Which.
        of: BuildRef,
    },
    /// The admin's word on the slave's availability; the stricter of both counts.
    Availability {
        /// The admin's word.
        admin: Availability,
        /// The same in full; none from a master of version 1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        word: Option<Word>,
    },
}

/// How far the master is with a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Have {
    /// Which build.
    pub of: BuildRef,
    /// The number of the next report expected.
    pub next_report: u32,
    /// For each file of a step that there may be: which, and the offset of the next byte expected.
    pub logs: Vec<(StepFile, u64)>,
    /// Whether it is to be cancelled.
    pub cancel: bool,
}

/// A build to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The build, and the number to report under.
    pub of: BuildRef,
    /// Its project.
    pub project: ProjectName,
    /// Where to pull from with git, a path on the master: `/git/NAME.git`.
    pub git_path: String,
    /// The ref to fetch there; it holds `commit`.
    pub git_ref: String,
    /// The candidate's commit.
    pub commit: CommitId,
    /// The branch or stack it is for, for people.
    pub what: String,
    /// The builder, whole.
    pub builder: Builder,
    /// The weakest isolation allowed. The slave uses its strongest.
    pub isolation: Isolation,
    /// Limits set by the master's admin; the slave applies the stricter of these and its own.
    pub limits: Limits,
    /// Variables for every step, beside those that the slave knows (`BB_BUILD`, `BB_BUILDER`, `BB_CANDIDATE`, `BB_COMMIT`, `BB_LINKS`,
    /// `BB_SUMMARY`, `CI`). Of these the ones that begin with `BB_` are the build's properties, which no recipe replaces.
    pub env: Vec<(String, String)>,
}

/// Limits of a build.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest run of the whole build, in seconds.
    pub build_s: u64,
    /// Longest time without output, in seconds.
    pub silence_s: u64,
    /// Longest log of a step, in bytes; a step that prints more is ended.
    pub log_bytes: u64,
    /// Time between TERM and KILL, in seconds.
    pub grace_s: u64,
    /// Most bytes of files that a build keeps; none are where a master says nothing of it.
    #[serde(default)]
    pub artifact_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { build_s: 60 * 60, silence_s: 10 * 60, log_bytes: 256 << 20, grace_s: 10, artifact_bytes: 256 << 20 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_major_version_is_refused_with_words() {
        let said = Version { major: 2, minor: 0 }.check("0.9.0").unwrap_err().to_string();
        assert!(said.contains("speaks version 2.0") && said.contains("update bb on the master"), "{said}");
        assert!(Version { major: 1, minor: 7 }.check("0.2.0").is_ok());
    }

    proptest! {
        #[test]
        fn a_chunk_comes_back(build in 0i64.., fence in 0i64.., number: u32, offset: u64, bytes: Vec<u8>) {
            let file = StepFile::from(number);
            prop_assert_eq!(u32::from(file), number);
            let chunk = LogChunk { of: BuildRef { build: BuildId(build), fence: Fence(fence) }, file, offset };
            let frame = chunk.encode(&bytes);
            prop_assert_eq!(LogChunk::decode(&frame).unwrap(), (chunk, &bytes[..]));
        }

        #[test]
        fn any_frame_is_survived(frame: Vec<u8>) {
            let _ = LogChunk::decode(&frame);
        }
    }
}
