//! Why a text is no source.

use crate::Explain;
use protocol::Hint;

/// The longest URL, in bytes.
pub(super) const MAX_LEN: usize = 2000;

/// A URL that is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the message names: the URL shortened and made visible")]
pub enum UrlRefused {
    #[error("no URL was given")]
    Empty,
    #[error("the URL `{text}` has {len} bytes; at most {MAX_LEN} are allowed")]
    TooLong { text: String, len: usize },
    #[error("the URL `{text}` has control or invisible characters in it")]
    ControlCharacters { text: String },
    #[error("`{text}` begins with `-`, as an option does, in its {part}")]
    Option { text: String, part: &'static str },
    #[error("the URL `{text}` has the scheme `{scheme}`, which is not allowed; allowed are {allowed}")]
    Scheme { text: String, scheme: String, allowed: String },
    #[error("`{text}` is ssh's short form, which is not taken")]
    ShortSsh { text: String, long: String },
    #[error("the URL `{text}` is not one of a repository: {why}")]
    Malformed { text: String, why: String },
    #[error("the URL for {host} holds a user name or password")]
    Credentials { host: String },
    #[error("the URL `{text}` leads to {address}, which is not an address of the public network")]
    PrivateAddress { text: String, address: String },
    #[error("`{text}` is neither a URL nor an absolute path")]
    LocalRelative { text: String },
    #[error(
        "`{text}` is a place on this machine, and no repository that may be published is there: none at all, or the folders that the admin allows do not hold all of it"
    )]
    LocalNotAllowed { text: String },
    #[error(
        "the repository at `{text}` is another user's, and this system can't hold git to that folder while it reads it"
    )]
    LocalNotHeld { text: String },
}

impl Explain for UrlRefused {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "url-empty",
            Self::TooLong { .. } => "url-too-long",
            Self::ControlCharacters { .. } => "url-control-characters",
            Self::Option { .. } => "url-option",
            Self::Scheme { .. } => "url-scheme",
            Self::ShortSsh { .. } => "url-short-ssh",
            Self::Malformed { .. } => "url-malformed",
            Self::Credentials { .. } => "url-credentials",
            Self::PrivateAddress { .. } => "url-private-address",
            Self::LocalRelative { .. } | Self::LocalNotAllowed { .. } => "url-local-not-allowed",
            Self::LocalNotHeld { .. } => "url-local-not-held",
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Empty | Self::TooLong { .. } | Self::Malformed { .. } | Self::Option { .. } => {
                Hint::new("give the URL that `git clone` takes, such as https://host/path/repo.git")
            }
            Self::ControlCharacters { .. } => Hint::new("type the URL anew instead of pasting it"),
            Self::Scheme { .. } => Hint::new("publish the repository in one of the allowed ways"),
            Self::ShortSsh { long, .. } => Hint::new(format!("write it as {long}")),
            Self::Credentials { .. } => Hint::new(
                "publish where anybody can fetch, give the URL without user name and password, and change a password that was in it",
            ),
            Self::PrivateAddress { .. } => Hint::new(
                "publish where the master can reach it from outside, or an admin lists the network in `allow_private`",
            ),
            Self::LocalRelative { .. } => Hint::new(
                "give the URL that `git clone` takes, or the whole path of a repository on the master's machine",
            ),
            Self::LocalNotAllowed { .. } => Hint::new(
                "check the path, or publish over https; or an admin lists its folder, and all that it takes data from, in `allow_local`",
            ),
            Self::LocalNotHeld { .. } => Hint::new(
                "publish over https, or an admin runs the master on Linux 5.13 or newer with Landlock enabled",
            ),
        }
    }
}
