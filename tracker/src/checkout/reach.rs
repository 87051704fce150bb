//! How a build reaches the mirror's objects without being able to write them, and without a copy.

use super::place::Reach;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Makes the objects of the folder `from` those of `to`, where nothing is. Nobody but the slave is let in yet.
pub(super) fn reach(from: &Path, to: &Path, how: Reach) -> io::Result<()> {
    match how {
        Reach::Link => std::os::unix::fs::symlink(from, to),
        Reach::Files => {
            std::fs::create_dir(to)?;
            std::fs::set_permissions(to, PermissionsExt::from_mode(0o700))?;
            for entry in std::fs::read_dir(from)? {
                let entry = entry?;
                let name = entry.file_name();
                match name.to_str() {
                    Some("pack") => files(&entry.path(), &to.join("pack"), &|name| name.starts_with("pack-"))?,
                    Some("info") => {
                        files(&entry.path(), &to.join("info"), &|name| name == "commit-graph")?;
                        let graphs = entry.path().join("commit-graphs");
                        files(&graphs, &to.join("info/commit-graphs"), &|name| !name.ends_with(".lock"))?;
                    }
                    Some(loose) if loose.len() == 2 => {
                        files(&entry.path(), &to.join(loose), &|name| name.bytes().all(|b| b.is_ascii_hexdigit()))?;
                    }
                    _ => {}
                }
            }
            Ok(())
        }
    }
}

/// Links the files of a folder into another; on another file system, copies them.
fn files(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) -> io::Result<()> {
    let entries = match std::fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o755))?;
    for entry in entries {
        let entry = entry?;
        let (name, file) = (entry.file_name(), entry.path());
        if !name.to_str().is_some_and(wanted) || !entry.file_type()?.is_file() {
            continue;
        }
        let to = to.join(&name);
        let mode = entry.metadata()?.permissions().mode();
        if mode & 0o004 == 0 {
            // Whom the folder lets in may read it; nobody may write it.
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o444))?;
        }
        match std::fs::hard_link(&file, &to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                std::fs::copy(&file, &to)?;
            }
            linked => linked?,
        }
    }
    Ok(())
}
