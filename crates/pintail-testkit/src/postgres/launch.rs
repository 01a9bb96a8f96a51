//! A cluster and its server process.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use nix::sys::signal::Signal;

use super::programs::Programs;
use crate::server::{Home, Kind, Running, StartError, run};

const KIND: Kind = Kind {
    ready: "database system is ready to accept connections",
    port_taken: "could not bind",
    end: Signal::SIGQUIT,
};

/// The superuser is trusted so that tests need no password; everybody else has to know theirs.
const ACCESS_RULES: &str = "\
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
";

pub(super) fn start(settings: &[(String, String)]) -> Result<Running, StartError> {
    let programs = Programs::find()?;
    let home = Home::make("postgres", programs.account).map_err(StartError::Folder)?;
    make_cluster(&programs, &home)?;
    Running::start(KIND, home, |home, address| {
        server_command(&programs, home, address, settings)
    })
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
    run(&mut initdb)?;
    fs::write(home.data().join("pg_hba.conf"), ACCESS_RULES).map_err(StartError::Folder)
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
}
