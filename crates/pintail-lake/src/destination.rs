//! The contract between Pintail and the places it writes to.
//!
//! A [`DestinationPlace`] describes itself, without I/O: planning shows what would happen there. Attached to an engine it
//! is a [`Destination`], which takes staged Parquet files and brings them in.
//!
//! ```text
//! place ─▶ attach ─▶ table, ledger ─▶ stage (folder) ─▶ commit (files) ─▶ rows (compare) ─▶ sweep
//! ```
//!
//! Guarantees of every destination:
//! - **Atomic.** Rows, deletes and entries of the ledger that belong to one request come in together or not at all. No
//!   reader sees half.
//! - **Once.** A partition key is committed at most once. Parts whose key is in the ledger are dropped and reported as
//!   `already`.
//! - **Certain.** When `commit` returns, the caller knows whether the parts are in, or is told that nobody can know yet
//!   ([`Error::Undecided`](crate::Error::Undecided)).

use std::path::{Path, PathBuf};

use pintail_model::{Column, ErrorKind, LeafChecksums, NativeType, PartitionKey, RunId, TableName};

use crate::commit::{Change, CommitOutcome, CommitRequest};
use crate::depot::Depot;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::extension::Extension;
use crate::lake::{Access, StageFolder};
use crate::ledger::LedgerEntry;
use crate::session::Session;
use crate::sweep::{SweepPolicy, Swept};

/// A table as a destination has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTable {
    /// What tells it from another table of the same name that was made later.
    pub table_id: i64,
    /// Its rows; an estimate where counting would cost a scan.
    pub rows: u64,
    /// Whether rows of the wanted columns can be brought in as they are. If not, only a full load can go on.
    pub fits: bool,
}

/// What is to be read again in the transaction that commits, where a destination has no versions to read later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compare {
    /// SQL of a row's leaf over the columns of the destination; `None` groups rows by their own hash.
    pub leaf: Option<String>,
}

/// Both sides, as they were when a commit was about to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Rows of the table after the change: all of them if the table was replaced, or else those under staged keys.
    pub table: LeafChecksums,
    /// Where staged rows were dropped because the table had newer ones: how many, and what was left of them.
    pub superseded: Option<(u64, LeafChecksums)>,
}

/// A place that tables can be written to. Everything but `attach` is pure.
pub trait DestinationPlace: Send + Sync {
    /// What people call such a place: `lake`, `database`, `folder`.
    fn noun(&self) -> &'static str;

    /// The address without secrets, for people.
    fn address(&self) -> String;

    /// The extensions that an engine needs for it.
    fn extensions(&self) -> Vec<Extension>;

    /// Whether it is there already, as far as that can be told without a connection: then attaching makes nothing.
    fn is_there(&self) -> bool;

    /// Whether the ledger can be read before a table is looked up. Elsewhere whoever reads one table makes the engine learn the
    /// columns of all of them, or knows the ledger from the table.
    fn ledger_stands_apart(&self) -> bool {
        false
    }

    /// Options of the engine for staged Parquet files, each behind a comma.
    fn stage_options(&self) -> &'static str {
        ""
    }

    /// Whether a column of that type of some system becomes a column of the very same type here, so that its carrier is
    /// nothing but a way to travel.
    fn keeps(&self, _origin: &NativeType) -> bool {
        false
    }

    /// Why a column cannot be written there, for a person; `None` if it can.
    fn refuses(&self, _column: &Column) -> Option<String> {
        None
    }

    /// Columns that a table has to have to be laid out there.
    fn needs(&self) -> &[String] {
        &[]
    }

    /// Why a schema, a table or a column cannot have a name there, for a person; `None` if it can.
    fn refuses_name(&self, _name: &str) -> Option<String> {
        None
    }

    /// Whether two names of columns that differ only in case can stand in one table.
    fn tells_case_apart(&self) -> bool {
        false
    }

    /// Whether a column can be added to a table that is there: see [`Destination::add_column`].
    fn adds_columns(&self) -> bool {
        false
    }

    /// Whether some copies of a row can go while others, which are equal to them, stay. If not, all of them go.
    fn tells_copies_apart(&self) -> bool {
        false
    }

    /// The rows of a table as a relation of the engine, in parentheses, with columns named and typed as `columns`.
    /// `version` is a snapshot's number; places without versions have but one state.
    fn rows(&self, table: &TableName, columns: &[Column], version: Option<&str>) -> String;

    /// What a commit does, statement by statement, for a plan. `file` stands for the staged files.
    fn shown_commit(&self, table: &TableName, columns: &[Column], change: &Change, file: &str)
    -> Vec<String>;

    /// The staged file of a partition, for a plan: `<run>` and the like stand for what only a run knows.
    fn shown_stage(&self, table: &TableName, run: &str) -> PathBuf;

    /// Attaches it to an engine.
    ///
    /// # Errors
    /// `NotFound` if it does not exist and `access` is read-only.
    fn attach(&self, engine: &Engine, access: Access) -> Result<Box<dyn Destination>>;
}

