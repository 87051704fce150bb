//! Candidates: the merge that git would make, with ChangeLog folded.

use crate::support::{NEW_ENTRY, OLD_ENTRY, Repo, World, plain_git};
use protocol::CommitId;
use protocol::api::{ConflictFile, Refusal};
use tracker::candidate::{CandidateOutcome, CandidateRequest, Message};
use tracker::git::{Git, OLDEST_TO_MERGE};
use tracker::mirror::{Mirror, Named, Upkeep};

const FOLDED: &str = "2024-03-05  Ann  <ann@example.org>\n\n\t* b.c: Say hello.\n\n2023-01-01  Bob  <bob@example.org>\n\n\t* a.c: Start.\n";

fn refused(outcome: CandidateOutcome) -> Refusal {
    match outcome {
        CandidateOutcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn conflicts(outcome: CandidateOutcome) -> Vec<ConflictFile> {
    match outcome {
        CandidateOutcome::Conflict { files, left_out: 0 } => files,
        other => panic!("no conflict: {other:?}"),
    }
}

/// An author's one commit, admitted.
async fn published(world: &World, name: &str, files: &[(&str, &str)]) -> CommitId {
    let repo = world.author(name);
    for (path, text) in files {
        repo.write(path, text);
    }
    repo.commit("Change");
    world.admit(&repo, name, 1).await
}

#[tokio::test]
async fn a_fragment_is_folded_and_gone() {
    let world = World::new().await;
    let head = published(&world, "ann", &[("b.c", "hello\n"), ("repo.ChangeLog", NEW_ENTRY)]).await;
    let made = world.made("ann", &head).await;
    assert_eq!(world.file(&made.commit, "ChangeLog").await.as_deref(), Some(FOLDED));
    assert_eq!(world.file(&made.commit, "repo.ChangeLog").await, None);
    assert_eq!(world.file(&made.commit, "b.c").await.as_deref(), Some("hello\n"));
    assert_eq!((made.told.fragments.as_slice(), made.changes_recipe), (&["repo.ChangeLog".to_owned()][..], false));
    let [change] = made.told.changelogs.as_slice() else { panic!("{:?}", made.told.changelogs) };
    assert_eq!((change.before.as_slice(), change.after.as_slice()), (OLD_ENTRY.as_bytes(), FOLDED.as_bytes()));
    let told = world.mirror.commit(&made.commit).await.unwrap();
    assert_eq!((told.subject.as_str(), told.author.as_str()), ("Merge ann: Say hello", "Ann"));
    let mut git = plain_git();
    git.arg("-C").arg(world.mirror.path()).args(["log", "-1", "--format=%cn", made.commit.as_str()]);
    assert_eq!(String::from_utf8_lossy(&git.output().unwrap().stdout), "bb\n");
}

#[tokio::test]
async fn title_and_author_are_those_of_the_branch_s_own_commits() {
    let mut world = World::new().await;
    let ann = world.author("ann");
    let by = |who: &str, file: &str, message: &str| {
        ann.write(file, "x\n").git(&["add", "-A"]);
        ann.git(&["commit", "-q", "--author", &format!("{who} <{who}@example.org>"), "-m", message]);
    };
    world.official.write("m.c", "m\n").commit("Mainline's own");
    world.update().await;
    ann.git(&["fetch", "-q", world.official.path.to_str().unwrap()]);
    // Its history starts with a merge, of which nobody says anything.
    ann.git(&["commit", "-q", "--allow-empty", "-m", "\n\nAdd n\n\nWhy.\n"]);
    ann.git(&["merge", "-q", "--no-edit", "--no-ff", "-m", "Merge branch 'main'", "FETCH_HEAD"]);
    by("Eva", "e.c", "Add e");
    by("Eva", "f.c", "Add f");
    let head = world.admit(&ann, "ann", 1).await;
    let made = async |title: &str| {
        let mut request = world.request("ann", &head);
        request.message.title = title.to_owned();
        let CandidateOutcome::Made(made) = world.mirror.candidate(&request).await.unwrap() else { panic!() };
        let told = world.mirror.commit(&made.commit).await.unwrap();
        assert!(world.mirror.candidate_message(&request).await.unwrap().starts_with(&told.subject));
        (told.subject, told.author)
    };
    assert_eq!(made("").await, ("Merge ann: Add n".to_owned(), "Eva".to_owned()));
    assert_eq!(made(" \n").await.0, "Merge ann: Add n");
    assert_eq!(made("Published so").await.0, "Merge ann: Published so");
}

#[tokio::test]
async fn fragments_that_mainline_keeps_are_not_the_branch_s_to_fold() {
    let mut world = World::new().await;
    for n in 0..5 {
        world.official.write(&format!("changelog-fragments/{n}.ChangeLog"), OLD_ENTRY.replace("a.c", "k.c"));
    }
    world.official.commit("Kept");
    world.update().await;
    let ann = world.author("ann");
    ann.write("changelog-fragments/ann.ChangeLog", NEW_ENTRY);
    ann.write("changelog-fragments/3.ChangeLog", OLD_ENTRY.replace("a.c", "corrected.c")).commit("Change");
    let head = world.admit(&ann, "ann", 1).await;
    let made = world.made("ann", &head).await;
    assert_eq!(made.told.fragments, ["changelog-fragments/ann.ChangeLog"]);
    assert!(
        made.told.notes.iter().any(|note| note.starts_with("changelog-fragments/3.ChangeLog: corrected")),
        "{:?}",
        made.told.notes
    );
    let text = world.file(&made.commit, "ChangeLog").await.unwrap();
    assert!(!text.contains("k.c") && !text.contains("corrected.c"), "{text}");
    let kept = world.file(&made.commit, "changelog-fragments/3.ChangeLog").await.unwrap();
    assert!(kept.contains("corrected.c"), "{kept}");
}

#[tokio::test]
async fn the_same_request_gives_the_same_commit() {
    let world = World::new().await;
    let head = published(&world, "ann", &[("b.c", "hello\n"), ("repo.ChangeLog", NEW_ENTRY)]).await;
    let one = world.made("ann", &head).await;
    assert_eq!(world.made("ann", &head).await, one);
    let mut other = world.request("ann", &head);
    other.message = Message::default();
    let CandidateOutcome::Made(other) = world.mirror.candidate(&other).await.unwrap() else { panic!() };
    assert!(other.commit != one.commit && other.tree == one.tree);
    assert!(!world.refs().contains("candidate"));
    world.mirror.set_candidate(&"ann".parse().unwrap(), &one.commit).await.unwrap();
    assert_eq!(world.mirror.ref_at("refs/branches/ann/candidate").await.unwrap(), Some(one.commit));
}

#[tokio::test]
async fn a_line_of_candidates_is_kept_by_one_pack() {
    let world = World::new().await;
    let packs = || {
        let files = std::fs::read_dir(world.mirror.path().join("objects/pack")).unwrap();
        files.filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".pack")).count()
    };
    let mut below = None;
    let mut line = Vec::new();
    for name in ["ann", "bob", "eve"] {
        let head = published(&world, name, &[(&format!("{name}.c"), "x\n")]).await;
        let request = world.request(name, &head);
        let request = CandidateRequest { mainline: below.unwrap_or(request.mainline.clone()), ..request };
        let CandidateOutcome::Made(made) = world.mirror.candidate(&request).await.unwrap() else { panic!("{name}") };
        let reference = Mirror::kept_candidate_ref(&name.parse().unwrap(), 1, &made.commit);
        line.push(Named { reference, commit: made.commit.clone() });
        below = Some(made.commit);
    }
    let before = packs();
    world.mirror.keep_all(line.clone()).await.unwrap();
    assert_eq!(packs(), before + 1);
    for Named { reference, commit } in line {
        assert_eq!(world.mirror.ref_at(&reference).await.unwrap(), Some(commit));
    }
    // All of it is in packs: no loose object is needed any more.
    for folder in std::fs::read_dir(world.mirror.path().join("objects")).unwrap() {
        let folder = folder.unwrap();
        if folder.file_name().len() == 2 {
            std::fs::remove_dir_all(folder.path()).unwrap();
        }
    }
    let mut git = plain_git();
    git.arg("-C").arg(world.mirror.path()).args(["fsck", "--connectivity-only"]);
    assert!(git.status().unwrap().success());
}

