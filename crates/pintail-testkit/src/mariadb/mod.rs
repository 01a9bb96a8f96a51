//! A private MariaDB server for tests: its own folder, port and socket, no system server touched.
//!
//! It is stopped when the value is dropped, and by the kernel when the test process ends in any other way. Folders that
//! a killed test left behind are removed by the next start. By default a commit does not reach the disk; tests that
//! measure or cut power ask for [`MariaDbOptions::durable`].
//!
//! The user `root` needs no password. Every other user needs one, as in a company's database.

mod launch;
mod programs;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

use crate::percent::percent_encoded;
use crate::server::{Running, StartError, shared};

/// How a server is started. `MariaDbOptions::default().start()` is what most tests want.
#[derive(Debug, Clone, Default)]
pub struct MariaDbOptions {
    durable: bool,
    settings: Vec<(String, String)>,
}

impl MariaDbOptions {
    /// Commits reach the disk, as in production. Several times slower.
    #[must_use]
    pub fn durable(mut self) -> MariaDbOptions {
        self.durable = true;
        self
    }

    /// Sets an option of the server; the last value of a name counts.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> MariaDbOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes a server and waits until it answers.
    pub fn start(self) -> Result<MariaDbServer, StartError> {
        let running = launch::start(&self.all_settings())?;
        Ok(MariaDbServer {
            address: running.address(),
            socket: launch::socket(running.home()),
            running: Mutex::new(Some(running)),
            databases_made: AtomicU32::new(0),
        })
    }

    fn all_settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![
            ("max-connections", "200"),
            ("skip-name-resolve", "1"),
            ("default-time-zone", "+00:00"),
            ("character-set-server", "utf8mb4"),
            // Small and quick to make.
            ("innodb-log-file-size", "32M"),
            ("innodb-buffer-pool-size", "64M"),
        ];
        if !self.durable {
            settings.extend([
                ("innodb-flush-log-at-trx-commit", "0"),
                ("innodb-doublewrite", "0"),
                ("innodb-flush-method", "nosync"),
            ]);
        }
        let ours = settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        ours.chain(self.settings.iter().cloned()).collect()
    }
}

/// A running server.
#[derive(Debug)]
pub struct MariaDbServer {
    address: SocketAddr,
    socket: PathBuf,
    running: Mutex<Option<Running>>,
    databases_made: AtomicU32,
}

impl MariaDbServer {
    /// Starts a server with default options.
    pub fn start() -> Result<MariaDbServer, StartError> {
        MariaDbOptions::default().start()
    }

    /// The one server that the tests of this process share; started by the first caller. Take a
    /// [`fresh_database`](Self::fresh_database) each.
    ///
    /// # Panics
    /// When it cannot start: a test that needs a server fails without one.
    pub fn shared() -> &'static MariaDbServer {
        static SHARED: OnceLock<MariaDbServer> = OnceLock::new();

        extern "C" fn stop_shared() {
            if let Some(server) = SHARED.get() {
                server.stop();
            }
        }

        shared(&SHARED, MariaDbServer::start, stop_shared)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file through which clients of this machine can come too.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// `mysql://root@127.0.0.1:<port>/<database>`, for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@{}/{}", self.address, percent_encoded(database))
    }

    /// The same for a user with a password, both percent-encoded.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        let (user, password) = (percent_encoded(user), percent_encoded(password));
        format!(
            "mysql://{user}:{password}@{}/{}",
            self.address,
            percent_encoded(database)
        )
    }

    /// Connects as superuser. Panics when that fails.
    #[track_caller]
    pub fn client(&self, database: &str) -> Conn {
        let options = OptsBuilder::new()
            .ip_or_hostname(Some(self.address.ip().to_string()))
            .tcp_port(self.port())
            .prefer_socket(false)
            .user(Some("root"))
            .db_name(Some(database));
        Conn::new(options).unwrap_or_else(|error| {
            panic!(
                "cannot connect to database \"{database}\": {error}\n{}",
                self.log()
            )
        })
    }

    pub fn create_database(&self, name: &str) {
        self.execute("mysql", &format!("create database {}", quoted(name, '`')));
    }

    /// Makes a user that logs in with `password`. It owns nothing: grant what the test needs.
    pub fn create_user(&self, name: &str, password: &str) {
        self.execute(
            "mysql",
            &format!("create user {} identified by {}", text(name), text(password)),
        );
    }

    /// Makes a database that no other test knows.
    pub fn fresh_database(&self) -> MariaDbDatabase<'_> {
        let name = format!(
            "fresh_{}",
            self.databases_made.fetch_add(1, Ordering::Relaxed) + 1
        );
        self.create_database(&name);
        MariaDbDatabase { server: self, name }
    }

    /// What the server logged until now, for a failure's message.
    pub fn log(&self) -> String {
        let running = self.running.lock().expect("no holder panics");
        running.as_ref().map(Running::log).unwrap_or_default()
    }

    /// The server's first process, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        let running = self.running.lock().expect("no holder panics");
        running.as_ref().map(Running::process_id)
    }

    /// Ends the server at once, as a crash does, and removes its folder. Connections break. A second call does nothing.
    pub fn stop(&self) {
        drop(self.running.lock().expect("no holder panics").take());
    }

    #[track_caller]
    fn execute(&self, database: &str, statements: &str) {
        self.client(database)
            .query_drop(statements)
            .unwrap_or_else(|error| panic!("cannot execute `{statements}`: {error}"));
    }
}

/// A database of a [`MariaDbServer`]. It goes with its server.
#[derive(Debug)]
pub struct MariaDbDatabase<'server> {
    server: &'server MariaDbServer,
    name: String,
}

impl MariaDbDatabase<'_> {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// See [`MariaDbServer::url`].
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// See [`MariaDbServer::url_as`].
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.server.url_as(user, password, &self.name)
    }

    /// Connects as superuser. Panics when that fails.
    #[track_caller]
    pub fn client(&self) -> Conn {
        self.server.client(&self.name)
    }

    /// Runs statements on a connection of their own. Panics when one fails.
    #[track_caller]
    pub fn execute(&self, statements: &str) {
        self.server.execute(&self.name, statements);
    }
}

fn quoted(name: &str, quote: char) -> String {
    let doubled = name.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}

/// A literal in which a backslash stands for itself.
fn text(text: &str) -> String {
    quoted(&text.replace('\\', "\\\\"), '\'')
}
