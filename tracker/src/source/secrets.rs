//! Passwords and tokens in what people type: nobody is shown them again, not even the one who typed them.

/// A URL, or what was meant as one, without what may be a secret: all between its scheme and the host, and its parameters,
/// in a query or in its path. The name of a user of ssh is none.
pub fn url_without_secrets(text: &str) -> String {
    let (front, rest) = match text.find("//") {
        Some(at) => text.split_at(at + 2),
        // ssh's short form: only with a password is something to be hidden.
        None => match text.rsplit_once('@') {
            Some((who, host)) if who.contains(':') => return format!("…@{}", without_parameters(host)),
            _ => return without_parameters(text),
        },
    };
    match rest.rsplit_once('@') {
        Some((who, host)) if secret(front, who) => format!("{front}…@{}", without_parameters(host)),
        _ => format!("{front}{}", without_parameters(rest)),
    }
}

/// Where a server leads on to, without what may be a secret: of its parameters only short ones stay whose names say nothing of
/// that kind, so that a page to sign in at is known for what it is.
pub(crate) fn redirect_without_secrets(text: &str) -> String {
    const SECRET: [&str; 11] =
        ["token", "secret", "key", "pass", "sig", "auth", "cred", "code", "session", "ticket", "jwt"];
    let is_harmless = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let name = name.to_ascii_lowercase();
        value.len() <= 16 && name.len() <= 16 && SECRET.iter().all(|word| !name.contains(word))
    };
    match text.split_once('?') {
        Some((place, query)) if parameters(place).is_none() && query.split('&').all(is_harmless) => {
            format!("{}?{query}", url_without_secrets(place))
        }
        _ => url_without_secrets(text),
    }
}

/// What begins parameters, or their values. No URL of a repository needs one, and a token often stands behind it.
const PARAMETERS: [&str; 8] = ["?", "#", ";", "&", "=", "%3b", "%26", "%3d"];

/// What of these is first in a text, and where.
pub(super) fn parameters(text: &str) -> Option<(usize, &'static str)> {
    let text = text.to_ascii_lowercase();
    PARAMETERS.iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min()
}

fn without_parameters(text: &str) -> String {
    match parameters(text) {
        Some((at, mark)) if text.len() > at + mark.len() => format!("{}…", &text[..at + mark.len()]),
        _ => text.to_owned(),
    }
}

/// Whether what stands before the last `@` of a URL may be a secret, and is not only a path with an `@` in it.
fn secret(front: &str, who: &str) -> bool {
    let path_only = who.contains('/') && !who.contains(':');
    let user_only = front.ends_with("ssh://") && !who.contains(':');
    !path_only && !user_only
}

/// A sentence in which the URLs are without secrets.
pub fn without_secrets(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '`' | '"' | '<' | '>');
    text.split_inclusive(ends)
        .map(|word| {
            let bare = word.trim_end_matches(ends);
            let url = bare.contains("//") || bare.contains('@');
            if url { url_without_secrets(bare) + &word[bare.len()..] } else { word.to_owned() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        for (typed, is) in [
            ("https://ann:s3cret@example.org/r.git", "https://…@example.org/r.git"),
            ("https://s3cret@example.org/r.git", "https://…@example.org/r.git"),
            ("HTTPS://ann:s3c/re@t@example.org/r.git", "HTTPS://…@example.org/r.git"),
            ("https://ann:s3c ret@example.org/r.git", "https://…@example.org/r.git"),
            ("ftp://ann:s3cret@example.org", "ftp://…@example.org"),
            ("//ann:s3cret@example.org", "//…@example.org"),
            ("ann:s3cret@example.org:r.git", "…@example.org:r.git"),
            ("ssh://git:s3cret@example.org/r.git", "ssh://…@example.org/r.git"),
            ("https://example.org/r.git?access_token=s3cret", "https://example.org/r.git?…"),
            ("https://example.org/r.git;token=s3cret", "https://example.org/r.git;…"),
            ("https://example.org/r.git%3Btoken=s3cret", "https://example.org/r.git%3B…"),
            ("https://example.org/token=s3cret/r.git", "https://example.org/token=…"),
            ("https://example.org/r.git#s3cret", "https://example.org/r.git#…"),
            ("example.org/r.git;token=s3cret", "example.org/r.git;…"),
            ("git@example.org:r.git?token=s3cret", "git@example.org:r.git?…"),
            ("https://ann:s3cret@example.org/r.git;s3cret", "https://…@example.org/r.git;…"),
        ] {
            assert_eq!(url_without_secrets(typed), is);
        }
        for plain in [
            "https://example.org/r.git",
            "https://example.org/@ann/r.git",
            "ssh://git@example.org/r.git",
            "git@example.org:r.git",
            "/srv/r.git",
            "load-balancing",
            "",
        ] {
            assert_eq!(url_without_secrets(plain), plain);
        }
    }

    #[test]
    fn a_redirect_is_told_as_far_as_it_is_no_secret() {
        for (to, is) in [
            ("https://ann:s3cret@example.org/login?next=r.git", "https://…@example.org/login?next=r.git"),
            ("https://example.org/r.git?X-Sig=s3cret&next=r.git", "https://example.org/r.git?…"),
            ("https://example.org/r.git?s3cret-of-some-length", "https://example.org/r.git?…"),
            ("https://example.org/r.git;s3cret?next=r.git", "https://example.org/r.git;…"),
        ] {
            assert_eq!(redirect_without_secrets(to), is);
        }
    }

    #[test]
    fn sentences_stay_as_they_are() {
        let plain =
            "give the URL that `git clone` takes, such as https://host/path/repo.git, or ask admin@example.org?  \n";
        assert_eq!(without_secrets(plain), plain);
        let told = without_secrets("can't take \"https://ann:s3cret@example.org/r.git\": see https://example.org/help");
        assert_eq!(told, "can't take \"https://…@example.org/r.git\": see https://example.org/help");
    }
}
