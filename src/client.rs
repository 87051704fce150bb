//! A client of a master's API: says where and who, asks, and turns problems into errors for the user.

use crate::error::CliError;
use crate::folders;
use protocol::ProjectName;
use protocol::api::{Problem, Project};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use url::Url;

/// Where the master is and who asks. Flags win over variables, variables over `bb login`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct MasterArgs {
    /// The master's URL
    #[arg(long, env = "BB_MASTER", value_name = "URL", global = true)]
    pub(crate) master: Option<Url>,
    /// A file that holds your token (BB_TOKEN may hold the token itself)
    #[arg(long, env = "BB_TOKEN_FILE", value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// The project, when the master has several
    #[arg(long, env = "BB_PROJECT", value_name = "NAME", global = true)]
    pub(crate) project: Option<ProjectName>,
}

/// What `bb login` remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// The master's URL.
    pub(crate) master: Url,
    /// The token.
    pub(crate) token: Option<String>,
}

impl Login {
    /// The file it is kept in, readable by its owner only.
    pub(crate) fn file() -> Result<PathBuf, CliError> {
        Ok(folders::config()?.join("login.toml"))
    }

    fn read() -> Result<Option<Self>, CliError> {
        let file = Self::file()?;
        match std::fs::read_to_string(&file) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|e| {
                CliError::new(format!("{}: {}", file.display(), e.message())).hint("run `bb login URL` again")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CliError::new(format!("{}: {error}", file.display()))),
        }
    }
}

/// A client of one master.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    master: Url,
    token: Option<String>,
    project: Option<ProjectName>,
}

impl Client {
    /// A client for the master that the arguments, the environment or `bb login` name.
    pub(crate) fn new(args: &MasterArgs) -> Result<Self, CliError> {
        Self::if_named(args)?.ok_or_else(|| {
            CliError::new("no master is named")
                .hint("say where it is with --master URL, with BB_MASTER, or once and for all with `bb login URL`")
        })
    }

    /// The same, if they name one.
    pub(crate) fn if_named(args: &MasterArgs) -> Result<Option<Self>, CliError> {
        let login = if args.master.is_none() { Login::read()? } else { Login::read().unwrap_or(None) };
        let Some(master) = args.master.clone().or_else(|| login.as_ref().map(|l| l.master.clone())) else {
            return Ok(None);
        };
        let token = match (&args.token_file, std::env::var("BB_TOKEN")) {
            (Some(file), _) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|e| CliError::new(format!("the token can't be read from {}: {e}", file.display())))?;
                Some(text.trim().to_owned())
            }
            (None, Ok(token)) if !token.trim().is_empty() => Some(token.trim().to_owned()),
            // A token is sent only to the master that it was given for.
            (None, _) => login.filter(|l| l.master == master).and_then(|l| l.token),
        };
        Self::of(master, token, args.project.clone()).map(Some)
    }

    /// A client for this master.
    pub(crate) fn of(master: Url, token: Option<String>, project: Option<ProjectName>) -> Result<Self, CliError> {
        let shown = tracker::source::url_without_secrets(master.as_str());
        if !matches!(master.scheme(), "http" | "https") {
            return Err(
                CliError::new(format!("`{shown}` is no master's URL")).hint("it begins with http:// or https://")
            );
        }
        // It is printed, and kept where a token is not.
        if shown != master.as_str() {
            return Err(CliError::new(format!("`{shown}`: a master's URL has no user, password or parameters in it"))
                .hint("give the token by BB_TOKEN, --token-file or `bb login`"));
        }
        if token.as_ref().is_some_and(|token| token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(CliError::new("what is given as the token can't be one: a token is one word of plain letters")
                .hint("see what BB_TOKEN, BB_TOKEN_FILE or --token-file hold, or run `bb login URL` again"));
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("bb/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(std::time::Duration::from_secs(10))
            .build()?;
        Ok(Self { http, master, token, project })
    }

    /// The whole URL of a path on the master.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.master.as_str().trim_end_matches('/'))
    }

    /// The project asked for, or the only one there is.
    pub(crate) async fn project(&self) -> Result<ProjectName, CliError> {
        if let Some(project) = &self.project {
            return Ok(project.clone());
        }
        let projects: Vec<Project> = self.get("/projects").await?;
        match projects.as_slice() {
            [one] => Ok(one.name.clone()),
            [] => Err(CliError::new("this master guards no project").hint("its admin names one in master.toml")),
            many => {
                let names: Vec<&str> = many.iter().map(|p| p.name.as_str()).collect();
                Err(CliError::new(format!("this master guards {} projects: {}", many.len(), names.join(", ")))
                    .hint("say which with --project NAME or BB_PROJECT"))
            }
        }
    }

    /// The API path of a project's part: `/projects/NAME/…`.
    pub(crate) async fn in_project(&self, rest: &str) -> Result<String, CliError> {
        Ok(format!("/projects/{}{rest}", self.project().await?))
    }

    /// Asks for a value.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.read(self.send(Method::GET, path, None::<&()>).await?).await
    }

    /// Asks for a value that may not be there.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, CliError> {
        let response = self.ask(Method::GET, path, None::<&()>).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.read(self.accepted(response).await?).await.map(Some)
    }

    /// Does something, and returns what the master says of it.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        self.read(self.send(Method::POST, path, Some(body)).await?).await
    }

    /// Deletes something.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.read(self.send(Method::DELETE, path, None::<&()>).await?).await
    }

    /// Asks for bytes, as they come.
    pub(crate) async fn stream(&self, path: &str) -> Result<Response, CliError> {
        self.send(Method::GET, path, None::<&()>).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Response, CliError> {
        self.accepted(self.ask(method, path, body).await?).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Response, CliError> {
        let mut request = self.http.request(method, self.url(&format!("/api/v1{path}")));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| {
            CliError::new(format!("the master at {} can't be reached: {}", self.master, innermost(&error)))
                .hint("is it running, and is the URL right? (`bb up` or `bb master run` starts one)")
                .passing(true)
        })
    }

    /// What the master said, unless it said no.
    async fn accepted(&self, response: Response) -> Result<Response, CliError> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let said = serde_json::from_str::<Problem>(&text).map_or_else(
            |_| CliError::new(format!("{} answered {status}, which is not how a bb master says no", self.master)),
            CliError::of_problem,
        );
        // A proxy before a master that is restarted, or the master itself while its store is away.
        Err(said.passing(matches!(status.as_u16(), 502..=504)))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, CliError> {
        let bytes = response.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            CliError::new(format!("{} answered what this bb does not understand: {error}", self.master))
                .hint("is the master of the same version? `bb --version` here, the foot of its pages there")
        })
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