/// A place that is attached to an engine.
pub trait Destination: Send + Sync {
    /// The engine.
    fn engine(&self) -> &Engine;

    /// Opens a session of the engine.
    fn session(&self) -> Result<Session> {
        self.engine().session()
    }

    /// Looks a table up, for rows of `columns`.
    fn table(&self, session: &Session, name: &TableName, columns: &[Column]) -> Result<Option<FoundTable>>;

    /// Whether a table that is there has rows. What [`Destination::table`] says of their number may be an estimate, or 0 where
    /// nobody knows.
    fn has_rows(&self, session: &Session, name: &TableName) -> Result<bool>;

    /// Adds a column, which may be NULL, as the last one of a table that does not have it. It is NULL in every row that is
    /// there. Only where [the place can](DestinationPlace::adds_columns).
    ///
    /// # Errors
    /// `Invalid` where the place cannot.
    fn add_column(&self, _session: &Session, table: &TableName, column: &Column) -> Result<()> {
        Err(Error::refused(
            ErrorKind::Invalid,
            format!("cannot add column `{}` to table \"{table}\"", column.name),
            "Run a full load: it makes the table anew.",
        ))
    }

    /// What tells the table from another one of its name that was made later, as in [`FoundTable`].
    fn table_id(&self, session: &Session, name: &TableName) -> Result<Option<i64>>;

    /// The newest version, for [`DestinationPlace::rows`]; `None` where there are none.
    fn version(&self, session: &Session) -> Result<Option<i64>>;

    /// A text that changes with every change of the table's rows, as of a version or of now; `None` where only the ledger can
    /// tell.
    fn rows_token(
        &self,
        session: &Session,
        _table: &TableName,
        version: Option<i64>,
    ) -> Result<Option<String>> {
        let version = match version {
            Some(version) => Some(version),
            None => self.version(session)?,
        };
        Ok(version.map(|version| version.to_string()))
    }

    /// Finishes what a commit could not after an answer was lost, where the committer died. Returns how many files were
    /// put back. May be called at any time.
    fn repair(&self, _session: &Session, _table: &TableName) -> Result<u32> {
        Ok(0)
    }

    /// The folder in which `run` stages its files for `table`; it is there after the call.
    fn stage(&self, table: &TableName, run: &RunId) -> Result<StageFolder>;

    /// Brings a staged file to where a loss of power does not reach it: what is recorded of it is true from then on.
    /// Returns its size.
    fn secure(&self, staged: &Path) -> Result<u64> {
        Depot::Folder.secure(staged)
    }

    /// The size of a staged file; `None` if it is not there.
    fn staged_bytes(&self, staged: &Path) -> Result<Option<u64>> {
        Depot::Folder.bytes(staged)
    }

    /// Removes a staged file that is not wanted any more. One that stays is swept later.
    fn discard(&self, staged: &Path) {
        // It may never have been written.
        let _ = Depot::Folder.remove(staged);
    }

    /// Those entries of the ledger whose key is one of `keys`.
    ///
    /// # Errors
    /// `NotFound` for a place that Pintail never wrote to. `Data` for an entry that cannot be read.
    fn committed(&self, session: &Session, keys: &[PartitionKey]) -> Result<Vec<LedgerEntry>>;

    /// The newest entry of the ledger for `table`, of whatever pipeline. Fails as `committed` does.
    fn newest(&self, session: &Session, table: &TableName) -> Result<Option<LedgerEntry>>;

    /// Brings staged files in: see the guarantees of this module.
    ///
    /// # Errors
    /// As [`crate::commit`] says.
    fn commit(&self, request: &CommitRequest<'_>) -> Result<CommitOutcome>;

    /// Removes files that nothing refers to any more.
    fn sweep(&self, table: &TableName, policy: &SweepPolicy) -> Result<Swept>;
}
