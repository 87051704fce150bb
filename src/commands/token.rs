//! `bb token new | list | revoke`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe};
use crate::screen::{Cell, Screen};
use protocol::api::{MadeToken, NewToken, Token};
use std::process::ExitCode;

/// Make, list and revoke tokens
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb token new slave oak > oak.token
  bb token new publisher ann
  bb token revoke 7")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a token and print it, this once
    New {
        /// What it lets its bearer do
        #[arg(value_parser = ["maintainer", "publisher", "slave"])]
        kind: String,
        /// Whose it is: a person's name, or the slave's
        name: String,
        /// Trust the publisher: builds may run without isolation
        #[arg(long)]
        trusted: bool,
        #[command(flatten)]
        format: Format,
    },
    /// List tokens, never the secrets
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Revoke a token
    Revoke {
        /// Its number, as listed
        id: i64,
        #[command(flatten)]
        format: Format,
    },
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    match args.what {
        What::New { kind, name, trusted, format } => {
            let made: MadeToken = client.post("/tokens", &NewToken { kind, name, trusted }).await?;
            format.print(&made, |made| format!("{}\n", made.secret))?;
        }
        What::List { format } => {
            let tokens: Vec<Token> = client.get("/tokens").await?;
            format.show(&tokens, |tokens, screen| listing(tokens, screen))?;
        }
        What::Revoke { id, format } => {
            let token: Token = client.delete(&format!("/tokens/{id}")).await?;
            format.print(&token, |token| format!("Revoked token {} of {}\n", token.id, safe(&token.name)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The tokens.
pub(crate) fn listing(tokens: &[Token], screen: Screen) -> String {
    let head = ["id", "kind", "name", "made", "used", "revoked"];
    screen.list(&head, &tokens.iter().map(row).collect::<Vec<_>>(), "No token. Make one with `bb token new KIND NAME`.")
}

fn row(token: &Token) -> Vec<Cell> {
    vec![
        token.id.to_string().into(),
        if token.trusted { format!("{}, trusted", safe(&token.kind)) } else { safe(&token.kind) }.into(),
        safe(&token.name).into(),
        ago(token.made_ms).into(),
        token.used_ms.map_or_else(|| "never".to_owned(), ago).into(),
        token.revoked_ms.map_or_else(String::new, ago).into(),
    ]
}
