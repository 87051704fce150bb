//! Branches that are tested together, as the pages show them.

use super::fixtures::*;
use super::*;
use protocol::BuildId;
use protocol::api::{BuildDetail, FailedStep, Next, QueueStack, StackLine, Tested, TestedBuild};

/// A stack of so many branches.
pub(super) fn line(id: i64, many: usize) -> StackLine {
    let names = ["load-balancing", "fix-typo"].map(ToOwned::to_owned).into_iter();
    let names = names.chain((3..).map(|n| format!("branch-{n}"))).take(many);
    let digit = |n: usize| char::from_digit(u32::try_from(n % 10).unwrap(), 10).unwrap();
    StackLine {
        id,
        purpose: "half of 4 suspects, with 12 known good".to_owned(),
        on: commit('a'),
        branches: names.map(|name| name.parse().unwrap()).collect(),
        commits: (0..many).map(|n| commit(digit(n))).collect(),
    }
}

/// Two stacks that are being built: of two branches, and of more than are drawn.
pub(super) fn drawn() -> Vec<QueueStack> {
    let stack =
        QueueStack { line: line(7, 2), commit: commit('5'), marks: marks(Look::Running, "running"), since_ms: ago(2) };
    vec![stack.clone(), QueueStack { line: line(8, 14), ..stack }]
}

/// What an entry was tested by, in a stack of these; its one build is so.
pub(super) fn tested(look: Look, word: &str) -> Tested {
    let step = (look == Look::Failed).then(|| FailedStep { number: 1, name: "test".to_owned(), line: Some(12) });
    let at = if step.is_some() { "?at=1-12#L1-12" } else { "" };
    let page = format!("/p/heron/builds/5133{at}");
    let build =
        TestedBuild { build: BuildId(5133), builder: "linux".to_owned(), look, word: word.to_owned(), step, page };
    Tested {
        stack: Some(7),
        purpose: "2 not known yet".to_owned(),
        commit: commit('5'),
        with: line(7, 2).branches,
        builds: vec![build],
    }
}

/// The same, of a stack: what it says is nobody's alone.
pub(super) fn build_of_stack(look: Look, many: usize) -> BuildDetail {
    let mut it = build(look);
    let line = line(7, many);
    let (top, below) = line.branches.split_last().unwrap();
    (it.summary.branch, it.summary.with) = (top.clone(), below.to_vec());
    (it.summary.stack, it.summary.for_queue) = (Some(7), true);
    it.next = Some(Next { who: "bb".to_owned(), what: "finds which of them fails, and lands the others".to_owned() });
    it.line = Some(line);
    it
}

#[test]
fn a_build_of_a_stack_blames_nobody_of_it() {
    let page = |look| pages().build(&context(), &build_of_stack(look, 3), &[], None, MayBuild::default()).unwrap();
    let html = page(Look::Failed);
    let headline = "linux failed on load-balancing, fix-typo and branch-3 together";
    assert!(html.contains(headline), "{html}");
    shown("build-of-stack", &html);
    shown("build-of-stack-running", &page(Look::Running));
}

/// What it is tested with, what that said and where, stands on its page also after it left.
#[test]
fn a_branch_says_what_it_was_tested_with() {
    let page = |place: Option<u32>, code: &str, tested: api::Tested| {
        let mut it = landed();
        let entry = &mut it.queue[0];
        (entry.place, entry.code) = (place, code.to_owned());
        entry.tested = Some(tested);
        let html = pages().branch(&context(), &it, MayBranch::default()).unwrap();
        markup::check(&html);
        html.split("<p class=\"small tested\">")
            .skip(1)
            .map(|p| p.split("</p>").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    insta::assert_snapshot!("tested-now", page(Some(2), "testing", tested(Look::Running, "running")).join("\n--\n"));
    insta::assert_snapshot!(
        "tested-failed",
        page(None, "ejected-failure", tested(Look::Failed, "failed")).join("\n--\n")
    );
    let alone = api::Tested { stack: None, with: Vec::new(), purpose: String::new(), ..tested(Look::Passed, "passed") };
    insta::assert_snapshot!("tested-landed", page(None, "landed", alone).join("\n--\n"));
}
