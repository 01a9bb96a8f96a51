//! A lake attached to an engine: look-ups, the folder for staged files, and the way to [commits](crate::commit).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pintail_model::{Column, LogicalType, RunId, TableName};

use crate::commit::{self, CommitOutcome, CommitRequest};
use crate::depot::Depot;
use crate::engine::Engine;
use crate::error::Result;
use crate::folders;
use crate::ledger::{self, Ledger};
use crate::location::LakeLocation;
use crate::metadata;
use crate::quote;
use crate::session::{Call, Row, Session};
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
#[derive(Clone)]
pub struct Lake {
    engine: Engine,
    location: Arc<LakeLocation>,
    depot: Depot,
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
    /// Rows of the newest snapshot: an estimate where another program keeps some of them, or that some are deleted, in the
    /// catalogue, but never 0 where there are some.
    pub rows: u64,
    /// DuckLake's number of the table.
    pub table_id: i64,
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
        same_columns(&self.columns, columns)
    }
}

/// Whether columns of a lake's table are exactly `wanted`, in this order.
pub(crate) fn same_columns(columns: &[LakeColumn], wanted: &[Column]) -> bool {
    columns.len() == wanted.len()
        && columns.iter().zip(wanted).all(|(own, wanted)| {
            own.name == wanted.name
                && own.nullable == wanted.nullable
                && own
                    .sql_type
                    .eq_ignore_ascii_case(&wanted.logical_type.to_string())
        })
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
    /// A lake that `engine` is about to attach.
    ///
    /// # Errors
    /// `Invalid` if its bucket cannot be addressed.
    pub(crate) fn new(engine: Engine, location: LakeLocation, lease: LeaseSettings) -> Result<Self> {
        Ok(Self {
            engine,
            depot: Depot::of(location.bucket.as_ref())?,
            location: Arc::new(location),
            lease,
            ready: Arc::default(),
            committed_to: Arc::default(),
        })
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

    /// The name under which it is attached.
    pub const NAME: &'static str = ALIAS;

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

    /// Where its files lie.
    pub(crate) fn depot(&self) -> &Depot {
        &self.depot
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

    /// The table as it was in a snapshot, qualified for SQL.
    #[must_use]
    pub fn qualified_at(&self, table: &TableName, snapshot: i64) -> String {
        format!("{} at (version => {snapshot})", self.qualified(table))
    }

    /// Looks a table up.
    pub fn table(&self, session: &Session, name: &TableName) -> Result<Option<LakeTable>> {
        let Some(place) = metadata::place(self, session, name)? else {
            return Ok(None);
        };
        Ok(Some(LakeTable {
            columns: self.columns(session, name)?,
            // With delete files, counting reads the table.
            rows: match metadata::rows_in_files(self, session, place.table_id)? {
                0 => self.rows(session, name)?,
                rows => rows,
            },
            table_id: place.table_id,
        }))
    }

    /// DuckLake's number of a table: another one after it was dropped and made anew.
    pub fn table_id(&self, session: &Session, name: &TableName) -> Result<Option<i64>> {
        Ok(metadata::place(self, session, name)?.map(|place| place.table_id))
    }

    /// The columns of a table that is there.
    pub(crate) fn columns(&self, session: &Session, name: &TableName) -> Result<Vec<LakeColumn>> {
        let label = format!("look up the columns of table \"{name}\" of the lake");
        // Not `duckdb_columns()`: that lists the catalogues of all attached databases first, the source's too. Nor
        // `pragma_table_info()`: it does not understand a quote in a name.
        let columns = session.query(
            Call::new(&label),
            &format!(
                "select column_name, column_type, \"null\" = 'YES' from (describe {})",
                self.qualified(name)
            ),
        )?;
        let column = |row: &Row| LakeColumn {
            name: row.text(0).unwrap_or_default().to_owned(),
            sql_type: row.text(1).unwrap_or_default().to_owned(),
            nullable: row.boolean(2),
        };
        Ok(columns.iter().map(column).collect())
    }

    /// How many rows a table has that is there.
    pub(crate) fn rows(&self, session: &Session, name: &TableName) -> Result<u64> {
        let label = format!("count the rows of table \"{name}\" of the lake");
        let sql = format!("select count(*) from {}", self.qualified(name));
        let rows = session.query(Call::new(&label), &sql)?;
        let rows = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
        Ok(u64::try_from(rows).unwrap_or(0))
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
        self.depot.make_folder(&path)?;
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
    pub fn repair(&self, session: &Session, table: &TableName) -> Result<u32> {
        match metadata::place(self, session, table)? {
            Some(place) => commit::guard::put_back(self, session, &place.folder),
            None => Ok(0),
        }
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
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
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