#[tokio::test]
async fn candidates_are_kept_until_they_are_let_go() {
    let mut world = World::new().await;
    let (ann, bob) =
        (published(&world, "ann", &[("b.c", "x\n")]).await, published(&world, "bob", &[("c.c", "x\n")]).await);
    let mut kept = Vec::new();
    for n in 0..2 {
        for (name, head) in [("ann", &ann), ("bob", &bob)] {
            let made = world.made(name, head).await;
            world.mirror.keep_candidate(&name.parse().unwrap(), 1, &made.commit).await.unwrap();
            kept.push(made.commit);
        }
        world.official.write("n", n.to_string()).commit("Meanwhile");
        world.update().await;
    }
    world.mirror.upkeep(Upkeep::Recent).await.unwrap();
    let mut old = world.mirror.candidates().await.unwrap().remove(&"ann".parse().unwrap()).unwrap();
    old.retain(|named| named.commit != kept[2]);
    assert_eq!(old.len(), 1);
    // What got another commit meanwhile is somebody's again.
    let meanwhile = Named { commit: kept[0].clone(), ..old[0].clone() };
    world.mirror.forget(vec![Named { commit: kept[1].clone(), ..meanwhile.clone() }]).await.unwrap();
    assert_eq!(world.mirror.ref_at(&meanwhile.reference).await.unwrap(), Some(kept[0].clone()));
    world.mirror.forget(old).await.unwrap();
    let refs = world.refs();
    let there: Vec<bool> = kept.iter().map(|commit| refs.contains(commit.as_str())).collect();
    assert_eq!(there, [false, true, true, true]);
}

