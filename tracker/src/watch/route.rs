//! How git itself is brought to a repository: which URL, which address, over which protocol and no other.

use super::PollError;
use crate::git::{Git, Run, Version, View, quoted};
use crate::source::{Scheme, SourcePolicy, SourceUrl};
use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::Arc;
use url::Host;

/// The way to a repository, with its addresses vetted and pinned, so that a name that changes can't lead elsewhere.
#[derive(Debug)]
pub(crate) struct Route {
    /// The URL for git.
    pub(crate) url: String,
    options: Vec<OsString>,
    protocol: &'static str,
    config: Vec<String>,
    env: Vec<(&'static str, OsString)>,
    /// Of a repository on this machine: the folders that git may read, as they were when they were checked.
    view: Option<Arc<View>>,
}

/// From this version on `upload-pack` never fetches by itself, so that a repository's configuration can't make it run something.
const SERVES_ANYBODY: Version = Version { major: 2, minor: 45 };

impl Route {
    pub(super) async fn to(git: &Git, policy: &SourcePolicy, url: &SourceUrl) -> Result<Self, PollError> {
        let mut route = Self {
            url: url.to_string(),
            options: Vec::new(),
            protocol: url.scheme().as_str(),
            config: Vec::new(),
            env: Vec::new(),
            view: None,
        };
        let Some((host, port)) = url.host_and_port() else {
            let view = url.view(policy)?;
            route.view = View::can_be_held().then(|| Arc::new(view));
            if let Some(path) = url.local_path().filter(|_| git.version() >= SERVES_ANYBODY) {
                let mut option = OsString::from("--upload-pack=");
                option.push(quoted(git.program().as_os_str()));
                option.push(" -c safe.directory=");
                option.push(quoted(path.as_os_str()));
                option.push(" -c safe.directory=");
                option.push(quoted(path.join(".git").as_os_str()));
                option.push(" upload-pack");
                route.options.push(option);
            }
            return Ok(route);
        };
        let addresses = vetted(policy, url, host, port).await?;
        let Some(first) = addresses.first() else {
            return Err(PollError::Unreachable { url: url.to_string(), why: "its name has no address".into() });
        };
        match url.scheme() {
            Scheme::Http | Scheme::Https => {
                if let Host::Domain(name) = host {
                    let list: Vec<String> = addresses.iter().map(bracketed).collect();
                    route.config.push(format!("http.curloptResolve={name}:{port}:{}", list.join(",")));
                }
            }
            Scheme::Git => {
                let path = url.as_str().splitn(4, '/').nth(3).unwrap_or_default();
                route.url = format!("git://{}:{port}/{path}", bracketed(first));
                route.env.push(("GIT_OVERRIDE_VIRTUAL_HOST", format!("{host}:{port}").into()));
            }
            Scheme::Ssh => {
                let alias = if port == 22 { host.to_string() } else { format!("[{host}]:{port}") };
                route.env.push(("GIT_SSH_COMMAND", git.ssh_command(Some((&first.to_string(), &alias)))));
                route.config.push("ssh.variant=ssh".to_owned());
            }
            Scheme::File => {}
        }
        Ok(route)
    }

    /// Gives a run the options that come before `--` and the URL.
    pub(crate) fn add_options(&self, run: Run) -> Run {
        self.options.iter().fold(run, |run, option| run.unnamed_arg(option, "--upload-pack=…"))
    }

    /// Gives a run what it needs to go this way and no other.
    pub(crate) fn prepare(&self, run: Run) -> Run {
        let run = run.env("GIT_ALLOW_PROTOCOL", self.protocol);
        let run = self.env.iter().fold(run, |run, (name, value)| run.env(name, value));
        let run = self.view.iter().fold(run, |run, view| run.sees_only(view.clone()));
        self.config.iter().fold(run, |run, setting| run.config(setting))
    }
}

fn bracketed(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

async fn vetted(
    policy: &SourcePolicy,
    url: &SourceUrl,
    host: &Host<String>,
    port: u16,
) -> Result<Vec<IpAddr>, PollError> {
    let name = match host {
        Host::Ipv4(v4) => return Ok(vec![IpAddr::V4(*v4)]),
        Host::Ipv6(v6) => return Ok(vec![IpAddr::V6(*v6)]),
        Host::Domain(name) => name,
    };
    let found = tokio::net::lookup_host((name.as_str(), port))
        .await
        .map_err(|error| PollError::Unreachable { url: url.to_string(), why: error.to_string() })?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    // One that is not allowed among them says what the name is for.
    match addresses.iter().find(|address| !policy.allows_address(**address)) {
        Some(bad) => Err(PollError::PrivateAddress { host: name.clone(), address: bad.to_string() }),
        None => Ok(addresses),
    }
}
