//! The tables of a new server, and its process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use super::programs::Programs;
use crate::server::{Home, Kind, Running, StartError, run};

/// Its folder goes with it, so nothing has to be written before its end.
const KIND: Kind = Kind {
    ready: "ready for connections",
    port_taken: "Bind on TCP/IP port",
    end: Signal::SIGKILL,
};

/// Where a server keeps its temporary tables. One that starts removes what it finds there, also what is in use by others.
const TEMPORARY: &str = "TMPDIR";

pub(super) fn start(settings: &[(String, String)]) -> Result<Running, StartError> {
    let programs = Programs::find()?;
    let home = Home::make("mariadb", programs.account).map_err(StartError::Folder)?;
    let mut install = programs.install(home.path());
    install
        .arg(format!("--datadir={}", home.data().display()))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .env(TEMPORARY, home.path());
    run(&mut install)?;
    Running::start(KIND, home, |home, address| {
        server_command(&programs, home, address, settings)
    })
}

/// The file through which clients of this machine can come too.
pub(super) fn socket(home: &Home) -> PathBuf {
    home.path().join("server.sock")
}

fn server_command(
    programs: &Programs,
    home: &Home,
    address: SocketAddr,
    settings: &[(String, String)],
) -> Command {
    let mut server = programs.server(home.path());
    server
        .arg(format!("--datadir={}", home.data().display()))
        .arg(format!("--socket={}", socket(home).display()))
        .arg(format!("--bind-address={}", address.ip()))
        .arg(format!("--port={}", address.port()))
        .env(TEMPORARY, home.path());
    for (name, value) in settings {
        server.arg(format!("--{name}={value}"));
    }
    server
}
