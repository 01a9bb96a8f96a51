//! One server process, from an empty folder to its end.
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
use super::programs::Programs;
use crate::process::end_with_parent;

/// A busy machine of two cores needs about three seconds.
const START_LIMIT: Duration = Duration::from_secs(60);
const PORT_ATTEMPTS: u32 = 5;
const READY: &str = "database system is ready to accept connections";

/// The superuser is trusted so that tests need no password; everybody else has to know theirs.
const ACCESS_RULES: &str = "\
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
";

/// A server that answers. Dropping it ends the server at once and removes its folder.
#[derive(Debug)]
pub(super) struct Running {
    address: SocketAddr,
    child: Arc<Mutex<Child>>,
    watcher: Option<JoinHandle<()>>,
    home: Home,
}

impl Running {
    pub(super) fn start(settings: &[(String, String)]) -> Result<Running, StartError> {
        let programs = Programs::find()?;
        let home = Home::make(programs.account).map_err(StartError::Folder)?;
        make_cluster(&programs, &home)?;

        let mut attempt = 1;
        loop {
            let address = free_address().map_err(StartError::Folder)?;
            match launch(server_command(&programs, &home, address, settings), &home) {
                Ok((child, watcher)) => {
                    return Ok(Running {
                        address,
                        child,
                        watcher: Some(watcher),
                        home,
                    });
                }
                Err(error) if error.port_was_taken() && attempt < PORT_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn log(&self) -> String {
        read_log(&self.home)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&self.child);
        if let Some(watcher) = self.watcher.take() {
            // It panics only if the log cannot be written, and then there is nothing left to wait for.
            let _ = watcher.join();
        }
    }
}

fn make_cluster(programs: &Programs, home: &Home) -> Result<(), StartError> {
    let mut initdb = programs.command("initdb", home.path());
    initdb.args([
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]);
    initdb.arg("--pgdata").arg(home.data());
    let output = initdb.output().map_err(|source| cannot_run(&initdb, source))?;
    if !output.status.success() {
        return Err(StartError::Cluster {
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    fs::write(home.access_rules(), ACCESS_RULES).map_err(StartError::Folder)
}

fn server_command(
    programs: &Programs,
    home: &Home,
    address: SocketAddr,
    settings: &[(String, String)],
) -> Command {
    let mut server = programs.command("postgres", home.path());
    server.arg("-D").arg(home.data());
    let address = [
        ("listen_addresses", address.ip().to_string()),
        ("port", address.port().to_string()),
    ];
    for (name, value) in address {
        server.arg("-c").arg(format!("{name}={value}"));
    }
    server.args(["-c", "unix_socket_directories="]);
    for (name, value) in settings {
        server.arg("-c").arg(format!("{name}={value}"));
    }
    server
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    end_with_parent(&mut server, Signal::SIGQUIT);
    server
}

/// Starts the server in a thread that watches it, and waits until it is ready.
fn launch(server: Command, home: &Home) -> Result<(Arc<Mutex<Child>>, JoinHandle<()>), StartError> {
    let (events, event) = mpsc::channel();
    let log = File::create(home.log()).map_err(StartError::Folder)?;
    let watcher = thread::Builder::new()
        .name("postgres-watcher".to_owned())
        .spawn(move || watch(server, log, &events))
        .map_err(StartError::Folder)?;

    let mut child = None;
    loop {
        match event.recv_timeout(START_LIMIT) {
            Ok(Event::Started(started)) => child = Some(started),
            Ok(Event::Ready) => return Ok((child.expect("a server is started before it is ready"), watcher)),
            Ok(Event::Failed(error)) => return Err(error),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(StartError::Ended { log: read_log(home) });
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.as_ref().map(end);
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
fn watch(mut server: Command, mut log: File, events: &mpsc::Sender<Event>) {
    let mut child = match server.spawn() {
        Ok(child) => child,
        Err(source) => {
            let _ = events.send(Event::Failed(cannot_run(&server, source)));
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
        if String::from_utf8_lossy(&line).contains(READY) {
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

/// Asks for an immediate shutdown. Under the lock nobody collects the child, so its id cannot belong to another process.
fn end(child: &Arc<Mutex<Child>>) {
    let mut child = child.lock().expect("no holder panics");
    if let Ok(None) = child.try_wait() {
        let id = Pid::from_raw(i32::try_from(child.id()).expect("process ids fit in 31 bits"));
        // Fails only if it ended meanwhile, which is the aim.
        let _ = kill(id, Signal::SIGQUIT);
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

fn cannot_run(command: &Command, source: std::io::Error) -> StartError {
    StartError::Spawn {
        program: command.get_program().into(),
        source,
    }
}
