//! The pages: plain HTML made of the very values that the API answers with, by templates that a user can override.
//!
//! A page's words are chosen here, in one function a page; templates only place them. Everything that is placed is
//! escaped, and characters that can't be seen are made visible. Nothing here reads the store or knows who may do what:
//! that comes in the [`Context`].

mod artifacts;
mod branch;
mod branches;
mod build;
mod builds;
mod error;
mod frame;
mod helpers;
mod locks;
mod log;
mod login;
mod overview;
mod parts;
mod projects;
mod publish;
mod queue;
mod review;
mod revisions;
mod slaves;
mod tested;
mod together;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use branch::May as MayBranch;
pub(crate) use branches::Narrowed;
pub(crate) use build::{May as MayBuild, log_parts};
pub(crate) use builds::AskedBuilds;
pub(crate) use frame::{Context, Notice, Reader};
pub(crate) use log::LiveLog;
pub(crate) use publish::Filled;
pub(crate) use review::About;
pub(crate) use slaves::{LOCK_WAITERS, Shown as ShownSlaves};
pub(crate) use words::capital;

use handlebars::Handlebars;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

#[derive(RustEmbed)]
#[folder = "../templates"]
struct Embedded;

/// The largest file that a user's folder may bring, in bytes.
const LARGEST: u64 = 1 << 20;

/// Why pages can't be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself")]
pub enum PagesError {
    #[error("{}: {source}; mend it, or take it away to use bb's own", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: larger than {LARGEST} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{file}: {source}")]
    Template { file: String, source: Box<handlebars::TemplateError> },
    #[error("the page {page} can't be made: {source}")]
    Render { page: &'static str, source: Box<handlebars::RenderError> },
}

/// A file that pages load: the style sheet, the script, the icon.
#[derive(Debug)]
pub(crate) struct Asset {
    name: &'static str,
    /// Where it is: with a hash of its bytes, so that it can be cached for ever.
    pub(crate) path: String,
    /// Its media type.
    pub(crate) kind: &'static str,
    /// Its bytes.
    pub(crate) bytes: Cow<'static, [u8]>,
}

const ASSETS: &[(&str, &str)] =
    &[("bb.css", "text/css; charset=utf-8"), ("bb.js", "text/javascript; charset=utf-8"), ("bb.svg", "image/svg+xml")];

/// The templates, ready to be filled.
#[derive(Debug)]
pub struct Pages {
    templates: Arc<Handlebars<'static>>,
    assets: Vec<Asset>,
}

impl Pages {
    /// Reads the templates: those of `folder`, if it is given and has them, else bb's own.
    ///
    /// # Errors
    /// When a file can't be read or is no template; the error names it.
    pub fn new(folder: Option<&Path>) -> Result<Self, PagesError> {
        let mut templates = Arc::clone(own_templates()?);
        for (name, file) in template_files() {
            if let Some((bytes, shown)) = folder.map_or(Ok(None), |folder| overriding(folder, &file))? {
                register(Arc::make_mut(&mut templates), &name, &bytes, shown)?;
            }
        }
        let mut assets = Vec::with_capacity(ASSETS.len());
        for (name, kind) in ASSETS {
            let (bytes, _) = read(folder, &format!("static/{name}"))?;
            let hash = Sha256::digest(&bytes).iter().take(6).fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            assets.push(Asset { name, path: format!("/static/{hash}/{name}"), kind, bytes });
        }
        Ok(Self { templates, assets })
    }

    /// The file at this path, if there is one.
    pub(crate) fn asset(&self, path: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.path == path)
    }

    fn asset_path(&self, name: &str) -> &str {
        self.assets.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.path)
    }

    /// Fills a template: the frame around it, then what the page shows.
    fn render<T: Serialize>(&self, page: &'static str, frame: frame::Frame, view: T) -> Result<String, PagesError> {
        #[derive(Serialize)]
        struct Whole<T> {
            frame: frame::Frame,
            #[serde(flatten)]
            view: T,
        }
        self.templates
            .render(page, &Whole { frame, view })
            .map_err(|source| PagesError::Render { page, source: Box::new(source) })
    }
}

/// bb's own templates: read once in a process, because that takes longer than all else of a master's start.
fn own_templates() -> Result<&'static Arc<Handlebars<'static>>, PagesError> {
    static OWN: OnceLock<Arc<Handlebars<'static>>> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    let mut templates = Handlebars::new();
    templates.set_strict_mode(true);
    templates.register_escape_fn(helpers::escape);
    helpers::register(&mut templates);
    for (name, file) in template_files() {
        let (bytes, shown) = embedded(&file);
        register(&mut templates, &name, &bytes, shown)?;
    }
    Ok(OWN.get_or_init(|| Arc::new(templates)))
}

/// The name and the file of each template.
fn template_files() -> impl Iterator<Item = (String, Cow<'static, str>)> {
    Embedded::iter().filter_map(|file| Some((file.strip_suffix(".hbs")?.to_owned(), file)))
}

fn register(templates: &mut Handlebars<'static>, name: &str, bytes: &[u8], shown: String) -> Result<(), PagesError> {
    let text = String::from_utf8_lossy(bytes);
    templates
        .register_template_string(name, text.trim_end())
        .map_err(|source| PagesError::Template { file: shown, source: Box::new(source) })
}

/// A file's bytes and its name for errors: the user's, if there is a folder that has it, else bb's own.
fn read(folder: Option<&Path>, file: &str) -> Result<(Cow<'static, [u8]>, String), PagesError> {
    match folder.map_or(Ok(None), |folder| overriding(folder, file))? {
        Some((bytes, shown)) => Ok((bytes.into(), shown)),
        None => Ok(embedded(file)),
    }
}

/// The bytes of the file that a user's folder has in the place of bb's own, and its name for errors.
fn overriding(folder: &Path, file: &str) -> Result<Option<(Vec<u8>, String)>, PagesError> {
    let path = folder.join(file);
    match std::fs::metadata(&path) {
        Ok(found) if found.len() > LARGEST => Err(PagesError::TooLarge { path }),
        Ok(_) => {
            let bytes = std::fs::read(&path).map_err(|source| PagesError::Read { path: path.clone(), source })?;
            Ok(Some((bytes, path.display().to_string())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PagesError::Read { path, source }),
    }
}

fn embedded(file: &str) -> (Cow<'static, [u8]>, String) {
    let data = Embedded::get(file).map_or(Cow::Borrowed(&b""[..]), |EmbeddedFile { data, .. }| data);
    (data, format!("bb's own {file}"))
}