#[tokio::test]
async fn fragments_in_their_folder_are_folded_and_a_readme_there_stays() {
    let mut world = World::new().await;
    world.official.write("changelog-fragments/README", "Put them here.\n");
    world.official.write("changelog-fragments/old.ChangeLog", OLD_ENTRY).commit("Fragments");
    world.update().await;
    let files = [("changelog-fragments/ann.ChangeLog", NEW_ENTRY), ("changelog-fragments/odd.txt", "?")];
    let head = published(&world, "ann", &files).await;
    let made = world.made("ann", &head).await;
    assert_eq!(made.told.fragments, ["changelog-fragments/ann.ChangeLog"]);
    assert!(
        made.told.notes.iter().any(|note| note.starts_with("changelog-fragments/odd.txt: not folded")),
        "{:?}",
        made.told.notes
    );
    assert!(world.file(&made.commit, "changelog-fragments/README").await.is_some());
    // Mainline's own fragment is not this branch's to fold.
    assert!(world.file(&made.commit, "changelog-fragments/old.ChangeLog").await.is_some());
    assert!(world.file(&made.commit, "ChangeLog").await.unwrap().contains("* b.c: Say hello."));
}

#[tokio::test]
async fn changelog_never_conflicts_however_the_branch_wrote_its_entry() {
    let mut world = World::new().await;
    let direct =
        published(&world, "direct", &[("b.c", "hello\n"), ("ChangeLog", &format!("{NEW_ENTRY}\n{OLD_ENTRY}"))]).await;
    let fragment =
        published(&world, "fragment", &[("c.c", "x\n"), ("repo.ChangeLog", &NEW_ENTRY.replace("b.c", "c.c"))]).await;
    let theirs = OLD_ENTRY.replace("2023-01-01", "2024-02-02").replace("Start", "Go on");
    world.official.write("ChangeLog", format!("{theirs}\n{OLD_ENTRY}")).commit("Meanwhile");
    world.update().await;
    for (name, head) in [("direct", direct), ("fragment", fragment)] {
        let made = world.made(name, &head).await;
        let text = world.file(&made.commit, "ChangeLog").await.unwrap();
        let dates: Vec<&str> = text.lines().filter(|l| l.starts_with("20")).map(|l| &l[..10]).collect();
        assert_eq!(dates, ["2024-03-05", "2024-02-02", "2023-01-01"], "{text}");
    }
}

