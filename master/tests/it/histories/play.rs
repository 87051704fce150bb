//! Plays orders of segments.

use super::actors::{Actor, HERON, Said};
use super::checks;
use super::stage::Stage;
use futures_util::future::BoxFuture;
use master::stepping::Held;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;
use tokio::time::timeout;

/// Where whoever acts is stopped.
const PLACES: [&str; 6] = ["store.write", "queue.push", "queue.pushed", "http.answer", "watch.fetch", "upkeep.forget"];
/// Only the outer safety net.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who gets nowhere for so long while others are stopped waits for one of them, and goes on after the next segment of another.
const HELD_UP: Duration = Duration::from_secs(2);

/// One segment.
#[derive(Debug)]
pub struct Step {
    pub who: usize,
    /// Where it went on from.
    pub from: &'static str,
    /// Mainline after it.
    pub head: String,
    /// Whether an intent to push stood after it.
    pub intent: bool,
}

/// What an actor did in a history.
#[derive(Debug)]
pub struct Part {
    pub actor: Actor,
    /// The numbers of its first and last segment.
    pub began: usize,
    pub ended: usize,
    pub said: Said,
}

/// A history that was played.
#[derive(Debug)]
pub struct Played {
    pub parts: Vec<Part>,
    pub steps: Vec<Step>,
    /// Mainline before it.
    pub before: String,
    /// The actors that could have gone on, at each segment.
    alive: Vec<Vec<usize>>,
    /// What was seen on the way that must not be.
    pub bad: Vec<String>,
}

impl Played {
    fn order(&self) -> Vec<usize> {
        self.steps.iter().map(|step| step.who).collect()
    }
}

fn letters(order: &[usize]) -> String {
    order.iter().map(|who| char::from(b'a' + u8::try_from(*who).unwrap())).collect()
}

/// How often a history changes from one actor that could go on to another.
fn switches(order: &[usize], alive: &[Vec<usize>]) -> usize {
    (1..order.len()).filter(|i| order[*i] != order[i - 1] && alive[*i].contains(&order[i - 1])).count()
}

/// Plays orders of the actors' segments, those with the fewest changes first, and says which broke what must hold.
pub async fn explore(stage: &mut Stage, actors: &[Actor], few: usize) -> Vec<String> {
    let name = actors.iter().map(|a| a.word()).collect::<Vec<_>>().join("+");
    let wanted = std::env::var("HISTORY").ok();
    let wanted = wanted.as_deref().map(|w| w.split_once(':').unwrap_or((w, "")));
    let most = match (wanted, std::env::var("HISTORIES").as_deref()) {
        (Some((set, _)), _) if set != name => return Vec::new(),
        (Some((_, word)), _) if !word.is_empty() => 1,
        (_, Ok("all")) => usize::MAX,
        (_, Ok(number)) => number.parse().unwrap(),
        (_, Err(_)) => few,
    };
    let first: Vec<usize> = wanted.map_or("", |(_, word)| word).bytes().map(|b| usize::from(b - b'a')).collect();
    let mut todo = BinaryHeap::from([Reverse((0, first))]);
    let (mut bad, mut played) = (Vec::new(), 0);
    while let Some(Reverse((_, prefix))) = todo.pop() {
        if played == most {
            break;
        }
        played += 1;
        stage.begin().await;
        let mut history = play(stage, actors, &prefix).await;
        checks::check(stage, &mut history).await;
        let order = history.order();
        if !history.bad.is_empty() {
            let said: Vec<_> = history.parts.iter().map(|p| format!("{}: {}", p.actor.word(), p.said)).collect();
            let places: Vec<_> = history.steps.iter().map(|s| format!("{}>{}", letters(&[s.who]), s.from)).collect();
            bad.push(format!(
                "HISTORY={name}:{}\n    {}\n    {}\n    {}",
                letters(&order),
                history.bad.join("\n    "),
                places.join(" "),
                said.join("\n    ")
            ));
        }
        for i in prefix.len()..order.len() {
            for other in history.alive[i].iter().filter(|other| **other != order[i]) {
                let mut next = order[..i].to_vec();
                next.push(*other);
                todo.push(Reverse((switches(&next, &history.alive), next)));
            }
        }
    }
    println!("{name}: {played} histories, {} more", todo.len());
    bad
}

