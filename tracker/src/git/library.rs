//! libgit2, kept from the settings of whoever runs this: a master's and a slave's repositories are bb's own, and neither
//! a home that can't be read nor an odd line in `~/.gitconfig` is any of their business.

use git2::ConfigLevel;
use std::sync::Once;

/// Bytes of commits and folders that libgit2 remembers in this process at most, of all repositories together: some stay open, and
/// strangers choose how much there is to read.
const REMEMBERED: isize = 16 << 20;

/// Lets libgit2 read no configuration of the system's or the user's in this process from now on. Called wherever bb's
/// own repositories are opened; not by what works on a user's own clone, where the user's settings count.
pub(crate) fn ignore_user_settings() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: as below.
        #[allow(unsafe_code)]
        let bounded = unsafe { git2::opts::set_cache_max_size(REMEMBERED) };
        if let Err(error) = bounded {
            tracing::warn!(%error, "what libgit2 remembers can't be bounded");
        }
        for level in [ConfigLevel::ProgramData, ConfigLevel::System, ConfigLevel::XDG, ConfigLevel::Global] {
            // SAFETY: it writes to memory of the whole process. `Once` lets nobody past before it is done, and all who
            // open a repository of bb's come by here first; nothing else in a master or slave uses libgit2.
            #[allow(unsafe_code)]
            let set = unsafe { git2::opts::set_search_path(level, "") };
            if let Err(error) = set {
                tracing::warn!(%error, "libgit2 can't be kept from the user's settings");
            }
        }
    });
}
