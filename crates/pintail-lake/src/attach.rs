//! Attaching a lake to an engine: what is checked first, the statements, and what a refusal means.

use std::time::{Duration, Instant};

use pintail_model::{ErrorKind, Secret};

use crate::bucket;
use crate::connector::Attachment;
use crate::depot::Depot;
use crate::engine::Engine;
use crate::error::{Error, FaultClass, Result};
use crate::lake::{ALIAS, Access, Lake, LeaseSettings};
use crate::location::{Catalogue, LakeLocation};
use crate::quote;

impl Lake {
    /// Attaches a lake, with the default lease settings.
    ///
    /// # Errors
    /// `NotFound` for a lake that does not exist and is only to be read, `Invalid` for one of a newer format,
    /// `Unavailable` or `Unauthorized` for a catalogue or a folder that cannot be used.
    pub fn attach(engine: &Engine, location: &LakeLocation, access: Access) -> Result<Self> {
        Self::attach_with(engine, location, access, LeaseSettings::default())
    }

    /// Attaches a lake.
    pub fn attach_with(
        engine: &Engine,
        location: &LakeLocation,
        access: Access,
        lease: LeaseSettings,
    ) -> Result<Self> {
        let lake = Self::new(engine.clone(), location.clone(), lease)?;
        lake.check_place(access)?;
        let absent = match access {
            Access::ReadOnly => Absent::Refuse,
            Access::ReadWrite => Absent::Make,
        };
        lake.attach_as(access, absent)
    }

    /// Attaches a lake to be changed. One that does not exist is not made.
    ///
    /// # Errors
    /// `NotFound` for a lake that does not exist, and those of [`Lake::attach`].
    pub fn attach_existing(engine: &Engine, location: &LakeLocation) -> Result<Self> {
        let lake = Self::new(engine.clone(), location.clone(), LeaseSettings::default())?;
        lake.check_place(Access::ReadOnly)?;
        lake.check_place(Access::ReadWrite)?;
        lake.attach_as(Access::ReadWrite, Absent::Refuse)
    }

    fn attach_as(self, access: Access, absent: Absent) -> Result<Self> {
        let (engine, location) = (self.engine(), self.location());
        let label = format!("attach lake `{}`", location.address());
        let attachment = attachment(location, ALIAS, access, absent, self.lease().idle);
        let deadline = Instant::now() + MAKING;
        loop {
            match engine.attach(&label, &attachment) {
                Ok(()) => return Ok(self),
                Err(error) if !making(&error) || Instant::now() >= deadline => {
                    return Err(location.explain(error));
                }
                // Somebody else makes the same lake: when that is done, it is there.
                Err(error) if !engine.pause(Duration::from_millis(50)) => return Err(location.explain(error)),
                Err(_) => {}
            }
        }
    }

    fn check_place(&self, access: Access) -> Result<()> {
        let file = match &self.location().catalogue {
            Catalogue::Sqlite(path) | Catalogue::DuckDb(path) => Some(path),
            Catalogue::Postgres { .. } => None,
        };
        if access == Access::ReadOnly {
            return match file {
                Some(path) if !path.exists() => Err(self.location().absent()),
                _ => Ok(()),
            };
        }
        if self
            .location()
            .data_path
            .to_string_lossy()
            .contains(['*', '?', '['])
        {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!(
                    "cannot write to lake `{}`: its data path has one of the characters `*`, `?` and `[`",
                    self.location().address()
                ),
                "DuckDB takes such a path for a pattern. Give `data_path` another folder.",
            ));
        }
        let folders = file
            .and_then(|path| path.parent())
            .into_iter()
            .filter(|folder| !folder.as_os_str().is_empty());
        for folder in folders {
            Depot::Folder.make_folder(folder)?;
        }
        self.depot().make_folder(&self.location().data_path)
    }
}

impl LakeLocation {
    /// How the lake is attached under `alias` to be read, and nothing else: as a source.
    #[must_use]
    pub fn reading(&self, alias: &str) -> Attachment {
        attachment(self, alias, Access::ReadOnly, Absent::Refuse, Duration::ZERO)
    }

    /// There is no lake, or a process died before it was made.
    fn absent(&self) -> Error {
        Error::refused(
            ErrorKind::NotFound,
            format!("lake `{}` does not exist", self.address()),
            "Check the path; `pintail copy` and `pintail run` make a lake when they first write to it.",
        )
    }

