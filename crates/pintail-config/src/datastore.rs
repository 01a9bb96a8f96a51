//! A datastore: a named connection, the same whether it was written in `datastores.yaml` or as a URL.
//!
//! Paths are resolved when a datastore is loaded: those of a file are relative to that file, those of a command
//! line to the current folder. `Display` gives the address as a URL without secrets.

use std::fmt;
use std::path::{Path, PathBuf};

pub use crate::options::{Options, Setting};
use crate::systems::{LIBPQ_FILES, System, system};

/// A place that tables are read from or written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datastore {
    /// The name in `datastores.yaml`; for a URL the address, without secrets.
    pub name: String,
    /// The word in `type:`, one of [`crate::systems::SYSTEMS`].
    pub system: String,
    /// The schema of tables that are named without one.
    pub schema: Option<String>,
    /// How it is reached.
    pub connection: Connection,
    /// The folder that relative paths were resolved against.
    pub base: PathBuf,
}

/// How a datastore is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// A server, by its own options.
    Server(Options),
    /// One file.
    File(PathBuf),
    /// A DuckLake.
    Lake(Lake),
}

/// Where the two halves of a DuckLake are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lake {
    /// The tables that describe the lake.
    pub catalogue: Catalogue,
    /// The folder of the Parquet files.
    pub data_path: PathBuf,
    /// The schema of the catalogue's own tables, for a catalogue that shares its database.
    pub metadata_schema: Option<String>,
}

/// What holds the catalogue of a lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Catalogue {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A DuckDB file.
    Duckdb(PathBuf),
    /// A Postgres database.
    Postgres(Options),
}

impl Datastore {
    /// The options of a server, or `None` for a file or a lake.
    #[must_use]
    pub fn options(&self) -> Option<&Options> {
        match &self.connection {
            Connection::Server(options) => Some(options),
            Connection::File(_) | Connection::Lake(_) => None,
        }
    }

    /// The file, or `None` for a server or a lake.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.connection {
            Connection::File(path) => Some(path),
            Connection::Server(_) | Connection::Lake(_) => None,
        }
    }

    /// The lake, or `None` for a server or a file.
    #[must_use]
    pub fn lake(&self) -> Option<&Lake> {
        match &self.connection {
            Connection::Lake(lake) => Some(lake),
            Connection::Server(_) | Connection::File(_) => None,
        }
    }

    /// A path as this datastore means it.
    #[must_use]
    pub fn resolve_path(&self, path: &str) -> PathBuf {
        resolve(&self.base, path)
    }

    /// What of this datastore a later release will read, in words; `None` if it can be read from now.
    #[must_use]
    pub fn not_built_as_source(&self) -> Option<String> {
        (!self.known_system().is_some_and(|system| system.readable))
            .then(|| format!("reading from `{}`", self.system))
    }

    /// What of this datastore a later release will write, in words; `None` if it can be written to now.
    #[must_use]
    pub fn not_built_as_destination(&self) -> Option<String> {
        if !self.known_system().is_some_and(|system| system.writable) {
            return Some(format!("writing to `{}`", self.system));
        }
        let remote = self
            .lake()
            .is_some_and(|lake| lake.data_path.to_string_lossy().contains("://"));
        remote.then(|| "a lake with its files in an object store".to_owned())
    }

    /// One text for one place, however it was written: absolute paths, the default port, no secrets and no
    /// options that only say how to get there. For names that are derived from addresses.
    #[must_use]
    pub fn identity(&self) -> String {
        match &self.connection {
            Connection::Server(options) => format!("{}://{}", self.system, server_identity(options)),
            Connection::File(path) => format!("{}:{}", self.system, absolute(path)),
            Connection::Lake(lake) => {
                let catalogue = match &lake.catalogue {
                    Catalogue::Sqlite(path) => format!("sqlite:{}", absolute(path)),
                    Catalogue::Duckdb(path) => format!("duckdb:{}", absolute(path)),
                    Catalogue::Postgres(options) => format!("postgres://{}", server_identity(options)),
                };
                let schema = lake.metadata_schema.as_deref().unwrap_or_default();
                format!("{}:{catalogue}?metadata_schema={schema}", self.system)
            }
        }
    }

    fn known_system(&self) -> Option<&'static System> {
        system(&self.system)
    }
}

