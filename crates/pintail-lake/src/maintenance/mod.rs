//! Maintenance: fewer and smaller files for the same rows.
//!
//! ```text
//! for each table:  lease ─▶ rewrite files with many deletes ─▶ lease ─▶ merge small files, a few at a time
//! for the lake:    expire old snapshots ─▶ remove files that no snapshot needs
//! ```
//!
//! Every step is a transaction of DuckLake under the lease that commits take, given back in between, so that a commit
//! waits for one step and not for all. What readers of a snapshot see stays the same.
//!
//! What is left alone, because somebody needs it, DuckLake has open faults there or an answer that is lost would destroy it:
//! - snapshots that are [pinned](crate::pins), until they are let go;
//! - the ledger, always: it lives in the catalogue, and is never flushed or compacted;
//! - tables with rows or deletes in the catalogue, which another program inlined: nothing is ever flushed;
//! - files that no snapshot knows: those are [swept](crate::sweep), and never taken for orphans, since a run may be about
//!   to commit them.
//!
//! Ages are compared here. DuckLake compares them as texts in a SQLite catalogue, where an age of an hour takes
//! everything of the same day.

mod clean;
mod compact;
mod measure;

use std::time::Duration;

use pintail_model::{ErrorKind, TableName};
use serde::Serialize;

use crate::commit::lease::{self, Lease};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::ledger;
use crate::pins::Pin;
use crate::session::Session;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Maintenance {
    /// Only this table. Snapshots and old files belong to the lake as a whole and are then left alone.
    pub table: Option<TableName>,
    /// Share of deleted rows from which on a file is written anew.
    pub rewrite_from: f64,
    /// Snapshots that have not been the newest for so long are expired. `None` keeps all.
    pub expire_older_than: Option<Duration>,
    /// Files that no snapshot has needed for so long are removed. An age of less than what a query or a run may take
    /// pulls their files away from under them.
    pub clean_older_than: Duration,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self {
            table: None,
            rewrite_from: 0.25,
            expire_older_than: None,
            clean_older_than: Duration::from_hours(24),
        }
    }
}

/// What was done, or what would be.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Maintained {
    /// The tables, in the order of their names.
    pub tables: Vec<TableMaintained>,
    /// Snapshots that expired.
    pub snapshots_expired: u64,
    /// Snapshots that stay.
    pub snapshots_kept: u64,
    /// What keeps snapshots that are old enough to expire.
    pub snapshots_pinned: Vec<Pin>,
    /// Files that were removed.
    pub files_removed: u64,
    /// Files that no snapshot needs and that are too young to be removed.
    pub files_waiting: u64,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableMaintained {
    /// Its name.
    pub table: String,
    /// Its data files before.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Rows of these files that are deleted.
    pub deleted_rows: u64,
    /// Files that were written anew without their deleted rows.
    pub rewritten: Compacted,
    /// Small files that became larger ones. Before the work, an estimate.
    pub merged: Compacted,
    /// Why it was left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// Files in place of others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Files that were read.
    pub from: u64,
    /// Files that were written.
    pub to: u64,
}

impl Lake {
    /// What [`Lake::maintain`] would do, in numbers. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` for a table that is not there.
    pub fn plan_maintenance(&self, asked: &Maintenance) -> Result<Maintained> {
        let session = self.session()?;
        let mut planned = Maintained::default();
        for table in chosen(self, &session, asked)? {
            planned.tables.push(table.planned(asked));
        }
        if asked.table.is_none() {
            clean::plan(self, &session, asked, &mut planned)?;
        }
        Ok(planned)
    }

    /// Does it, and says what was done. A step that loses against a commit of another program is tried again.
    ///
    /// # Errors
    /// `NotFound` for a table that is not there, `Unavailable` if a lease cannot be had, `Conflict` if others kept
    /// winning, `Cancelled` if the engine is told to stop. Every step that was done before stays done.
    pub fn maintain(&self, asked: &Maintenance) -> Result<Maintained> {
        let tables = chosen(self, &self.session()?, asked)?;
        let mut done = Maintained::default();
        for table in &tables {
            done.tables.push(compact::compact(self, table, asked)?);
        }
        if asked.table.is_none() {
            clean::clean(self, asked, &mut done)?;
        }
        Ok(done)
    }
}

/// The tables that are meant, without the ledger.
fn chosen(lake: &Lake, session: &Session, asked: &Maintenance) -> Result<Vec<measure::Measured>> {
    let tables = measure::tables(lake, session)?;
    let Some(wanted) = &asked.table else {
        return Ok(tables);
    };
    let same = |name: &TableName| {
        name.table.eq_ignore_ascii_case(&wanted.table)
            && name
                .schema_or("main")
                .eq_ignore_ascii_case(wanted.schema_or("main"))
    };
    if same(&ledger::ledger_table()) {
        return Err(Error::refused(
            ErrorKind::Invalid,
            "the ledger of the lake is never compacted",
            "It lives in the catalogue and has no files.",
        ));
    }
    let found: Vec<_> = tables.into_iter().filter(|table| same(&table.name)).collect();
    if found.is_empty() {
        return Err(Error::Refused {
            kind: ErrorKind::NotFound,
            message: format!("lake `{}` has no table \"{wanted}\"", lake.location().address()),
            hint: Some("`pintail lake maintain --dry-run` without `--table` lists its tables.".to_owned()),
        });
    }
    Ok(found)
}

/// How often a step is tried that lost against somebody else's commit.
const ATTEMPTS: u32 = 4;

/// Does one step in a transaction of its own, under the lease of `table`.
fn step<T>(lake: &Lake, table: &TableName, mut work: impl FnMut(&Session) -> Result<T>) -> Result<T> {
    for attempt in 1.. {
        let lease = lease::acquire(lake, table)?;
        refuse_without(&lease, table)?;
        let session = lake.session()?;
        session.begin()?;
        let result = work(&session).and_then(|done| {
            let call = crate::session::Call::new("commit the maintenance of the lake");
            session.batch(call.protected(), "commit").map(|()| done)
        });
        drop(lease);
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        session.rollback();
        let lost = error.kind() == ErrorKind::Conflict;
        if !lost || attempt == ATTEMPTS {
            return Err(error);
        }
        tracing::debug!(%table, %error, "a step of maintenance is tried again");
        lake.engine().pause(Duration::from_millis(50));
    }
    unreachable!("the last attempt returns")
}

/// A lease that was passed over is none: somebody else may be in the middle of a commit.
fn refuse_without(lease: &Lease, table: &TableName) -> Result<()> {
    if lease.passed_over() {
        return Err(Error::refused(
            ErrorKind::Unavailable,
            format!("cannot maintain table \"{table}\": another process holds the lease and does not move"),
            "Try again when it is over. Nothing is lost: maintenance can be repeated at any time.",
        ));
    }
    Ok(())
}