#[tokio::test]
async fn a_second_revision_after_a_landing_folds_only_what_is_new() {
    let mut world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").write("repo.ChangeLog", NEW_ENTRY).commit("Say hello");
    let first = world.admit(&ann, "ann", 1).await;
    let made = world.made("ann", &first).await;
    let landed = made.commit.as_str();
    world.official.git(&["pull", "-q", world.mirror.path().to_str().unwrap(), landed]).clear();
    world.update().await;
    assert_eq!(refused(world.candidate("ann", &first).await).code, "already-landed");
    // The author goes on without looking at mainline, and adds to the same fragment.
    let more = NEW_ENTRY.replace("Say hello", "Say more");
    ann.write("b.c", "hello, world\n").write("repo.ChangeLog", format!("{more}\n{NEW_ENTRY}")).commit("Say more");
    let second = world.admit(&ann, "ann", 2).await;
    let made = world.made("ann", &second).await;
    let text = world.file(&made.commit, "ChangeLog").await.unwrap();
    assert_eq!((text.matches("Say hello").count(), text.matches("Say more").count()), (1, 1), "{text}");
    assert_eq!(world.file(&made.commit, "repo.ChangeLog").await, None);
    assert!(made.told.notes.iter().any(|note| note.contains("left out")), "{:?}", made.told.notes);
}

#[tokio::test]
async fn a_conflict_names_files_and_shows_the_hunks() {
    let mut world = World::new().await;
    let text = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    let files = [("a.c", &*text.replace('5', "ann's")), ("gone.c", "x\n"), ("repo.ChangeLog", NEW_ENTRY)];
    let head = published(&world, "ann", &files).await;
    world.official.write("a.c", text.replace('5', "mainline's")).commit("Meanwhile");
    world.update().await;
    let files = conflicts(world.candidate("ann", &head).await);
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].path, "a.c");
    assert_eq!(files[0].message, "CONFLICT (content): Merge conflict in a.c");
    let hunks = format!("2\n3\n4\n<<<<<<< {}\nmainline's\n=======\nann's\n>>>>>>> {head}\n6\n7\n8\n", world.mainline);
    assert_eq!(files[0].hunks, hunks);
}

#[tokio::test]
async fn an_old_entry_corrected_by_both_sides_is_a_conflict_of_changelog() {
    let mut world = World::new().await;
    let head = published(&world, "ann", &[("ChangeLog", &OLD_ENTRY.replace("Start", "Begin"))]).await;
    world.official.write("ChangeLog", OLD_ENTRY.replace("Start", "Commence")).commit("Meanwhile");
    world.update().await;
    let files = conflicts(world.candidate("ann", &head).await);
    assert_eq!((files.len(), files[0].path.as_str()), (1, "ChangeLog"));
    assert!(files[0].hunks.contains("Begin") && files[0].hunks.contains("Commence"), "{:?}", files[0]);
}

#[tokio::test]
async fn other_conflicts_than_of_content_are_told_in_git_s_words() {
    let mut world = World::new().await;
    let head = published(&world, "ann", &[("a.c", "changed\n")]).await;
    world.official.git(&["rm", "-q", "a.c"]);
    world.official.commit("Remove a.c");
    world.update().await;
    let files = conflicts(world.candidate("ann", &head).await);
    assert_eq!((files[0].path.as_str(), files[0].hunks.as_str()), ("a.c", ""));
    assert!(files[0].message.contains("CONFLICT (modify/delete): a.c deleted"), "{:?}", files[0]);
}

