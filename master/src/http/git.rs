//! git over HTTP, read only: mainline, revisions and candidates, for anybody with a plain git.
