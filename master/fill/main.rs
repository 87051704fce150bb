//! Fills a master's store for `cargo xtask bench big`: `fill STORE-URL HISTORY-FILE BUILDS SLAVES`.
#![allow(clippy::print_stderr)]

use master::store::{Fill, Store};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, history, builds, slaves] = &args[..] else {
        eprintln!("fill STORE-URL HISTORY-FILE BUILDS SLAVES");
        return ExitCode::FAILURE;
    };
    match fill(url, history, builds, slaves).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn fill(url: &str, history: &str, builds: &str, slaves: &str) -> Result<(), Box<dyn std::error::Error>> {
    let history = std::fs::read_to_string(history)?;
    let store = Store::open(url).await?;
    store.fill(&Fill { history: &history, builds: builds.parse()?, slaves: slaves.parse()? }).await?;
    store.close().await;
    Ok(())
}
