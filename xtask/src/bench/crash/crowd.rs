//! Many who write at once, of whom some leave before they are answered: what the others were told must hold.

use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// How many come at once, and what each of them writes.
const PEOPLE: usize = 12;
const WRITES: usize = 8;

/// Who waits longer for an answer has none.
const PATIENCE: Duration = Duration::from_secs(10);

/// A crowd that may still be at it.
#[derive(Default)]
pub(super) struct Crowd(Vec<JoinHandle<Vec<String>>>);

impl Crowd {
    /// A crowd comes to the master at `url`, and is at it while other things happen.
    pub(super) fn comes(&mut self, url: &str, token: &str, rng: &mut fastrand::Rng) {
        let address = url.trim_start_matches("http://");
        for person in 0..PEOPLE {
            let (address, token, mut rng) = (address.to_owned(), token.to_owned(), rng.fork());
            self.0.push(spawn(move || {
                let mut told = Vec::new();
                for _ in 0..WRITES {
                    let name = format!("crowd-{person}-{}", rng.u64(..));
                    let leaves = rng.u8(..3) == 0;
                    let after = Duration::from_micros(rng.u64(..6000));
                    if let Some(answer) = ask(&address, &token, &name, leaves.then_some(after))
                        && answer.starts_with("HTTP/1.1 201 ")
                    {
                        told.push(name);
                    }
                }
                told
            }));
        }
    }

    /// Waits until the crowd has its answers: the names of the tokens that it was told are made.
    pub(super) fn has_gone(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0)
            .into_iter()
            .flat_map(|person| person.join().expect("asking does not panic"))
            .collect()
    }
}

/// Asks for a token of this name: the answer, unless it leaves so long after it asked or there is none.
fn ask(address: &str, token: &str, name: &str, leaves_after: Option<Duration>) -> Option<String> {
    let body = json!({"kind": "publisher", "name": name}).to_string();
    let head = format!(
        "POST /api/v1/tokens HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all((head + &body).as_bytes()).ok()?;
    if let Some(after) = leaves_after {
        sleep(after);
        let _ = stream.shutdown(Shutdown::Both);
        return None;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