    /// Turns the refusals of an attachment that a user can do something about into words.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        let Error::Statement { source, .. } = &error else {
            return error;
        };
        let address = self.address();
        let text = source.raw_text();
        // SQLite does not say that there is no file.
        let file = match &self.catalogue {
            Catalogue::Sqlite(path) | Catalogue::DuckDb(path) => Some(path),
            Catalogue::Postgres { .. } => None,
        };
        if file.is_some_and(|path| !path.exists()) {
            return self.absent();
        }
        if text.contains("creating a new DuckLake is explicitly disabled") {
            return self.absent();
        }
        if text.contains("version")
            && (text.contains("AUTOMATIC_MIGRATION")
                || text.contains("newer")
                || text.contains("not supported"))
        {
            return Error::refused(
                ErrorKind::Invalid,
                format!("lake `{address}` has a catalogue format that this release does not know"),
                "Use the release of Pintail that last wrote to it, or a newer one. Nothing was changed.",
            );
        }
        if text.contains("Could not set lock on file") {
            return Error::refused(
                ErrorKind::Conflict,
                format!("lake `{address}` is in use by another process"),
                "A DuckDB-file catalogue takes one process at a time. Wait for the other one, or use a SQLite or Postgres catalogue.",
            );
        }
        if text.contains("file is not a database") || text.contains("not a valid DuckDB database file") {
            return Error::refused(
                ErrorKind::Invalid,
                format!("the catalogue of lake `{address}` is a file of another kind"),
                "Name the file of a lake's catalogue, or one that does not exist yet. Nothing was changed.",
            );
        }
        if text.contains("unable to open database file") {
            return Error::refused(
                ErrorKind::Unavailable,
                format!("the catalogue file of lake `{address}` cannot be opened"),
                "Check that the file and its folder can be read and written by this user.",
            );
        }
        if source.class == FaultClass::Other && text.contains("database is locked") {
            return Error::refused(
                ErrorKind::Unavailable,
                format!("lake `{address}` is busy"),
                "Another process holds its catalogue. Try again.",
            );
        }
        error
    }
}

/// What becomes of a lake that does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Make,
    Refuse,
}

/// How a lake is attached under `alias`; `idle` is how long a writer's session may hold a transaction open and do nothing.
fn attachment(
    location: &LakeLocation,
    alias: &str,
    access: Access,
    absent: Absent,
    idle: Duration,
) -> Attachment {
    // One for each attachment: a source and a destination may need different passwords.
    let secret = format!("pintail_catalogue_{alias}");
    let mut options = vec![format!(
        "data_path {}",
        quote::literal(&location.data_path.to_string_lossy())
    )];
    if access == Access::ReadOnly {
        options.push("read_only".to_owned());
    }
    if absent == Absent::Refuse {
        options.push("create_if_not_exists false".to_owned());
    }
    let extensions = location.extensions();
    let mut secrets = Vec::new();
    let mut statements = Vec::new();
    if let Some(settings) = &location.bucket {
        secrets.extend(settings.secrets());
        statements.extend(bucket::statements(settings));
    }
    let address = match &location.catalogue {
        Catalogue::Sqlite(path) => {
            if access == Access::ReadWrite {
                // In the default journal one reader stops every commit; WAL is stored in the file. Whoever only reads takes
                // it as it is.
                options.push("meta_journal_mode 'WAL'".to_owned());
            }
            options.push("meta_busy_timeout 5000".to_owned());
            format!("ducklake:sqlite:{}", path.display())
        }
        Catalogue::DuckDb(path) => format!("ducklake:{}", path.display()),
        Catalogue::Postgres {
            connection,
            options: server_options,
            password,
            secrets: parts,
            metadata_schema,
            ..
        } => {
            secrets.extend(parts.iter().chain(password).cloned());
            statements.push(catalogue_secret(&secret, password.as_ref()));
            options.push(format!("metadata_schema {}", quote::literal(metadata_schema)));
            options.push(format!("meta_secret {}", quote::literal(&secret)));
            // The last setting of a name counts. DuckLake itself does not mark texts with a backslash in them.
            let mut server_options = format!("{server_options} -c standard_conforming_strings=on");
            if access == Access::ReadWrite {
                // A reader holds nothing that others wait for.
                let idle = idle.as_millis();
                server_options.push_str(&format!(" -c idle_in_transaction_session_timeout={idle}"));
            }
            let connection = format!(
                "{} options={}",
                connection.expose(),
                quote::connection_value(server_options.trim_start())
            );
            format!("ducklake:postgres:{connection}")
        }
    };
    let settings = "set global ducklake_max_retry_count = 30;
         set global ducklake_retry_wait_ms = 50;
         set global ducklake_retry_backoff = 1.1;
         set global ducklake_default_data_inlining_row_limit = 0";
    let attach = format!(
        "attach {} as {} ({})",
        quote::literal(&address),
        quote::identifier(alias),
        options.join(", ")
    );
    statements.extend([Secret::new(settings), Secret::new(attach)]);
    Attachment {
        extensions,
        statements,
        secrets,
    }
}

/// The password travels in a secret: DuckDB repeats the connection string in its errors and in `duckdb_databases()`,
/// but never a secret. There is always one, so that no secret that the user has stored for DuckDB is picked up.
fn catalogue_secret(name: &str, password: Option<&Secret>) -> Secret {
    let password = password
        .map(|password| format!(", password {}", quote::literal(password.expose())))
        .unwrap_or_default();
    Secret::new(format!(
        "create or replace temporary secret {} (type postgres{password})",
        quote::identifier(name)
    ))
}

/// How long it may take somebody else to make the catalogue that we want to make.
const MAKING: Duration = Duration::from_secs(10);

/// Whether a catalogue cannot be attached because another process is making or changing it right now.
fn making(error: &Error) -> bool {
    let Error::Statement { source, .. } = error else {
        return false;
    };
    let text = source.raw_text();
    text.contains("database is locked")
        || (text.contains("Failed to probe DuckLake metadata")
            && text.contains("Current transaction is aborted"))
        || (text.contains("Failed to initialize DuckLake")
            && (text.contains("already exists") || text.contains("duplicate key")))
}
