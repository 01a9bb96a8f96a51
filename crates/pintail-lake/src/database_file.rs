//! A DuckDB file that is attached to an engine as a whole, and what its refusals mean.

use std::path::PathBuf;

use pintail_model::{ErrorKind, Secret};

use crate::connector::Attachment;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::lake::Access;
use crate::quote;
use crate::session::Call;

/// A DuckDB file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its address, for people.
    pub address: String,
}

impl DatabaseFile {
    /// Attaches the file. Whoever writes may have to make it, in the format `storage_version` if one is given.
    ///
    /// # Errors
    /// `NotFound` for a file that does not exist and is only to be read, `Conflict` if another process holds it, `Invalid` for
    /// a file that is no database.
    pub fn attach(
        &self,
        engine: &Engine,
        alias: &str,
        access: Access,
        storage_version: Option<&str>,
    ) -> Result<()> {
        let mut options = Vec::new();
        if access == Access::ReadOnly {
            options.push("read_only".to_owned());
        }
        if let Some(version) = storage_version.filter(|_| !self.path.exists()) {
            options.push(format!("storage_version {}", quote::literal(version)));
        }
        let options = match options.as_slice() {
            [] => String::new(),
            options => format!(" ({})", options.join(", ")),
        };
        let attach = format!(
            "attach {} as {}{options}",
            quote::literal(&self.path.to_string_lossy()),
            quote::identifier(alias)
        );
        let attachment = Attachment {
            extensions: Vec::new(),
            statements: vec![Secret::new(attach)],
            secrets: Vec::new(),
        };
        engine
            .attach(&format!("attach {}", self.address), &attachment)
            .map_err(|error| explain(&self.address, error))
    }

    /// Detaches it, so that another process can use it.
    pub fn detach(&self, engine: &Engine, alias: &str) -> Result<()> {
        let label = format!("detach {}", self.address);
        let sql = format!("detach {}", quote::identifier(alias));
        engine.session()?.batch(Call::new(&label).protected(), &sql)
    }

    /// Whether there is such a file.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.exists()
    }
}

/// The same error, in words for a file that is something else than a database that can be used. `address` names it.
#[must_use]
pub fn explain(address: &str, error: Error) -> Error {
    let Error::Statement { source, .. } = &error else {
        return error;
    };
    let has = |part: &str| source.raw_text().contains(part);
    let refused =
        |kind, what: &str, hint: &str| Error::refused(kind, format!("cannot open {address}: {what}"), hint);
    if has("does not exist") || has("No such file") {
        refused(ErrorKind::NotFound, "there is no such file", "Check the path.")
    } else if has("Could not set lock on file") {
        refused(
            ErrorKind::Conflict,
            "another process holds it",
            "DuckDB lets one process write to a file, or many read it. Try again when the other one is done.",
        )
    } else if has("Unique file handle conflict") {
        refused(
            ErrorKind::Invalid,
            "it is the source and the destination of one run",
            "DuckDB opens a file once. Copy within one file with its own `create table ... as from ...`.",
        )
    } else if has("not a valid DuckDB database file") {
        refused(
            ErrorKind::Invalid,
            "the file is no DuckDB database",
            "Check the path.",
        )
    } else if has("newer") || has("storage version") {
        refused(
            ErrorKind::Invalid,
            "the file was written by a newer DuckDB",
            "Use a newer release of Pintail, or write the file in an older format.",
        )
    } else {
        error
    }
}
