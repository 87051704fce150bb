//! Where bb keeps its things on a user's machine: the XDG folders.

use crate::error::CliError;
use std::env;
use std::path::PathBuf;

/// Settings: `$XDG_CONFIG_HOME/bb`, else `~/.config/bb`.
pub(crate) fn config() -> Result<PathBuf, CliError> {
    below("XDG_CONFIG_HOME", ".config")
}

/// State: `$XDG_DATA_HOME/bb`, else `~/.local/share/bb`.
pub(crate) fn data() -> Result<PathBuf, CliError> {
    below("XDG_DATA_HOME", ".local/share")
}

fn below(variable: &str, default: &str) -> Result<PathBuf, CliError> {
    // The standard wants relative paths in these variables ignored.
    if let Some(folder) = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Ok(folder.join("bb"));
    }
    match env::home_dir().filter(|home| home.is_absolute()) {
        Some(home) => Ok(home.join(default).join("bb")),
        None => Err(CliError::new(format!("neither {variable} nor HOME is set to a folder"))
            .hint("set HOME, or say where with --basedir")),
    }
}
