//! One server process, from a prepared folder to its end.
//!
//! A watcher thread starts the server and reads what it logs until its end. It has to be a thread of its own: the kernel
//! ends the server with the thread that started it, and the thread of a test ends long before the test process does.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::StartError;
use super::home::Home;
use crate::process::end_with_parent;

/// A busy machine of two cores needs about three seconds.
const START_LIMIT: Duration = Duration::from_secs(60);
const PORT_ATTEMPTS: u32 = 5;

/// What a system's servers say, and hear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Part of the line that says that clients can come.
    pub(crate) ready: &'static str,
    /// Part of the line that says that the port is somebody else's.
    pub(crate) port_taken: &'static str,
    /// Ends a server at once.
    pub(crate) end: Signal,
}

/// A server that answers. Dropping it ends the server at once and removes its folder.
#[derive(Debug)]
pub(crate) struct Running {
    address: SocketAddr,
    process: Arc<Mutex<Child>>,
    end: Signal,
    watcher: Option<JoinHandle<()>>,
    home: Home,
}

impl Running {
    /// Starts what `command` gives for a free address, in a folder that is prepared for it.
    pub(crate) fn start(
        kind: Kind,
        home: Home,
        command: impl Fn(&Home, SocketAddr) -> Command,
    ) -> Result<Running, StartError> {
        let mut attempt = 1;
        loop {
            let address = free_address().map_err(StartError::Folder)?;
            match launch(command(&home, address), kind, &home) {
                Ok((process, watcher)) => {
                    return Ok(Running {
                        address,
                        process,
                        end: kind.end,
                        watcher: Some(watcher),
                        home,
                    });
                }
                Err(error) if error.port_was_taken(kind.port_taken) && attempt < PORT_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.lock().expect("no holder panics").id()
    }

    pub(crate) fn log(&self) -> String {
        read_log(&self.home)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&self.process, self.end);
        if let Some(watcher) = self.watcher.take() {
            // It panics only if the log cannot be written, and then there is nothing left to wait for.
            let _ = watcher.join();
        }
    }
}

/// Starts the server in a thread that watches it, and waits until it is ready.
fn launch(
    mut server: Command,
    kind: Kind,
    home: &Home,
) -> Result<(Arc<Mutex<Child>>, JoinHandle<()>), StartError> {
    server
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    end_with_parent(&mut server, kind.end);
    let (events, event) = mpsc::channel();
    let log = File::create(home.log()).map_err(StartError::Folder)?;
    let watcher = thread::Builder::new()
        .name("server-watcher".to_owned())
        .spawn(move || watch(server, kind.ready, log, &events))
        .map_err(StartError::Folder)?;

    let mut process = None;
    loop {
        match event.recv_timeout(START_LIMIT) {
            Ok(Event::Started(started)) => process = Some(started),
            Ok(Event::Ready) => {
                return Ok((process.expect("a server is started before it is ready"), watcher));
            }
            Ok(Event::Failed(error)) => return Err(error),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(StartError::Ended { log: read_log(home) });
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if let Some(process) = &process {
                    end(process, kind.end);
                }
                return Err(StartError::Silent {
                    waited: START_LIMIT,
                    log: read_log(home),
                });
            }
        }
    }
}

enum Event {
    Started(Arc<Mutex<Child>>),
    Ready,
    Failed(StartError),
}

/// Nobody listens to the events after the start, and that is fine: sending is then without effect.
fn watch(mut server: Command, ready: &str, mut log: File, events: &mpsc::Sender<Event>) {
    let mut child = match server.spawn() {
        Ok(child) => child,
        Err(source) => {
            let _ = events.send(Event::Failed(StartError::Spawn {
                program: server.get_program().into(),
                source,
            }));
            return;
        }
    };
    let mut messages = BufReader::new(child.stderr.take().expect("stderr is piped"));
    let child = Arc::new(Mutex::new(child));
    let _ = events.send(Event::Started(Arc::clone(&child)));

    let mut line = Vec::new();
    while messages.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
        log.write_all(&line)
            .expect("the log of the server can be written");
        if String::from_utf8_lossy(&line).contains(ready) {
            let _ = events.send(Event::Ready);
        }
        line.clear();
    }
    // The server and all its processes closed their output: it has ended, or is about to.
    child
        .lock()
        .expect("no holder panics")
        .wait()
        .expect("a child can be waited for");
}

/// Asks for an immediate end. Under the lock nobody collects the child, so its id cannot belong to another process.
fn end(child: &Arc<Mutex<Child>>, signal: Signal) {
    let mut child = child.lock().expect("no holder panics");
    if let Ok(None) = child.try_wait() {
        let id = Pid::from_raw(i32::try_from(child.id()).expect("process ids fit in 31 bits"));
        // Fails only if it ended meanwhile, which is the aim.
        let _ = kill(id, signal);
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn read_log(home: &Home) -> String {
    fs::read(home.log())
        .map(|log| String::from_utf8_lossy(&log).into_owned())
        .unwrap_or_default()
}
