//! Plays the queue and its peers in many drawn worlds, and prints what came of it: `cargo xtask bench queue` runs this, in
//! the release profile, and knows what is wanted.
//!
//! - `simulate figures RUNS SEED`: rows of `what TAB number TAB unit TAB peer`, the peer empty where there is none;
//! - `simulate histories NUMBER SEED`: the same of histories in which everything goes wrong; a broken promise is named;
//! - `simulate history SEED`: one of those, step by step.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod figures;
mod histories;
mod many;
mod times;

use std::process::ExitCode;

/// A row.
struct Row {
    what: String,
    number: f64,
    unit: &'static str,
    peer: Option<f64>,
}

impl Row {
    fn new(what: impl Into<String>, number: f64, unit: &'static str) -> Self {
        Self { what: what.into(), number, unit, peer: None }
    }

    fn beside(mut self, peer: f64) -> Self {
        self.peer = Some(peer);
        self
    }

    fn print(&self) {
        let peer = self.peer.map_or_else(String::new, |peer| peer.to_string());
        println!("{}\t{}\t{}\t{peer}", self.what, self.number, self.unit);
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Option<Vec<u64>> = args.iter().skip(1).map(|arg| arg.parse().ok()).collect();
    let answer = match (args.first().map(String::as_str), numbers.as_deref()) {
        (Some("figures"), Some([runs, seed])) => figures::all(*runs, *seed).and_then(|()| times::all(*seed)),
        (Some("histories"), Some([number, seed])) => histories::all(*number, *seed),
        (Some("history"), Some([seed])) => histories::one(*seed),
        _ => Err("usage: simulate figures RUNS SEED | histories NUMBER SEED | history SEED".to_owned()),
    };
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
