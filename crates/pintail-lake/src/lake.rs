//! A lake attached to an engine: look-ups, the folder for staged files, and the way to [commits](crate::commit).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pintail_model::{Column, ErrorKind, LogicalType, RunId, Secret, TableName};

use crate::commit::{self, CommitOutcome, CommitRequest};
use crate::connector::Attachment;
use crate::engine::Engine;
use crate::error::{Error, FaultClass, Result};
use crate::folders;
use crate::ledger::{self, Ledger};
use crate::location::{Catalogue, LakeLocation};
use crate::metadata::{self, Place};
use crate::quote;
use crate::session::{Call, Session};
use crate::sweep::{self, SweepPolicy, Swept};

/// The name under which a lake is attached.
pub(crate) const ALIAS: &str = "lake";

/// What an attached lake may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Looking only; a lake that does not exist is an error.
    ReadOnly,
    /// Looking and committing; a lake that does not exist is made. The first commit adds Pintail's ledger and fence.
    ReadWrite,
}

/// How long committers wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseSettings {
    /// How long a committer waits for the lease. Default 60 s: a commit takes well under a second, so a holder that
    /// keeps it longer has stopped. On SQLite the lease is then passed over, which is safe because the catalogue
    /// refuses whoever began before; elsewhere the commit fails as `Unavailable`.
    pub wait: Duration,
    /// When Postgres ends a session that holds a lease or an open commit and does nothing. Default 5 minutes:
    /// shorter than any expiry of snapshots, so that a stopped process wakes up without a transaction. The catalogue
    /// has nothing to do while an engine looks for the rows that a commit replaces, so this is also the time that one
    /// statement of a commit may take.
    pub idle: Duration,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self {
            wait: Duration::from_mins(1),
            idle: Duration::from_mins(5),
        }
    }
}

/// A lake, attached to an engine of its own. Clones share the engine.
#[derive(Debug, Clone)]
pub struct Lake {
    engine: Engine,
    location: Arc<LakeLocation>,
    lease: LeaseSettings,
    ready: Arc<OnceLock<()>>,
    /// Tables that were committed to, by number.
    committed_to: Arc<Mutex<HashSet<i64>>>,
}

/// A table of a lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeTable {
    /// Columns in order. A type that is not in our list appears as `None`.
    pub columns: Vec<LakeColumn>,
    /// Rows of the newest snapshot.
    pub rows: u64,
    /// DuckLake's number of the table.
    pub table_id: i64,
    /// The folder of its data files.
    pub folder: PathBuf,
}

/// A column of a lake's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeColumn {
    /// Name.
    pub name: String,
    /// Type in DuckDB's spelling.
    pub sql_type: String,
    /// Whether NULL may stand in it.
    pub nullable: bool,
}

impl LakeTable {
    /// Whether the table holds exactly `columns`, in this order.
    #[must_use]
    pub fn matches(&self, columns: &[Column]) -> bool {
        self.columns.len() == columns.len()
            && self.columns.iter().zip(columns).all(|(own, wanted)| {
                own.name == wanted.name
                    && own.nullable == wanted.nullable
                    && own
                        .sql_type
                        .eq_ignore_ascii_case(&wanted.logical_type.to_string())
            })
    }
}

/// The folder into which one run stages its files for one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageFolder {
    /// The folder.
    pub path: PathBuf,
}

