//! A change of several tables at once, in one snapshot of the lake: for whoever puts back what was there before.
//!
//! ```text
//! leases, in the order of names ─▶ begin ─▶ work ─▶ ledger ─▶ COMMIT ─▶ done
//!                                                              │ error
//!                                             fresh session ◀──┘  is it in?
//! ```
//!
//! Every table gets an entry of the ledger, so that pipelines that wrote to it see that somebody else did since: what they
//! know of it does not hold any more. Leases keep our own committers away, and DuckLake refuses a commit that somebody else's
//! came before.

use std::collections::BTreeSet;
use std::path::PathBuf;

use pintail_model::{Checksum, ErrorKind, PartitionKey, RunId, TableName};

use super::lease::{self, Lease};
use super::staged::add_files;
use super::{StagedFile, fence, guard, worth_repeating};
use crate::error::{Error, Result};
use crate::lake::{ALIAS, Lake};
use crate::ledger::{self, LedgerEntry};
use crate::location::Catalogue;
use crate::session::{Call, Session};
use crate::{metadata, quote};

/// What is to be committed, for the lake's history and for the ledger. No cell values.
#[derive(Debug, Clone)]
pub struct WholeChange<'a> {
    /// The tables that the work may change.
    pub tables: &'a [TableName],
    /// The run, which nobody else has.
    pub run: &'a RunId,
    /// What rows come from.
    pub source: &'a str,
    /// Who commits.
    pub author: &'a str,
    /// Why.
    pub message: &'a str,
}

/// The name of the pipeline in entries of the ledger.
const PIPELINE: &str = "pintail snapshot restore";

impl Lake {
    /// Changes tables: all that `work` does in the session's transaction is in one snapshot of the lake, or nothing. Deletes of
    /// tables that stay are of all their rows: no delete file comes of them.
    ///
    /// Returns what `work` did, and the snapshot.
    ///
    /// # Errors
    /// Those of `work`; `Unavailable` if a lease cannot be had, `Conflict` if somebody else changed one of the tables meanwhile.
    /// Nothing was changed then, unless it is [`Error::Undecided`].
    pub fn change<T, E: From<Error>>(
        &self,
        change: &WholeChange<'_>,
        work: impl FnOnce(&Session) -> std::result::Result<T, E>,
    ) -> std::result::Result<(T, Option<i64>), E> {
        let leases = acquire_all(self, change.tables)?;
        let session = self.session()?;
        session.begin()?;
        let done = repaired(self, &session, change.tables)
            .map_err(E::from)
            .and_then(|()| work(&session))
            .and_then(|done| Ok((done, enter(&session, change)?)));
        let (done, extra_info) = match done {
            Ok(done) => done,
            Err(error) => {
                session.rollback();
                return Err(error);
            }
        };
        let call = Call::new("commit tables of the lake").protected();
        let committed = session.batch(call, "commit");
        drop(session);
        let snapshot = match committed {
            Ok(()) => metadata::snapshot_of(self, &self.session()?, &extra_info)?,
            Err(error) => Some(decided(self, change, leases, &extra_info, error)?),
        };
        Ok((done, snapshot))
    }

    /// Brings staged files into a table, in the transaction of `session`.
    pub fn add_staged(&self, session: &Session, table: &TableName, files: &[StagedFile]) -> Result<()> {
        add_files(self.depot(), session, table, files)
    }

    /// A file that was written into a [stage](Lake::stage), brought to disk.
    pub fn staged(&self, path: PathBuf, rows: u64) -> Result<StagedFile> {
        let bytes = self.depot().secure(&path)?;
        Ok(StagedFile { path, rows, bytes })
    }

    /// Removes a staged file that nobody needs.
    pub fn discard_staged(&self, path: &std::path::Path) {
        if let Err(error) = self.depot().remove(path) {
            tracing::debug!(%error, "a staged file stays until the next sweep");
        }
    }
}