#[tokio::test]
async fn mainline_s_attributes_count_and_the_branch_s_do_not() {
    let mut world = World::new().await;
    world.official.write(".gitattributes", "list merge=union\n").write("list", "1\n").commit("A list");
    world.update().await;
    let union = published(&world, "union", &[("list", "1\nann\n")]).await;
    let binary = published(&world, "binary", &[("list", "1\nbob\n"), (".gitattributes", "list merge=binary\n")]).await;
    world.official.write("list", "1\nmainline\n").commit("Meanwhile");
    world.update().await;
    for (name, head, line) in [("union", union, "ann"), ("binary", binary, "bob")] {
        let made = world.made(name, &head).await;
        let merged = format!("1\nmainline\n{line}\n");
        assert_eq!(world.file(&made.commit, "list").await, Some(merged));
    }
}

#[tokio::test]
async fn the_merge_is_what_git_merge_gives_in_a_work_tree() {
    let mut world = World::new().await;
    let ann = world.author("ann");
    ann.git(&["mv", "a.c", "moved.c"]);
    ann.commit("Move");
    let head = world.admit(&ann, "ann", 1).await;
    world.official.write("a.c", "1\n2\n3\n4\n5\n6\n7\n8\nnine\n").commit("Meanwhile");
    world.update().await;
    let made = world.made("ann", &head).await;
    let clone = Repo::clone_of(&world.official, world.temp.path().join("by-hand"));
    clone.git(&["pull", "-q", "--no-rebase", "--no-edit", ann.path.to_str().unwrap(), "ann"]);
    assert_eq!(made.tree, clone.git(&["rev-parse", "HEAD^{tree}"]));
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

#[tokio::test]
async fn random_merges_are_what_git_merge_gives() {
    let mut dice = Dice(7);
    let mut world = World::new().await;
    let text: String = (0..40).map(|n| format!("line {n}\n")).collect();
    for n in 0..6 {
        world.official.write(&format!("dir/f{n}"), &text);
    }
    world.official.commit("Files");
    world.update().await;
    let mut edit = |repo: &Repo| {
        for _ in 0..4 {
            let file = format!("dir/f{}", dice.below(6));
            let Ok(text) = std::fs::read_to_string(repo.path.join(&file)) else { continue };
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            match (dice.below(6), lines.len()) {
                (0, _) => _ = repo.git(&["mv", &file, &format!("moved-{}", dice.below(1000))]),
                (1, 1..) => _ = lines.remove(dice.below(lines.len())),
                (_, len) => lines.insert(dice.below(len + 1), format!("new {}", dice.below(1000))),
            }
            if repo.path.join(&file).exists() {
                repo.write(&file, format!("{}\n", lines.join("\n")));
            }
        }
        repo.commit("Edit")
    };
    let (mut clean, mut conflicting) = (0, 0);
    for n in 0..8 {
        let name = format!("author-{n}");
        let author = world.author(&name);
        edit(&author);
        let head = world.admit(&author, &name, 1).await;
        edit(&world.official);
        world.update().await;
        let by_hand = Repo::clone_of(&world.official, world.temp.path().join(format!("by-hand-{n}")));
        by_hand.git(&["fetch", "-q", author.path.to_str().unwrap(), &name]);
        let merge =
            plain_git().arg("-C").arg(&by_hand.path).args(["merge", "-q", "--no-edit", "FETCH_HEAD"]).output().unwrap();
        match world.candidate(&name, &head).await {
            CandidateOutcome::Made(made) => {
                assert_eq!(made.tree, by_hand.git(&["rev-parse", "HEAD^{tree}"]), "{name}");
                clean += 1;
            }
            CandidateOutcome::Conflict { .. } => {
                assert!(!merge.status.success(), "{name}");
                conflicting += 1;
            }
            CandidateOutcome::Refused(refusal) | CandidateOutcome::MainlineTrouble(refusal) => panic!("{refusal:?}"),
        }
    }
    assert!(clean > 2 && conflicting > 0, "{clean} clean, {conflicting} in conflict: choose another seed");
}

/// Every git on this machine that may make candidates, and the newest taken for one that knows no `--attr-source`.
fn gits() -> Vec<(String, Git)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into(), "/usr/local/bin".into()]);
    let mut gits: Vec<(String, Git)> = Vec::new();
    for program in folders.map(|folder| folder.join("git")).filter(|program| program.is_file()) {
        if let Ok(git) = Git::find(Some(&program))
            && !gits.iter().any(|(_, known)| known.version() == git.version())
        {
            gits.push((format!("git {}", git.version()), git));
        }
    }
    gits.sort_by_key(|(_, git)| git.version());
    let newest = gits.last().unwrap().1.clone();
    gits.push(("the newest, asked as an older one".to_owned(), newest.taken_for(OLDEST_TO_MERGE)));
    gits
}