impl StageFolder {
    /// The file of one attempt at one partition.
    #[must_use]
    pub fn file(&self, partition: &str, attempt: u32) -> PathBuf {
        let safe: String = partition
            .chars()
            .map(|letter| {
                if letter.is_ascii_alphanumeric() || "-_".contains(letter) {
                    letter
                } else {
                    '-'
                }
            })
            .collect();
        self.path.join(format!("{safe}-{attempt}.parquet"))
    }
}

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
        let lake = Self {
            engine: engine.clone(),
            location: Arc::new(location.clone()),
            lease,
            ready: Arc::default(),
            committed_to: Arc::default(),
        };
        lake.check_place(access)?;
        let address = location.address();
        let label = format!("attach lake `{address}`");
        let attachment = lake.attachment(access);
        let deadline = Instant::now() + MAKING;
        loop {
            match engine.attach(&label, &attachment) {
                Ok(()) => return Ok(lake),
                Err(error) if !making(&error) || Instant::now() >= deadline => {
                    return Err(lake.explain(error));
                }
                // Somebody else makes the same lake: when that is done, it is there.
                Err(error) if !engine.pause(Duration::from_millis(50)) => return Err(lake.explain(error)),
                Err(_) => {}
            }
        }
    }

    /// Makes the ledger and the fence where they are missing, once for this attachment. Whoever takes a lease needs
    /// them; a run that finds nothing to do does not pay for looking.
    pub(crate) fn make_ready(&self) -> Result<()> {
        if self.ready.get().is_none() {
            commit::fence::install(self)?;
            ledger::install(self)?;
            let _ = self.ready.set(());
        }
        Ok(())
    }

    /// Whether nothing was committed to a table yet, since this was last asked of it.
    pub(crate) fn first_commit_to(&self, table_id: i64) -> bool {
        let mut tables = self.committed_to.lock().unwrap_or_else(PoisonError::into_inner);
        tables.insert(table_id)
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where the lake lies.
    #[must_use]
    pub fn location(&self) -> &LakeLocation {
        &self.location
    }

    /// The lease settings.
    #[must_use]
    pub fn lease(&self) -> LeaseSettings {
        self.lease
    }

    /// Opens a session of the engine.
    pub fn session(&self) -> Result<Session> {
        self.engine.session()
    }

    /// The name of a table in SQL.
    #[must_use]
    pub fn qualified(&self, table: &TableName) -> String {
        quote::table(ALIAS, table, "main")
    }

    /// Looks a table up.
    pub fn table(&self, session: &Session, name: &TableName) -> Result<Option<LakeTable>> {
        match metadata::place(self, session, name)? {
            Some(place) => self.table_at(session, name, place).map(Some),
            None => Ok(None),
        }
    }

    /// DuckLake's number of a table: another one after it was dropped and made anew.
    pub fn table_id(&self, session: &Session, name: &TableName) -> Result<Option<i64>> {
        Ok(metadata::place(self, session, name)?.map(|place| place.table_id))
    }

    /// Describes a table whose place is known.
    pub(crate) fn table_at(&self, session: &Session, name: &TableName, place: Place) -> Result<LakeTable> {
        let label = format!("look up table \"{name}\" of the lake");
        // Not `duckdb_columns()`: that lists the catalogues of all attached databases first, the source's too. Nor
        // `pragma_table_info()`: it does not understand a quote in a name.
        let columns = session.query(
            Call::new(&label),
            &format!(
                "select column_name, column_type, \"null\" = 'YES' from (describe {})",
                self.qualified(name)
            ),
        )?;
        let columns = columns
            .iter()
            .map(|row| LakeColumn {
                name: row.text(0).unwrap_or_default().to_owned(),
                sql_type: row.text(1).unwrap_or_default().to_owned(),
                nullable: row.boolean(2),
            })
            .collect();
        let rows = session.query(
            Call::new(&label),
            &format!("select count(*) from {}", self.qualified(name)),
        )?;
        let rows = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
        Ok(LakeTable {
            columns,
            rows: u64::try_from(rows).unwrap_or(0),
            table_id: place.table_id,
            folder: place.folder,
        })
    }

    /// The number of the newest snapshot.
    pub fn snapshot(&self, session: &Session) -> Result<i64> {
        let rows = session.query(
            Call::new("read the lake's newest snapshot"),
            &format!("from {ALIAS}.current_snapshot()"),
        )?;
        Ok(rows.first().and_then(|row| row.integer(0)).unwrap_or(0))
    }

    /// Makes the folder in which `run` stages its files for `table`. It lies under the table's own folder, so that
    /// the catalogue keeps relative paths and the lake can be moved as a whole; whatever a run leaves there without
    /// committing it is removed by [`Lake::sweep`].
    ///
    /// # Errors
    /// `Invalid` if the catalogue says that the table lies outside of the lake's data path.
    pub fn stage(&self, table: &TableName, run: &RunId) -> Result<StageFolder> {
        let path = folders::staging(self, &self.session()?, table)?.join(run.as_str());
        std::fs::create_dir_all(&path).map_err(|source| Error::File {
            action: "create folder",
            path: path.clone(),
            source,
        })?;
        Ok(StageFolder { path })
    }

    /// Commits staged files: see [`crate::commit`].
    pub fn commit(&self, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
        commit::commit(self, request)
    }

    /// Puts back files that the catalogue refers to and DuckLake deleted after an answer to COMMIT was lost, where the
    /// committer died before it could, or could not ask. Without them the table is unreadable. Returns their number.
    ///
    /// Commits do this first of all; who only reads what others committed calls it before. May be called at any time,
    /// and costs a look at a folder where nothing is to be done.
    pub fn repair(&self, session: &Session, table: &LakeTable) -> Result<u32> {
        commit::guard::put_back(self, session, &table.folder)
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger
    }

    /// Removes files that no snapshot refers to: see [`crate::sweep`].
    pub fn sweep(&self, table: &TableName, policy: &SweepPolicy) -> Result<Swept> {
        sweep::sweep(self, table, policy)
    }

    /// Detaches the lake from its engine, so that another process can use a DuckDB-file catalogue.
    pub fn detach(self) -> Result<()> {
        self.session()?
            .batch(Call::new("detach the lake"), &format!("detach {ALIAS}"))
    }

    fn check_place(&self, access: Access) -> Result<()> {
        let file = match &self.location.catalogue {
            Catalogue::Sqlite(path) | Catalogue::DuckDb(path) => Some(path),
            Catalogue::Postgres { .. } => None,
        };
        if access == Access::ReadOnly {
            return match file {
                Some(path) if !path.exists() => Err(self.absent()),
                _ => Ok(()),
            };
        }
        if self
            .location
            .data_path
            .to_string_lossy()
            .contains(['*', '?', '['])
        {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!(
                    "cannot write to lake `{}`: its data path has one of the characters `*`, `?` and `[`",
                    self.location.address()
                ),
                "DuckDB takes such a path for a pattern. Give `data_path` another folder.",
            ));
        }
        let folders = file
            .and_then(|path| path.parent())
            .into_iter()
            .chain([self.location.data_path.as_path()]);
        for folder in folders.filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|source| Error::File {
                action: "create folder",
                path: folder.to_path_buf(),
                source,
            })?;
        }
        Ok(())
    }

    fn attachment(&self, access: Access) -> Attachment {
        let mut options = vec![format!(
            "data_path {}",
            quote::literal(&self.location.data_path.to_string_lossy())
        )];
        if access == Access::ReadOnly {
            options.push("read_only".to_owned());
            options.push("create_if_not_exists false".to_owned());
        }
        let extensions = self.location.extensions();
        let mut secrets = Vec::new();
        let mut statements = Vec::new();
        let address = match &self.location.catalogue {
            Catalogue::Sqlite(path) => {
                // In the default journal one reader stops every commit; WAL is stored in the file.
                options.push("meta_journal_mode 'WAL'".to_owned());
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
                statements.push(catalogue_secret(password.as_ref()));
                options.push(format!("metadata_schema {}", quote::literal(metadata_schema)));
                options.push(format!("meta_secret {}", quote::literal(CATALOGUE_SECRET)));
                // The last setting of a name counts. DuckLake itself does not mark texts with a backslash in them.
                let mut server_options = format!("{server_options} -c standard_conforming_strings=on");
                if access == Access::ReadWrite {
                    // A reader holds nothing that others wait for.
                    let idle = self.lease.idle.as_millis();
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
            "attach {} as {ALIAS} ({})",
            quote::literal(&address),
            options.join(", ")
        );
        statements.extend([Secret::new(settings), Secret::new(attach)]);
        Attachment {
            extensions,
            statements,
            secrets,
        }
    }

    /// There is no lake, or a process died before it was made.
    fn absent(&self) -> Error {
        Error::refused(
            ErrorKind::NotFound,
            format!("lake `{}` does not exist", self.location.address()),
            "Check the path; `pintail copy` and `pintail run` make a lake when they first write to it.",
        )
    }

    /// Turns the refusals that a user can do something about into words.
    fn explain(&self, error: Error) -> Error {
        let Error::Statement { source, .. } = &error else {
            return error;
        };
        let address = self.location.address();
        let text = source.raw_text();
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

/// The name of the engine's secret that holds the password of a Postgres catalogue.
const CATALOGUE_SECRET: &str = "pintail_catalogue";

/// The password travels in a secret: DuckDB repeats the connection string in its errors and in `duckdb_databases()`,
/// but never a secret. There is always one, so that no secret that the user has stored for DuckDB is picked up.
fn catalogue_secret(password: Option<&Secret>) -> Secret {
    let password = password
        .map(|password| format!(", password {}", quote::literal(password.expose())))
        .unwrap_or_default();
    Secret::new(format!(
        "create or replace temporary secret {CATALOGUE_SECRET} (type postgres{password})"
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

/// The definition of a table's columns in SQL.
pub(crate) fn column_definitions(columns: &[Column]) -> String {
    let definition = |column: &Column| {
        let not_null = if column.nullable { "" } else { " not null" };
        format!(
            "{} {}{not_null}",
            quote::identifier(&column.name),
            sql_type(column.logical_type)
        )
    };
    columns.iter().map(definition).collect::<Vec<_>>().join(", ")
}

fn sql_type(logical_type: LogicalType) -> String {
    logical_type.to_string()
}
