//! The door to the master: an address that stays the same while the master behind it comes and goes, as a reverse
//! proxy's does. It can also be shut, as a cut cable would.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// See the module.
pub struct Front {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    master: Option<SocketAddr>,
    connections: Vec<TcpStream>,
    ended: bool,
}

impl Front {
    /// A door on a free port, that leads nowhere yet.
    pub(super) fn start() -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if state.ended {
                    return;
                }
                let Some(master) = state.master.and_then(|master| TcpStream::connect(master).ok()) else { continue };
                let pairs = [(client.try_clone(), master.try_clone()), (master.try_clone(), client.try_clone())];
                for (from, to) in pairs {
                    if let (Ok(from), Ok(to)) = (from, to) {
                        thread::spawn(move || carry(from, to));
                    }
                }
                state.connections.extend([client, master]);
            }
        });
        Front { address, state }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads new connections to the master at `url` from now on.
    pub(super) fn leads_to(&self, url: &str) {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let address = address.parse().unwrap_or_else(|error| panic!("the master's address `{url}`: {error}"));
        self.set(Some(address));
    }

    /// Cuts all connections, and refuses new ones until it is opened again.
    #[must_use]
    pub fn shut(&self) -> Shut<'_> {
        let was = self.set(None);
        let connections = std::mem::take(&mut self.lock().connections);
        for connection in connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
        Shut { front: self, was }
    }

    fn set(&self, master: Option<SocketAddr>) -> Option<SocketAddr> {
        std::mem::replace(&mut self.lock().master, master)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A shut door; it opens when this goes.
pub struct Shut<'a> {
    front: &'a Front,
    was: Option<SocketAddr>,
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.front.set(self.was);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.lock().ended = true;
        // Wakes the listener, that it may see it.
        let _ = TcpStream::connect(self.address);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
