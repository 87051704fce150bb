//! A running master, as those outside see it: by plain HTTP, by raw sockets, by git, and by slaves that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod afterwards;
mod artifacts;
mod assignments;
mod authority;
mod availability;
mod builds;
mod clients;
mod crowds;
mod filled;
mod histories;
mod http;
mod http_raw;
mod in_line;
mod keeping;
mod landing;
mod lines;
mod lists;
mod logs;
mod mainline_moves;
mod moments;
mod plans;
mod queue;
mod reading;
mod restored;
mod second;
mod slaves;
mod standings;
mod stepping;
mod strangers;
mod support;
mod terms;
mod thousands;
mod together;
mod true_words;
mod turns;
