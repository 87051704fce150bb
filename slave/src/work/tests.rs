#![allow(clippy::unwrap_used)]
use super::*;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join("top");
    fs::create_dir(&top).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut at = openat(CWD, &top, flags, Mode::empty()).unwrap();
    for _ in 0..1500 {
        mkdirat(&at, "deeper", Mode::RWXU).unwrap();
        rustix::fs::symlinkat("/etc", &at, "out").unwrap();
        at = openat(&at, "deeper", flags, Mode::empty()).unwrap();
    }
    drop(at);
    remove_all(&top).unwrap();
    assert!(!top.exists());
}

#[test]
fn links_are_removed_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, gone) = (folder.path().join("kept"), folder.path().join("gone"));
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("file"), "x").unwrap();
    std::os::unix::fs::symlink(&kept, &gone).unwrap();
    remove_all(&gone).unwrap();
    assert!(gone.symlink_metadata().is_err());
    fs::create_dir(&gone).unwrap();
    std::os::unix::fs::symlink(&kept, gone.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", gone.join("dangling")).unwrap();
    remove_all(&gone).unwrap();
    assert!(!gone.exists() && kept.join("file").exists());
    remove_all(&gone).unwrap();
    remove_all(&folder.path().join("no/such")).unwrap();
    assert!(remove_all(Path::new("/")).is_err());
}

#[test]
fn folders_without_permissions_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("locked/inner");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("file"), "x").unwrap();
    for path in [inner.as_path(), inner.parent().unwrap()] {
        fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
    }
    remove_all(&folder.path().join("locked")).unwrap();
    assert!(!folder.path().join("locked").exists());
}

#[tokio::test]
async fn a_slot_is_one_build_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let slots = Arc::new(Slots::create(folder.path(), &[None, None], "x.").unwrap());
    let (one, two) = (slots.take().await.unwrap(), slots.take().await.unwrap());
    assert_eq!((one.mark(), two.mark()), ("x.0.", "x.1."));
    assert_ne!(one.work(), two.work());
    let waiting = tokio::spawn({
        let slots = Arc::clone(&slots);
        async move { slots.take().await.unwrap().work() }
    });
    let freed = two.work();
    drop(two);
    assert_eq!(waiting.await.unwrap(), freed);
}

#[test]
fn work_is_done_where_the_builds_user_can_go() {
    let basedir = tempfile::tempdir().unwrap();
    let path = basedir.path();
    let own = path.join("work");
    fs::set_permissions(path, Permissions::from_mode(0o711)).unwrap();
    assert_eq!(work_folder(path, None, true), own);
    fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
    assert_eq!(work_folder(path, None, false), own);
    let elsewhere = work_folder(path, None, true);
    assert!(elsewhere.starts_with("/var/lib/bb/work"), "{}", elsewhere.display());
    assert_eq!(work_folder(path, None, true), elsewhere);
    assert_eq!(work_folder(path, Some(Path::new("/srv/w")), true), Path::new("/srv/w"));
    assert_eq!(work_folder(path, Some(Path::new("w")), true), path.join("w"));
}
