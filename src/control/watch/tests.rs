//! The watch on real folders. What is waited for is an event, never a time.

use std::io::Write as _;
use std::os::unix::fs::symlink;

use super::*;
use crate::config::Inputs as _;
use crate::control::Inputs;

/// Watches these, and has looked at them once.
async fn watching(files: &[&Path], open: &[&Path]) -> Watch {
    let mut watch = Watch::new();
    watch.set(
        files.iter().copied(),
        open.iter().map(|path| path.to_path_buf()),
    );
    watch.changed().await; // what is new is looked at once
    watch
}

/// The next change that an event tells of: the poll would come too late.
async fn told(watch: &mut Watch) {
    let far = std::time::Duration::from_hours(1);
    watch.polled = Instant::now() + far;
    let patience = std::time::Duration::from_secs(20);
    let change = tokio::time::timeout(patience, watch.changed()).await;
    change.expect("no event told of it");
}

/// What lies beside the first file is not read twice at the start, unless it changed.
#[tokio::test]
async fn before_it_is_known_what_matters() {
    for (changes, dirty) in [(false, false), (true, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (main, other) = (folder.path().join("a.toml"), folder.path().join("b"));
        fs::write(&main, "").unwrap();
        fs::write(&other, "").unwrap();
        let mut watch = Watch::new();
        watch.early(&main);
        fs::write(folder.path().join("c"), "").unwrap();
        if changes {
            fs::write(&other, "x").unwrap();
        }
        // Events come in order, and this makes one more.
        let told = |watch: &Watch| {
            let early = watch.early.lock().unwrap();
            let last =
                |event: &notify::Event| event.paths.iter().any(|path| path.ends_with("last"));
            early.as_ref().unwrap().iter().any(last)
        };
        fs::create_dir_all(folder.path().join("last")).unwrap();
        while !told(&watch) {
            tokio::task::yield_now().await;
        }
        watch.set(
            [main.as_path(), other.as_path()].into_iter(),
            std::iter::empty(),
        );
        assert_eq!(watch.pace.due().is_some(), dirty, "changes: {changes}");
    }
}

/// What lies elsewhere is not read twice either: who reads it tells of it before.
#[tokio::test]
async fn what_is_foreseen() {
    for (foreseen, changes, dirty) in [
        (true, false, false),
        (true, true, true),
        (false, false, true),
    ] {
        let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
        let [main, key, linked, open] = folders.each_ref().map(tempfile::TempDir::path);
        let (main, key, link) = (main.join("a.toml"), key.join("b"), key.join("c"));
        fs::write(&main, "").unwrap();
        fs::write(&key, "").unwrap();
        fs::write(linked.join("c"), "").unwrap();
        symlink(linked.join("c"), &link).unwrap();
        let mut watch = Watch::new();
        watch.early(&main);
        let foresight = Foresight::of(watch);
        let mut inputs = Inputs::default();
        if foreseen {
            inputs = inputs.foreseen_by(&foresight);
        }
        inputs.file(&key).unwrap();
        inputs.lines(&link).unwrap();
        inputs.glob(&format!("{}/*", open.display())).unwrap();
        if changes {
            fs::write(linked.join("c"), "x").unwrap();
        }
        let mut watch = foresight.take().unwrap();
        let told = |watch: &Watch| {
            let early = watch.early.lock().unwrap();
            let of = |event: &notify::Event| event.paths.iter().any(|path| path.ends_with("c"));
            early.as_ref().unwrap().iter().any(of)
        };
        while changes && !told(&watch) {
            tokio::task::yield_now().await;
        }
        watch.set(
            [&*main, &key, &link].into_iter(),
            [open.to_owned()].into_iter(),
        );
        assert_eq!(watch.pace.due().is_some(), dirty, "{foreseen} {changes}");
        inputs.file(&main).unwrap(); // nobody is there any more
    }
}

#[tokio::test]
async fn a_log_that_grows_and_is_rotated_beside_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("a.toml"), folder.path().join("log"));
    fs::write(&file, "").unwrap();
    let mut open = fs::File::create(&log).unwrap();
    let mut watch = watching(&[&file], &[]).await;
    for _ in 0..10 {
        open.write_all(b"line").unwrap();
    }
    drop(open);
    fs::rename(&log, folder.path().join("log.1")).unwrap();
    fs::remove_file(folder.path().join("log.1")).unwrap();
    // Events come in order, and this makes exactly one.
    fs::remove_file(&file).unwrap();
    assert_eq!(watch.events.recv().await, Some(News::Written));
    assert!(watch.events.try_recv().is_err(), "the log was told of");
}