/// Attributes at every level, some of which take back what one above says, in a file's form or as a link.
fn attributes(dice: &mut Dice, of: &str) -> String {
    let patterns = ["*", "*.list", "f0", "f1.list", "/f2.list", "sub/*.list", "**/f3.list", "!f4"];
    let values =
        ["merge=union", "merge=binary", "-merge", "!merge", "merge", "binary", "conflict-marker-size=11", "text"];
    let mut lines = format!("# {of}\n[attr]both merge=union conflict-marker-size=9\n");
    for _ in 0..3 {
        let pattern = patterns[dice.below(patterns.len())];
        let value = if dice.below(8) == 0 { "both" } else { values[dice.below(values.len())] };
        lines.push_str(&format!("{pattern} {value}\n"));
    }
    lines
}

#[tokio::test]
async fn nested_attributes_of_mainline_count_the_same_with_every_git() {
    let mut dice = Dice(11);
    let mut world = World::new().await;
    let folders = ["", "dir/", "dir/sub/", "other/"];
    let files: Vec<String> = folders
        .iter()
        .flat_map(|folder| (0..5).map(move |n| format!("{folder}f{n}{}", if n == 0 { "" } else { ".list" })))
        .collect();
    for file in &files {
        world.official.write(file, "1\n2\n3\n");
    }
    world.official.commit("Lists");
    let mut mirrors = Vec::new();
    for (what, git) in gits() {
        mirrors.push((what, Mirror::open_or_create(git, world.mirror.path()).await.unwrap()));
    }
    let (mut clean, mut conflicting) = (0, 0);
    for n in 0..12 {
        for folder in folders {
            let path = format!("{folder}.gitattributes");
            let _ = std::fs::remove_file(world.official.path.join(&path));
            if dice.below(3) > 0 {
                world.official.write(&path, attributes(&mut dice, folder));
            }
        }
        world.official.commit("Attributes");
        world.update().await;
        let name = format!("author-{n}");
        let author = world.author(&name);
        // Each side's lines meet in some files, so that attributes decide; the branch's own attributes must not.
        for (repo, word) in [(&author, "theirs"), (&world.official, "ours")] {
            for _ in 0..4 {
                let file = &files[dice.below(files.len())];
                let text = std::fs::read_to_string(repo.path.join(file)).unwrap();
                repo.write(file, format!("{text}{word} {n}\n"));
            }
        }
        author.write("other/new/.gitattributes", "* merge=union\n");
        author.commit("Edit");
        world.official.commit("Edit");
        let head = world.admit(&author, &name, 1).await;
        world.update().await;
        let request = world.request(&name, &head);
        let mut said = Vec::new();
        for (what, mirror) in &mirrors {
            said.push((what, mirror.candidate(&request).await.unwrap()));
        }
        for (what, outcome) in &said[1..] {
            assert_eq!(*outcome, said[0].1, "{what} against {}, merge {n}", said[0].0);
        }
        match &said[0].1 {
            CandidateOutcome::Made(made) => {
                let by_hand = Repo::clone_of(&world.official, world.temp.path().join(format!("by-hand-{n}")));
                by_hand.git(&["pull", "-q", "--no-rebase", "--no-edit", author.path.to_str().unwrap(), &name]);
                assert_eq!(made.tree, by_hand.git(&["rev-parse", "HEAD^{tree}"]), "merge {n}");
                clean += 1;
            }
            CandidateOutcome::Conflict { .. } => conflicting += 1,
            CandidateOutcome::Refused(refusal) | CandidateOutcome::MainlineTrouble(refusal) => panic!("{refusal:?}"),
        }
    }
    assert!(clean > 2 && conflicting > 2, "{clean} clean, {conflicting} in conflict: choose another seed");
}