/// One actor on its way.
enum Way {
    NotBegun,
    Going(BoxFuture<'static, Said>, VecDeque<Held>),
    Ended,
}

/// Plays a history: as the prefix says, then each actor to its end.
async fn play(stage: &mut Stage, actors: &[Actor], prefix: &[usize]) -> Played {
    let mut ways: Vec<Way> = actors.iter().map(|_| Way::NotBegun).collect();
    let part = |actor: &Actor| Part { actor: *actor, began: 0, ended: 0, said: Said::Unknown };
    let mut it = Played {
        parts: actors.iter().map(part).collect(),
        steps: Vec::new(),
        before: stage.world.official.head(),
        alive: Vec::new(),
        bad: Vec::new(),
    };
    stage.world.stops().stop_at(&PLACES);
    let mut held_up = None;
    loop {
        let number = it.steps.len();
        let alive: Vec<usize> =
            (0..ways.len()).filter(|i| !matches!(ways[*i], Way::Ended) && held_up != Some(*i)).collect();
        let last = it.steps.last().map(|step| step.who);
        let who = match prefix.get(number).filter(|who| alive.contains(who)) {
            Some(who) => *who,
            None => match last.filter(|who| alive.contains(who)).or(alive.first().copied()) {
                Some(who) => who,
                None => break,
            },
        };
        it.alive.push(alive);
        if matches!(ways[who], Way::NotBegun) {
            it.parts[who].began = number;
        }
        let mut from = "";
        let said = if actors[who] == Actor::Restart {
            for (other, way) in ways.iter_mut().enumerate().filter(|(_, way)| matches!(way, Way::Going(..))) {
                *way = Way::Ended;
                it.parts[other].ended = number;
            }
            stage.restart().await;
            stage.world.stops().stop_at(&PLACES);
            held_up = None;
            Some(Said::Done)
        } else {
            if matches!(ways[who], Way::NotBegun) {
                ways[who] = Way::Going(actors[who].begin(stage), VecDeque::new());
            } else if let Way::Going(_, held) = &mut ways[who]
                && let Some(held) = held.pop_front()
            {
                from = held.place;
                held.go();
            }
            let others = ways.iter().enumerate().any(|(i, way)| i != who && matches!(way, Way::Going(..)));
            let Way::Going(future, held) = &mut ways[who] else { unreachable!() };
            let segment = async {
                tokio::select! {
                    biased;
                    said = future => Some(said),
                    stopped = stage.world.stops().held() => {
                        held.push_back(stopped);
                        None
                    }
                }
            };
            let waited = timeout(if others { HELD_UP } else { PATIENCE }, segment).await;
            held_up = (waited.is_err() && others).then_some(who);
            match waited {
                Ok(said) => said,
                Err(_) if others => None,
                Err(_) => panic!("{:?} is held up by who is stopped, after {}", actors[who], letters(&it.order())),
            }
        };
        if let Some(said) = said {
            it.parts[who].said = said;
            it.parts[who].ended = number;
            ways[who] = Way::Ended;
        }
        let intent = stage.world.store().open_landing(HERON).await.unwrap().is_some();
        it.steps.push(Step { who, from, head: head(stage), intent });
        if let Some(twice) = checks::open_twice(stage).await {
            it.bad.push(twice);
        }
    }
    stage.world.stops().open();
    it
}

/// Where mainline is.
fn head(stage: &Stage) -> String {
    let path = stage.world.official.path().join("refs/heads/main");
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}