#[tokio::test]
async fn what_is_watched_from_now_on_does_not_hurry_what_is_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let (half, other) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
    fs::write(&half, "whole").unwrap();
    fs::write(&other, "").unwrap();
    let mut watch = watching(&[&half], &[]).await;
    let mut open = fs::File::create(&half).unwrap();
    open.write_all(b"half").unwrap();
    let told = watch.events.recv().await.unwrap();
    assert_eq!(told, News::Open);
    watch.pace.note(told, Instant::now());
    let due = watch.pace.due();
    watch.set([&*half, &other].into_iter(), std::iter::empty());
    assert_eq!(watch.pace.due(), due);
}

#[tokio::test]
async fn what_replaces_a_file_its_folder_or_a_link_to_it() {
    let root = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(root.path()).unwrap();
    let deep = root.join("deep");
    for name in ["one", "two", "deep/conf", "deep/fresh"] {
        fs::create_dir_all(root.join(name)).unwrap();
        fs::write(root.join(name).join("a.toml"), name).unwrap();
    }
    symlink("one", root.join("current")).unwrap();
    let (linked, plain) = (root.join("current/a.toml"), deep.join("conf/a.toml"));
    let mut watch = watching(&[&linked, &plain], &[]).await;
    assert!(!watch.folders.contains_key(&deep), "only while it must be");

    symlink("two", root.join("next")).unwrap();
    fs::rename(root.join("next"), root.join("current")).unwrap();
    told(&mut watch).await;
    // Of where the link leads now.
    fs::write(root.join("two/a.toml"), "2").unwrap();
    told(&mut watch).await;

    fs::rename(deep.join("conf"), deep.join("old")).unwrap();
    fs::rename(deep.join("fresh"), deep.join("conf")).unwrap();
    told(&mut watch).await;
    // The folder that has the name now.
    fs::write(&plain, "newer").unwrap();
    told(&mut watch).await;

    fs::remove_dir_all(deep.join("conf")).unwrap();
    told(&mut watch).await;
    assert!(watch.folders.contains_key(&deep), "where it will appear");
    fs::create_dir(deep.join("conf")).unwrap();
    fs::write(&plain, "back").unwrap();
    told(&mut watch).await;
    fs::write(&plain, "again").unwrap();
    told(&mut watch).await;
}

/// What no event tells of: the file is written through another name of it.
#[tokio::test]
async fn what_the_poll_compares() {
    let root = tempfile::tempdir().unwrap();
    let (file, other) = (root.path().join("in/a"), root.path().join("out/a"));
    fs::create_dir(root.path().join("in")).unwrap();
    fs::create_dir(root.path().join("out")).unwrap();
    fs::write(&file, "one").unwrap();
    fs::hard_link(&file, &other).unwrap();
    let watch = watching(&[&file], &[]).await;
    assert_eq!(watch.looks(), watch.seen);
    let before = fs::metadata(&other).unwrap().modified().unwrap();
    tick(root.path());
    fs::write(&other, "three").unwrap();
    assert_ne!(watch.looks(), watch.seen);
    // Also when it is as long as it was, and says that it is as old.
    let watch = watching(&[&file], &[]).await;
    tick(root.path());
    let same = fs::File::options().write(true).open(&other).unwrap();
    (&same).write_all(b"seven").unwrap();
    same.set_modified(before).unwrap();
    assert_ne!(watch.looks(), watch.seen);
}

/// Until the clock of the file system shows another time.
fn tick(folder: &Path) {
    let (first, second) = (folder.join("first"), folder.join("second"));
    fs::write(&first, "").unwrap();
    let changed = |path: &Path| Look::at(path).map(|look| look.changed);
    loop {
        fs::write(&second, "").unwrap();
        if changed(&second) != changed(&first) {
            return;
        }
    }
}
