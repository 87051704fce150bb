//! Whole stories with the built program: a master, slaves and authors as on real machines. What the crates' own tests
//! show of each part is not shown again here; here it is shown that the parts are wired.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alone;
mod asking;
mod availability;
mod bad_input;
mod crashes;
mod demo;
mod disks;
mod keeping;
mod landing;
mod listings;
mod merging;
mod pages;
mod pushes;
mod recipes;
mod reproducing;
mod running;
mod together;

use testkit::world::{Plan, World};

/// The program under test.
const BB: &str = env!("CARGO_BIN_EXE_bb");

fn world() -> World {
    World::start(BB)
}

fn world_as(plan: &Plan) -> World {
    World::start_as(BB, plan)
}

/// A recipe whose one build waits until the story lets it go on.
fn waiting_recipe() -> Plan {
    let waits = testkit::world::WAITS;
    let recipe = format!(
        "[[builder]]\nname = \"linux\"\n\n\
         [[builder.step]]\nname = \"wait\"\nrun = \"echo began; {waits}; echo went on\"\n\n\
         [[builder.step]]\nname = \"test\"\nrun = \"make check\"\n"
    );
    Plan { recipe: Some(recipe), ..Plan::default() }
}
