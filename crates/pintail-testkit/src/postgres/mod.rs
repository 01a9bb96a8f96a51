//! A private PostgreSQL server for tests: its own folder, its own port on 127.0.0.1, no system cluster touched.
//!
//! It is stopped when the value is dropped, and by the kernel when the test process ends in any other way. Folders that
//! a killed test left behind are removed by the next start. By default it does not sync to disk; tests that measure or
//! cut power ask for [`PostgresOptions::durable`].
//!
//! The superuser `postgres` needs no password. Every other user needs one (SCRAM), as in a company's database.

mod launch;
mod programs;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use postgres::{Client, NoTls};

use crate::percent::percent_encoded;
use crate::server::{Running, StartError, shared};

/// How a server is started. `PostgresOptions::default().start()` is what most tests want.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    durable: bool,
    settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// Commits reach the disk, as in production. Several times slower.
    #[must_use]
    pub fn durable(mut self) -> PostgresOptions {
        self.durable = true;
        self
    }

    /// Sets a parameter of `postgresql.conf`; the last value of a name counts.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> PostgresOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes a server and waits until it answers.
    pub fn start(self) -> Result<PostgresServer, StartError> {
        let running = launch::start(&self.all_settings())?;
        Ok(PostgresServer {
            address: running.address(),
            running: Mutex::new(Some(running)),
            databases_made: AtomicU32::new(0),
        })
    }

    fn all_settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![
            ("max_connections", "200"),
            ("timezone", "UTC"),
            ("password_encryption", "scram-sha-256"),
        ];
        if !self.durable {
            settings.extend([
                ("fsync", "off"),
                ("synchronous_commit", "off"),
                ("full_page_writes", "off"),
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
pub struct PostgresServer {
    address: SocketAddr,
    running: Mutex<Option<Running>>,
    databases_made: AtomicU32,
}

impl PostgresServer {
    /// Starts a server with default options.
    pub fn start() -> Result<PostgresServer, StartError> {
        PostgresOptions::default().start()
    }

    /// The one server that the tests of this process share; started by the first caller. Take a
    /// [`fresh_database`](Self::fresh_database) each.
    ///
    /// # Panics
    /// When it cannot start: a test that needs a server fails without one.
    pub fn shared() -> &'static PostgresServer {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();

        extern "C" fn stop_shared() {
            if let Some(server) = SHARED.get() {
                server.stop();
            }
        }

        shared(&SHARED, PostgresServer::start, stop_shared)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `postgres://postgres@127.0.0.1:<port>/<database>`, for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@{}/{}",
            self.address,
            percent_encoded(database)
        )
    }

    /// The same for a user with a password, both percent-encoded.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        let (user, password) = (percent_encoded(user), percent_encoded(password));
        format!(
            "postgres://{user}:{password}@{}/{}",
            self.address,
            percent_encoded(database)
        )
    }

    /// Connects as superuser. Panics when that fails.
    #[track_caller]
    pub fn client(&self, database: &str) -> Client {
        Client::connect(&self.url(database), NoTls).unwrap_or_else(|error| {
            panic!(
                "cannot connect to database \"{database}\": {error}\n{}",
                self.log()
            )
        })
    }

    pub fn create_database(&self, name: &str) {
        let statement = format!("create database {}", quoted(name, '"'));
        self.client("postgres")
            .batch_execute(&statement)
            .expect("a new name makes a database");
    }

    /// Makes a user that logs in with `password`. It owns nothing: grant what the test needs.
    pub fn create_user(&self, name: &str, password: &str) {
        let statement = format!(
            "create user {} password {}",
            quoted(name, '"'),
            quoted(password, '\'')
        );
        self.client("postgres")
            .batch_execute(&statement)
            .expect("a new name makes a user");
    }

    /// Makes a database that no other test knows.
    pub fn fresh_database(&self) -> Database<'_> {
        let name = format!(
            "fresh_{}",
            self.databases_made.fetch_add(1, Ordering::Relaxed) + 1
        );
        self.create_database(&name);
        Database { server: self, name }
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
}

/// A database of a [`PostgresServer`]. It goes with its server.
#[derive(Debug)]
pub struct Database<'server> {
    server: &'server PostgresServer,
    name: String,
}

impl Database<'_> {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// See [`PostgresServer::url`].
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// See [`PostgresServer::url_as`].
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.server.url_as(user, password, &self.name)
    }

    /// Connects as superuser. Panics when that fails.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.server.client(&self.name)
    }

    /// Runs statements on a connection of their own. Panics when one fails.
    #[track_caller]
    pub fn execute(&self, statements: &str) {
        self.client()
            .batch_execute(statements)
            .unwrap_or_else(|error| panic!("cannot execute `{statements}`: {error}"));
    }
}

fn quoted(text: &str, quote: char) -> String {
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}
