//! How much of a diff there may be.

use super::cost::CostLimits;

/// How much of a diff is told. What is left out is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DiffLimits {
    /// Files.
    pub files: usize,
    /// Lines of one file.
    pub lines_of_file: usize,
    /// Lines of all files together.
    pub lines: usize,
    /// Bytes of one file's lines.
    pub bytes_of_file: usize,
    /// Bytes of all lines together.
    pub bytes: usize,
    /// Bytes of all that is said beside lines: paths and notes.
    pub path_bytes: usize,
    /// The largest file whose lines are compared, in bytes.
    pub file_bytes: u32,
    /// Most lines of a file whose lines are compared.
    pub file_lines: usize,
    /// Characters of one line.
    pub line_chars: usize,
    /// What finding and comparing may cost.
    pub cost: CostLimits,
}

impl Default for DiffLimits {
    fn default() -> Self {
        Self {
            files: 300,
            lines_of_file: 2000,
            lines: 20_000,
            bytes_of_file: 384 << 10,
            bytes: 2 << 20,
            path_bytes: 384 << 10,
            file_bytes: 4 << 20,
            file_lines: 200_000,
            line_chars: 4000,
            cost: CostLimits::default(),
        }
    }
}