#[tokio::test]
async fn branches_that_change_nothing_or_have_nothing_in_common_are_refused_by_name() {
    let world = World::new().await;
    let equal = world.author("equal");
    let same = world.admit(&equal, "equal", 1).await;
    assert_eq!(refused(world.candidate("equal", &same).await).code, "equal-to-mainline");
    let idle = published(&world, "idle", &[]).await;
    let refusal = refused(world.candidate("idle", &idle).await);
    assert_eq!((refusal.code.as_str(), refusal.text.as_str()), ("no-changes", "merging idle r1 would change nothing"));
    let other = Repo::init(world.temp.path().join("other"));
    other.branch("other").write("x", "1").commit("Of its own");
    let unrelated = world.admit(&other, "other", 1).await;
    let refusal = refused(world.candidate("other", &unrelated).await);
    assert_eq!(refusal.code, "unrelated-history");
    assert!(refusal.hint.contains("clone of the official repository"));
}

#[tokio::test]
async fn bad_fragments_are_refused_with_their_place() {
    let world = World::new().await;
    let long = format!("{NEW_ENTRY}{}", "\t* x: y.\n".repeat(200_000));
    let cases = [
        ("empty", " \n", "fragment-empty", "repo.ChangeLog:1:1: the fragment is empty"),
        ("headless", "* b.c: Say hello.\n", "fragment-malformed", "repo.ChangeLog:1:1: no header"),
        ("binary", "a\0b\n", "fragment-binary", "repo.ChangeLog:1:2: the fragment is not text"),
        ("marked", "<<<<<<< a\n", "fragment-conflict-marker", "repo.ChangeLog:1:1: conflict marker"),
        ("long", &long, "fragment-too-large", "repo.ChangeLog: a fragment may have at most 1048576 bytes"),
    ];
    for (name, text, code, words) in cases {
        let head = published(&world, name, &[("b.c", "x\n"), ("repo.ChangeLog", text)]).await;
        let refusal = refused(world.candidate(name, &head).await);
        assert_eq!(refusal.code, code);
        assert!(refusal.text.starts_with(words) && !refusal.hint.is_empty(), "{refusal:?}");
    }
    let latin = world.author("latin");
    latin.write("repo.ChangeLog", b"2024-01-01  J\xf6rg  <j@x>\n\n\t* b.c: x.\n").commit("Latin-1");
    let head = world.admit(&latin, "latin", 1).await;
    let refusal = refused(world.candidate("latin", &head).await);
    assert_eq!(
        (refusal.code.as_str(), refusal.text.as_str()),
        ("fragment-not-utf8", "repo.ChangeLog:1:14: the fragment is not UTF-8, but the ChangeLog is")
    );
    let folder = published(&world, "folder", &[("repo.ChangeLog/x", "x")]).await;
    assert_eq!(refused(world.candidate("folder", &folder).await).code, "fragment-not-a-file");
    let gone = world.author("gone");
    gone.git(&["rm", "-q", "ChangeLog"]);
    gone.commit("Remove");
    let gone = world.admit(&gone, "gone", 1).await;
    assert_eq!(refused(world.candidate("gone", &gone).await).code, "changelog-deleted");
}

