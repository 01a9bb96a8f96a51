//! What a pipeline remembers between runs, in one SQLite file that other programs can read meanwhile.
//!
//! ```text
//! begin_run ─▶ staged* ─▶ committed* ─▶ finish_run        each one small transaction
//! ```
//!
//! The plan is frozen by [`State::begin_run`] before work starts; a staged file is recorded after it is safe on disk;
//! a partition is marked as committed after the lake has it. If the state is lost, or older than the lake, nothing is
//! lost with it: the lake's ledger knows what is in, and a run that finds no plan makes a new one.

mod baseline;
mod history;
mod measured;
mod prune;
mod run;
mod show;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pintail_model::{CursorType, CursorValue};
use rusqlite::{Connection, OpenFlags};

pub use baseline::Baseline;
pub use history::{FrozenPartition, History, StagedRecord, StoredWatermark, UnfinishedRun};
pub use measured::{Measured, Pace};
pub use run::{CommittedRecord, NewPartition, NewRun};
pub use show::{LastPartition, Progress, RESET, Reset, StrategyState};

use crate::error::{Error, Result};

/// Version of the tables, kept in the file.
const VERSION: i64 = 2;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It works, or it was killed while it worked.
    Running,
    /// Everything is in.
    Completed,
    /// Everything is in, and the two sides differ, or nothing is in because they did.
    ParityMismatch,
    /// An error ended it.
    Failed,
    /// It was stopped on request.
    Interrupted,
    /// Its time was up between two partitions; the next run goes on.
    Paused,
    /// Another run took over without using its work.
    Abandoned,
}

impl RunStatus {
    /// The word in the state file, in reports and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::ParityMismatch => "parity_mismatch",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Paused => "paused",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The state file of a data folder.
#[derive(Debug)]
pub struct State {
    connection: Connection,
    path: PathBuf,
}

impl State {
    /// Where the state of a data folder lies.
    #[must_use]
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("state.db")
    }

    /// Opens the state, and makes it where there is none.
    ///
    /// # Errors
    /// `Unauthorized` or `Unavailable` if the file cannot be written, `Invalid` if it is of a newer version.
    pub fn open(data_dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(data_dir).map_err(|source| Error::File {
            action: "create folder",
            path: data_dir.to_path_buf(),
            source,
        })?;
        let path = Self::path(data_dir);
        let failed = |source| Error::State {
            action: "open",
            path: path.clone(),
            source,
        };
        let connection = Connection::open(&path).map_err(failed)?;
        let state = Self::prepare(connection, path.clone())?;
        state.create()?;
        Ok(state)
    }

    /// Opens the state to look only; `None` where there is none.
    pub fn look(data_dir: &Path) -> Result<Option<Self>> {
        let path = Self::path(data_dir);
        if !path.exists() {
            return Ok(None);
        }
        let failed = |source| Error::State {
            action: "open",
            path: path.clone(),
            source,
        };
        // Without `READ_ONLY`, because a reader of a WAL file has to write its index.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)
            .or_else(|_| Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY))
            .map_err(failed)?;
        let state = Self::prepare(connection, path.clone())?;
        Ok((state.version()? > 0).then_some(state))
    }

    fn prepare(connection: Connection, path: PathBuf) -> Result<Self> {
        let state = Self { connection, path };
        state.busy_timeout()?;
        let version = state.version()?;
        if version > VERSION {
            return Err(Error::refused(
                pintail_model::ErrorKind::Invalid,
                format!("state `{}` was written by a newer release", state.path.display()),
                "Use that release, or move the file away: the next run reads the lake's ledger instead.",
            ));
        }
        Ok(state)
    }

    fn busy_timeout(&self) -> Result<()> {
        self.connection
            .busy_timeout(Duration::from_secs(10))
            .map_err(self.failed("open"))
    }

    fn version(&self) -> Result<i64> {
        self.connection
            .query_row("pragma user_version", [], |row| row.get(0))
            .map_err(self.failed("read"))
    }

    fn create(&self) -> Result<()> {
        let failed = self.failed("create");
        if self.version()? == VERSION {
            return Ok(());
        }
        // WAL lets others read during a run. It is stored in the file.
        self.connection
            .pragma_update(None, "journal_mode", "wal")
            .map_err(&failed)?;
        let steps = [include_str!("schema.sql"), include_str!("schema_2.sql")];
        let done = usize::try_from(self.version()?).unwrap_or_default();
        let script = format!(
            "begin immediate; {} pragma user_version = {VERSION}; commit",
            steps[done.min(steps.len())..].concat()
        );
        match self.connection.execute_batch(&script) {
            Ok(()) => Ok(()),
            Err(error) => {
                // Another process was faster, or the file cannot be written.
                let _ = self.connection.execute_batch("rollback");
                if self.version()? == VERSION {
                    Ok(())
                } else {
                    Err(failed(error))
                }
            }
        }
    }

    /// Turns SQLite's errors into ours.
    fn failed(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::State {
            action,
            path: path.clone(),
            source,
        }
    }
}

/// A cursor value in two columns.
fn split(value: Option<CursorValue>) -> (Option<String>, Option<String>) {
    (
        value.map(|value| value.cursor_type().to_string()),
        value.map(CursorValue::text),
    )
}

/// The counterpart of [`split`]; a value that cannot be read counts as absent, which is always safe.
fn unite(kind: Option<String>, text: Option<String>) -> Option<CursorValue> {
    let kind = kind?;
    let cursor_type = [
        CursorType::Integer,
        CursorType::Date,
        CursorType::Timestamp,
        CursorType::TimestampTz,
    ]
    .into_iter()
    .find(|known| known.to_string() == kind)?;
    CursorValue::parse(cursor_type, &text?)
}
