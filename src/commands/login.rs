//! `bb login URL`

use crate::client::{Client, Login, MasterArgs};
use crate::error::CliError;
use crate::print;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::ExitCode;
use url::Url;

/// Remember a master and your token for the commands after this one
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb login http://127.0.0.1:8010 --token-file maintainer.token
  echo \"$TOKEN\" | bb login https://bb.example.org")]
pub(crate) struct Args {
    /// The master's URL
    url: Url,
}

pub(crate) async fn run(args: Args, master: &MasterArgs) -> Result<ExitCode, CliError> {
    let token = match &master.token_file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|e| CliError::new(format!("the token can't be read from {}: {e}", file.display())))?,
        None => {
            eprintln!("Give the token, then end with Ctrl-D:");
            let mut text = String::new();
            std::io::stdin().take(4096).read_to_string(&mut text)?;
            text
        }
    };
    let token = token.trim().to_owned();
    let client = Client::of(args.url.clone(), Some(token.clone()), None)?;
    let who: serde_json::Value = client.get("/whoami").await?;
    let login = Login { master: args.url, token: Some(token) };
    let file = Login::file()?;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut open = std::fs::OpenOptions::new();
    let mut out = open.write(true).create(true).truncate(true).mode(0o600).open(&file)?;
    out.write_all(toml::to_string(&login)?.as_bytes())?;
    let text = |key: &str| who.get(key).and_then(|v| v.as_str()).unwrap_or("?").to_owned();
    print::out(&format!(
        "Logged in at {} as {}, {}\n",
        login.master,
        print::safe(&text("name")),
        print::safe(&text("kind"))
    ))?;
    Ok(ExitCode::SUCCESS)
}