/// The leases on all tables. Catalogues in files have one for all.
fn acquire_all(lake: &Lake, tables: &[TableName]) -> Result<Vec<Lease>> {
    let ordered: BTreeSet<String> = tables.iter().map(fence::target).collect();
    let named = |target: &String| tables.iter().find(|table| fence::target(table) == *target);
    let mut wanted: Vec<&TableName> = ordered.iter().filter_map(named).collect();
    if !matches!(lake.location().catalogue, Catalogue::Postgres { .. }) {
        wanted.truncate(1);
    }
    let mut leases = Vec::new();
    for table in wanted {
        let lease = lease::acquire(lake, table)?;
        if lease.passed_over() {
            return Err(Error::refused(
                ErrorKind::Unavailable,
                format!("cannot change table \"{table}\": another process holds the lease and does not move"),
                "Try again when it is over. Nothing was changed.",
            ));
        }
        leases.push(lease);
    }
    Ok(leases)
}

/// Finishes what earlier committers left.
fn repaired(lake: &Lake, session: &Session, tables: &[TableName]) -> Result<()> {
    for table in tables {
        if let Some(place) = metadata::place(lake, session, table)? {
            guard::put_back(lake, session, &place.folder)?;
        }
    }
    Ok(())
}

/// Writes the ledger and names the commit. Returns what names it.
fn enter(session: &Session, change: &WholeChange<'_>) -> Result<String> {
    for table in change.tables {
        let entry = LedgerEntry {
            pipeline: PIPELINE.to_owned(),
            strategy: "restore".to_owned(),
            run: change.run.clone(),
            key: PartitionKey::new(PIPELINE, change.run, &fence::target(table)),
            rows: 0,
            checksum: Checksum::default(),
            source: change.source.to_owned(),
            cursor: None,
            watermark: None,
        };
        let number = number(session, table)?;
        let call = Call::new("write the ledger of the lake").protected();
        session.batch(call, &ledger::insert(table, &[&entry], number))?;
    }
    // Not in the form that the fence of Postgres looks at, which knows one table a commit.
    let extra_info = format!(
        "{{\"restore\":{}}}",
        serde_json::to_string(change.run.as_str()).expect("a text has a JSON form")
    );
    let sql = format!(
        "call {ALIAS}.set_commit_message({}, {}, extra_info => {})",
        quote::literal(change.author),
        quote::literal(change.message),
        quote::literal(&extra_info)
    );
    session.batch(Call::new("name the commit").protected(), &sql)?;
    Ok(extra_info)
}

/// One more than the ledger knows of the table. On Postgres every lease counts further than that.
fn number(session: &Session, table: &TableName) -> Result<i64> {
    let sql = format!("select coalesce(max(fence), 0) + 1 from {ALIAS}.pintail.ledger where target = ?");
    let call = Call::new("read the fence of the lake").protected();
    let rows = session.query_with(call, &sql, &[&ledger::target(table)])?;
    Ok(rows.first().and_then(|row| row.integer(0)).unwrap_or(1))
}

/// Whether a commit is in after all. Asked under leases of its own: with these, a server has decided.
fn decided(
    lake: &Lake,
    change: &WholeChange<'_>,
    leases: Vec<Lease>,
    extra_info: &str,
    error: Error,
) -> Result<i64> {
    drop(leases);
    let asked = acquire_all(lake, change.tables)
        .and_then(|_leases| metadata::snapshot_of(lake, &lake.session()?, extra_info));
    match asked {
        Ok(Some(snapshot)) => Ok(snapshot),
        Ok(None) if worth_repeating(&error) => Err(Error::refused(
            ErrorKind::Conflict,
            "cannot commit tables of the lake: another program changed it meanwhile",
            "Nothing was changed. Try again.",
        )),
        Ok(None) => Err(error),
        Err(source) => Err(Error::Undecided {
            table: change
                .tables
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\", \""),
            source: Box::new(source),
        }),
    }
}