#[tokio::test]
async fn a_changelog_that_leads_out_of_the_tree_is_refused() {
    let mut world = World::new().await;
    world.official.git(&["rm", "-q", ".bb.toml"]);
    world.official.commit("No recipe");
    world.update().await;
    let head = published(&world, "ann", &[("repo.ChangeLog", NEW_ENTRY)]).await;
    for path in ["../ChangeLog", "/etc/passwd", ".git/config", "a//b", "", "x\0y"] {
        let project = recipe::Project::with(vec![changelog::Place::new(path)]);
        let request = CandidateRequest { otherwise: Some(project), ..world.request("ann", &head) };
        let outcome = world.mirror.candidate(&request).await.unwrap();
        let CandidateOutcome::MainlineTrouble(refusal) = outcome else { panic!("{outcome:?}") };
        assert_eq!(refusal.code, "changelog-path", "{path:?}");
    }
}

#[tokio::test]
async fn a_changed_recipe_is_said_and_read() {
    let world = World::new().await;
    let head = published(&world, "ann", &[(".bb.toml", "# mine\n"), ("Makefile", "check:\n")]).await;
    assert!(world.made("ann", &head).await.changes_recipe);
    assert_eq!(world.mirror.recipe_at(&head).await.unwrap(), Some(b"# mine\n".to_vec()));
    assert_eq!(world.mirror.recipe_at(&world.mainline).await.unwrap(), Some(Vec::new()));
    let names: Vec<String> = world.mirror.root_entries(&head).await.unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, [".bb.toml", "ChangeLog", "Makefile", "a.c"]);
}

#[tokio::test]
async fn a_project_without_a_changelog_gets_its_first_from_a_branch() {
    let mut world = World::new().await;
    world.official.git(&["rm", "-q", "ChangeLog"]);
    world.official.commit("No ChangeLog");
    world.update().await;
    let plain = published(&world, "plain", &[("b.c", "x\n")]).await;
    let made = world.made("plain", &plain).await;
    assert_eq!((made.told.changelogs.len(), made.told.notes), (0, Vec::<String>::new()));
    let first = published(&world, "first", &[("repo.ChangeLog", NEW_ENTRY)]).await;
    let made = world.made("first", &first).await;
    assert_eq!(world.file(&made.commit, "ChangeLog").await, Some(NEW_ENTRY.replace("2024-01-01", "2024-03-05")));
}

#[tokio::test]
async fn a_candidate_is_sound_in_git_s_own_eyes() {
    let world = World::new().await;
    let head =
        published(&world, "ann", &[("dir/b.c", "hello\n"), ("changelog-fragments/x.ChangeLog", NEW_ENTRY)]).await;
    let made = world.made("ann", &head).await;
    world.mirror.set_candidate(&"ann".parse().unwrap(), &made.commit).await.unwrap();
    let said = plain_git().arg("-C").arg(world.mirror.path()).args(["fsck", "--strict"]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = plain_git()
        .arg("-C")
        .arg(world.mirror.path())
        .args(["ls-tree", "-r", "--name-only", made.commit.as_str()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), ".bb.toml\nChangeLog\na.c\ndir/b.c\n");
}

#[tokio::test]
async fn upkeep_changes_nothing_that_can_be_seen() {
    let world = World::new().await;
    let head = published(&world, "ann", &[("b.c", "hello\n"), ("repo.ChangeLog", NEW_ENTRY)]).await;
    let made = world.made("ann", &head).await;
    let before = world.refs();
    for upkeep in [Upkeep::Recent, Upkeep::Whole, Upkeep::Recent] {
        world.mirror.upkeep(upkeep).await.unwrap();
        assert_eq!((world.refs(), world.made("ann", &head).await), (before.clone(), made.clone()));
    }
    let bob = published(&world, "bob", &[("c.c", "x\n")]).await;
    world.made("bob", &bob).await;
}