impl fmt::Display for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.connection {
            Connection::Server(options) => write!(f, "{}://{}", self.system, address(options)),
            Connection::File(path) => write!(f, "{}:{}", self.system, escape_path(path)),
            Connection::Lake(lake) => write!(f, "{}:{lake}", self.system),
        }
    }
}

impl fmt::Display for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let catalogue = self.catalogue.to_string();
        let joint = if catalogue.contains('?') { '&' } else { '?' };
        write!(f, "{catalogue}{joint}data_path={}", escape_path(&self.data_path))
    }
}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", escape_path(path)),
            Self::Duckdb(path) => write!(f, "duckdb:{}", escape_path(path)),
            Self::Postgres(options) => write!(f, "postgres://{}", address(options)),
        }
    }
}

/// A path against the folder that it is relative to. Addresses of object stores stay as they are.
pub(crate) fn resolve(base: &Path, path: &str) -> PathBuf {
    if path.contains("://") {
        PathBuf::from(path)
    } else {
        base.join(path)
    }
}

/// Options of libpq, with the files among them resolved.
pub(crate) fn resolve_files(options: &Options, base: &Path) -> Options {
    options
        .iter()
        .map(|(name, setting)| {
            let value = setting.expose();
            // `system` stands for the certificates of the operating system.
            let file = LIBPQ_FILES.contains(&name) && value != "system";
            let value = if file {
                resolve(base, value).to_string_lossy().into_owned()
            } else {
                value.to_owned()
            };
            (name, value)
        })
        .collect()
}

/// What has to be escaped in a user or database name for the URL to be read back, and what in a path.
const RESERVED_IN_PART: &str = " %/?#@:&";
const RESERVED_IN_PATH: &str = " %?#&";

/// Escapes only what has to be: `größe.db` stays readable.
fn escape(text: &str, reserved: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if reserved.contains(letter) || letter.is_ascii_control() {
            escaped.push_str(&format!("%{:02X}", u32::from(letter)));
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

fn escape_path(path: &Path) -> String {
    escape(&path.to_string_lossy(), RESERVED_IN_PATH)
}

/// `user@host:port/dbname`, with a socket's folder in the query where libpq expects it.
fn address(options: &Options) -> String {
    let text = |name| options.text(name).unwrap_or_default();
    let mut address = String::new();
    if !text("user").is_empty() {
        address = format!("{}@", escape(text("user"), RESERVED_IN_PART));
    }
    let socket = text("host").starts_with('/');
    if !socket {
        let mut ports = text("port").split(',');
        let hosts: Vec<String> = text("host")
            .split(',')
            .map(|host| {
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.to_owned()
                };
                match ports.next() {
                    Some(port) if !port.is_empty() => format!("{host}:{port}"),
                    _ => host,
                }
            })
            .collect();
        address.push_str(&hosts.join(","));
    }
    if !text("dbname").is_empty() {
        address = format!("{address}/{}", escape(text("dbname"), RESERVED_IN_PART));
    }
    if socket {
        let port = if text("port").is_empty() {
            String::new()
        } else {
            format!("&port={}", text("port"))
        };
        let slash = if text("dbname").is_empty() { "/" } else { "" };
        address = format!(
            "{address}{slash}?host={}{port}",
            escape(text("host"), RESERVED_IN_PATH)
        );
    }
    address
}

fn server_identity(options: &Options) -> String {
    let text = |name| options.text(name).unwrap_or_default();
    let port = if text("port").is_empty() {
        "5432"
    } else {
        text("port")
    };
    format!("{}@{}:{port}/{}", text("user"), text("host"), text("dbname"))
}

fn absolute(path: &Path) -> String {
    // Fails only where the current folder is gone or the path is empty; the path as written is then the best
    // name there is.
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .to_string_lossy()
        .into_owned()
}
