//! Whole stories with the built program: a master, slaves and authors as on real machines. What the crates' own tests
//! show of each part is not shown again here; here it is shown that the parts are wired.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alone;

/// The program under test.
const BB: &str = env!("CARGO_BIN_EXE_bb");
