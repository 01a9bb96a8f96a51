//! A datastore: a named connection, the same whether it was written in `datastores.yaml` or as a URL.
//!
//! Paths are resolved when a datastore is loaded: those of a file are relative to that file, those of a command
//! line to the current folder. `Display` gives the address as a URL without secrets (see `address.rs`).

use std::path::{Path, PathBuf};

pub use crate::options::{Options, Setting};
use crate::place::{Files, Place};
use crate::systems::{ServerForm, System, system};

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
    /// Files in a folder or in a bucket.
    Files(Files),
}

/// Where the two halves of a DuckLake are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lake {
    /// The tables that describe the lake.
    pub catalogue: Catalogue,
    /// The folder of the Parquet files.
    pub data_path: Place,
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
    /// The options of a server, or `None` for anything else.
    #[must_use]
    pub fn options(&self) -> Option<&Options> {
        match &self.connection {
            Connection::Server(options) => Some(options),
            Connection::File(_) | Connection::Lake(_) | Connection::Files(_) => None,
        }
    }

    /// The file, or `None` for anything else.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.connection {
            Connection::File(path) => Some(path),
            Connection::Server(_) | Connection::Lake(_) | Connection::Files(_) => None,
        }
    }

    /// The lake, or `None` for anything else.
    #[must_use]
    pub fn lake(&self) -> Option<&Lake> {
        match &self.connection {
            Connection::Lake(lake) => Some(lake),
            Connection::Server(_) | Connection::File(_) | Connection::Files(_) => None,
        }
    }

    /// The files, or `None` for anything else.
    #[must_use]
    pub fn files(&self) -> Option<&Files> {
        match &self.connection {
            Connection::Files(files) => Some(files),
            Connection::Server(_) | Connection::File(_) | Connection::Lake(_) => None,
        }
    }

    /// The same files, with tables that are written in folders by the values of `columns`. Anything else stays as it is.
    #[must_use]
    pub fn partitioned_by(mut self, columns: &[String]) -> Self {
        if let Connection::Files(files) = &mut self.connection {
            files.partition_by = columns.to_vec();
        }
        self
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
        (!self.known_system().is_some_and(|system| system.writable))
            .then(|| format!("writing to `{}`", self.system))
    }

    pub(crate) fn known_system(&self) -> Option<&'static System> {
        system(&self.system)
    }
}

/// A path against the folder that it is relative to.
pub(crate) fn resolve(base: &Path, path: &str) -> PathBuf {
    base.join(path)
}

/// Options of a server, with the files among them resolved.
pub(crate) fn resolve_files(options: &Options, form: &ServerForm, base: &Path) -> Options {
    options
        .iter()
        .map(|(name, setting)| {
            let value = setting.expose();
            // `system` stands for the certificates of the operating system.
            let file = form.files.contains(&name) && value != "system";
            let value = if file {
                resolve(base, value).to_string_lossy().into_owned()
            } else {
                value.to_owned()
            };
            (name, value)
        })
        .collect()
}
