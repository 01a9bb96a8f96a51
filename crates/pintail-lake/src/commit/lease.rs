//! The lease: one committer at a time. It keeps committers from failing each other; that nothing is written twice is
//! the work of the fence and does not depend on it.
//!
//! - SQLite: an operating-system lock on `<catalogue>.lease`, for all tables, since a SQLite catalogue takes one
//!   committing connection at a time. The system gives it back when its holder dies. A holder that is stopped is
//!   passed over after [`LeaseSettings::wait`](crate::lake::LeaseSettings).
//! - DuckDB file: a lock inside the process.
//! - Postgres: an advisory lock per table, in a transaction of its own. The server ends a session that idles for
//!   longer than [`LeaseSettings::idle`](crate::lake::LeaseSettings), and with it the lock of a stopped holder.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pintail_model::{ErrorKind, TableName};

use super::fence;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::ledger;
use crate::location::Catalogue;
use crate::metadata::metadata_alias;
use crate::quote;
use crate::session::{Call, Session};

/// The right to commit, until it is dropped.
pub(crate) struct Lease {
    granted: Option<i64>,
    held: Held,
}

impl Lease {
    /// The fencing number that the catalogue gave: greater than that of every earlier lease on the same table. `None`
    /// where the ledger counts: see [`ledger::Standing`](crate::ledger::Standing).
    pub(crate) fn granted(&self) -> Option<i64> {
        self.granted
    }

    /// Whether this is no lease at all: its holder did not move, and we went on without.
    pub(crate) fn passed_over(&self) -> bool {
        matches!(self.held, Held::File { file: None })
    }
}

enum Held {
    /// Released when the file closes.
    File {
        file: Option<File>,
    },
    Process {
        _slot: Slot,
    },
    /// Released when the transaction ends.
    Session(Session),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Session(session) = self {
            session.rollback();
        }
    }
}

/// Waits for the lease on `table`.
///
/// # Errors
/// `Unavailable` if another committer keeps it for longer than the wait, `Cancelled` if the engine is stopped.
pub(crate) fn acquire(lake: &Lake, table: &TableName) -> Result<Lease> {
    if *table == ledger::ledger_table() {
        // Whoever makes the ledger asks for its lease.
        fence::install(lake)?;
    } else {
        lake.make_ready()?;
    }
    let wait = lake.lease().wait;
    match &lake.location().catalogue {
        Catalogue::Sqlite(path) => {
            let file = lock_file(path, wait)?;
            if file.is_none() {
                tracing::warn!(
                    waited_seconds = wait.as_secs(),
                    "lease passed over: its holder does not move"
                );
            }
            Ok(Lease {
                granted: None,
                held: Held::File { file },
            })
        }
        Catalogue::DuckDb(path) => {
            let Some(slot) = Slot::take(path, wait) else {
                return Err(busy(table, wait));
            };
            Ok(Lease {
                granted: None,
                held: Held::Process { _slot: slot },
            })
        }
        Catalogue::Postgres { metadata_schema, .. } => {
            let session = lock_table(lake, table, metadata_schema, wait)?;
            // Counted up outside of the lease's own transaction, so that the trigger of the commit can see it.
            Ok(Lease {
                granted: Some(fence::grant(lake, table, metadata_schema)?),
                held: Held::Session(session),
            })
        }
    }
}

fn busy(table: &TableName, wait: Duration) -> Error {
    Error::refused(
        ErrorKind::Unavailable,
        format!(
            "cannot commit to table \"{table}\": another process has been committing to it for {} s",
            wait.as_secs()
        ),
        "Try again. What was staged is kept and committed by the next run.",
    )
}

/// Locks the file beside a SQLite catalogue; `None` if its holder does not let go in time.
fn lock_file(catalogue: &Path, wait: Duration) -> Result<Option<File>> {
    let mut name = catalogue.as_os_str().to_owned();
    name.push(".lease");
    let path = PathBuf::from(name);
    let failed = |source| Error::File {
        action: "lock",
        path: path.clone(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    if file.try_lock().is_ok() {
        return Ok(Some(file));
    }
    // A blocking lock has no deadline. The thread that waits outlives a missed one and lets go at once when the
    // lock comes, because nobody receives it.
    let (sender, receiver) = channel();
    std::thread::Builder::new()
        .name("pintail-lease".to_owned())
        .spawn(move || {
            let locked = file.lock().map(|()| file);
            // An error means that nobody waits any more: dropping the file unlocks it.
            let _ = sender.send(locked);
        })
        .map_err(failed)?;
    match receiver.recv_timeout(wait) {
        Ok(locked) => locked.map(Some).map_err(failed),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
    }
}

static TAKEN: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
static RETURNED: Condvar = Condvar::new();

/// A catalogue that this process commits to.
struct Slot(PathBuf);

impl Slot {
    fn take(path: &Path, wait: Duration) -> Option<Self> {
        // One file may have several names; the catalogue is attached, so it exists.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let deadline = Instant::now() + wait;
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.get_or_insert_default().contains(&path) {
            let left = deadline.checked_duration_since(Instant::now())?;
            taken = RETURNED
                .wait_timeout(taken, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        taken.get_or_insert_default().insert(path.clone());
        Some(Self(path))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get_or_insert_default().remove(&self.0);
        RETURNED.notify_all();
    }
}

/// How long one try for an advisory lock takes, so that a request to stop is seen in between.
const LOCK_TRY: Duration = Duration::from_secs(2);

fn lock_table(lake: &Lake, table: &TableName, metadata_schema: &str, wait: Duration) -> Result<Session> {
    let session = lake.session()?;
    let target = format!("{metadata_schema}/{}", fence::target(table));
    let number = pintail_model::checksum::bytes_word(target.as_bytes()).cast_signed();
    let remote = |sql: &str| {
        format!(
            "from postgres_query({}, {})",
            quote::literal(&metadata_alias()),
            quote::literal(sql)
        )
    };
    let try_millis = LOCK_TRY.min(wait).as_millis().max(1);
    let limit = remote(&format!(
        "select set_config('lock_timeout', '{try_millis}ms', true)"
    ));
    // It tells a lock that it did not get from an error, in whatever language the server speaks.
    let lock = remote(&format!(
        "select {}.pintail_lease({number})",
        quote::identifier(metadata_schema)
    ));
    let deadline = Instant::now() + wait;
    let call = Call::new("take the lease of the lake");
    loop {
        session.begin()?;
        let locked = session
            .query(call, &limit)
            .and_then(|_| session.query(call, &lock));
        match locked {
            Ok(rows) if rows.first().is_some_and(|row| row.boolean(0)) => return Ok(session),
            Ok(_) => session.rollback(),
            Err(error) => {
                session.rollback();
                return Err(error);
            }
        }
        if Instant::now() >= deadline {
            return Err(busy(table, wait));
        }
    }
}
