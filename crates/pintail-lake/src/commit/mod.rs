//! The commit protocol: staged Parquet files become rows of a lake, exactly once, whatever dies in between.
//!
//! ```text
//! stage (anybody) ─▶ lease ─▶ begin ─▶ read ledger ─▶ deletes ─▶ add files ─▶ ledger rows ─▶ COMMIT ─▶ done
//!                      ▲                                                          │ error
//!                      └───────────── absent ◀── ask the ledger, fresh session ◀──┘
//!                                                  │ present
//!                                                  └▶ repair ─▶ done
//! ```
//!
//! What a caller may rely on:
//! - **Atomic.** Rows, deletes and ledger entries of one request are in one snapshot of the lake or in none. A reader
//!   sees the table before or after, never half; a table that did not exist appears filled.
//! - **Once.** A partition key is committed at most once, for ever: by another thread, process or machine, in another
//!   grouping, after a lost answer, after the winner's snapshot expired, or by a process that was stopped and wakes
//!   up. Parts whose key is in the ledger are dropped and reported as `already`.
//! - **Certain.** When [`commit`] returns, the caller knows whether the parts are in. After an error during COMMIT
//!   the ledger is asked on a fresh session and the text of the error is not read.
//! - **Readable.** If the answer to a COMMIT is lost, DuckLake deletes delete files that it has just published. They
//!   are kept as hard links before every COMMIT and put back ([`guard`]).
//! - **Nothing is left** of a refused commit but the staged files, which can be committed again or swept.
//!
//! Who guarantees it, by catalogue (`docs/concepts/commit-protocol.md` has the evidence):
//!
//! | catalogue | lease (order and speed) | fence (safety) |
//! |---|---|---|
//! | SQLite | file lock beside the catalogue | the ledger is read in the transaction that commits, and SQLite refuses to write from a snapshot that is no longer the newest |
//! | DuckDB file | mutex in the one process that can open it | the ledger read under the mutex |
//! | Postgres | advisory lock per table, whose session dies when it idles | a trigger on DuckLake's own commit that checks a fencing number and keeps all keys |
//!
//! Deletes are written as delete files, and inlining stays off for data tables: one mechanism, measured at 0.2 s for
//! 50,000 keys among 5 million rows, where inlined deletes took 1.3 s, and clear of DuckLake's open faults around
//! inlined deletes with re-inserted keys.

pub(crate) mod fence;
pub(crate) mod guard;
pub(crate) mod lease;

use std::path::PathBuf;

use pintail_model::{Column, ErrorKind, PartitionKey, TableName};

use crate::error::{Error, FaultClass, Result};
use crate::lake::{ALIAS, Lake, column_definitions};
use crate::ledger::{self, LedgerEntry};
use crate::quote;
use crate::session::{Call, Session};

/// A Parquet file that a worker wrote and that no snapshot refers to yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Where it lies: below [`Lake::stage`]'s folder.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// One partition: what is recorded, and the files that bring its rows. No files means no rows.
#[derive(Debug, Clone)]
pub struct CommitPart {
    /// What the ledger will say.
    pub entry: LedgerEntry,
    /// The files.
    pub files: Vec<StagedFile>,
}

/// What happens to the rows that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// They stay.
    Append,
    /// They all go, in the same snapshot. If the columns differ, the table is made anew under its name.
    ReplaceAll,
    /// Rows with the same key go.
    Upsert {
        /// The columns of the key. A staged row without a key, or two with the same, are refused as `Data`.
        key: Vec<String>,
        /// A column by which rows are compared: a row of the lake with a greater value stays, and the staged row
        /// is dropped.
        newer: Option<String>,
    },
}

/// A change of one table.
#[derive(Debug)]
pub struct CommitRequest<'a> {
    /// The table; it is made if it does not exist.
    pub table: &'a TableName,
    /// Its columns.
    pub columns: &'a [Column],
    /// What happens to the rows that are there.
    pub change: Change,
    /// The partitions, in order.
    pub parts: Vec<CommitPart>,
    /// Who commits, for the lake's history.
    pub author: &'a str,
    /// Why, for the lake's history. No cell values.
    pub message: String,
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitOutcome {
    /// The snapshot that holds the change; `None` if there was nothing left to commit.
    pub snapshot: Option<i64>,
    /// Keys that this call brought in.
    pub committed: Vec<PartitionKey>,
    /// Keys that were in before.
    pub already: Vec<PartitionKey>,
    /// Rows with a new key (or all rows, where there is no key).
    pub rows_inserted: u64,
    /// Rows that replaced one.
    pub rows_updated: u64,
    /// Rows that went without replacement.
    pub rows_deleted: u64,
    /// Times that an error of a commit was answered by asking the ledger.
    pub asked: u32,
    /// Files that DuckLake had deleted after a lost answer, and that were put back.
    pub repaired: u32,
}

/// How often staged files are offered again after an error and a ledger that does not know them.
const ATTEMPTS: u32 = 4;

/// Commits a request. See the module's guarantees.
///
/// A request to stop the engine does not interrupt a commit.
///
/// # Errors
/// `Conflict` if the table's columns differ from the request's and the change is not `ReplaceAll`, or if others
/// kept winning; `Data` for staged rows without a key or with a key twice; `Unavailable` if the lease or the
/// catalogue cannot be had. After an error nothing of the request is in the lake.
pub(crate) fn commit(lake: &Lake, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
    let mut asked = 0;
    loop {
        let lease = lease::acquire(lake, request.table)?;
        let mut attempt = Attempt {
            begun: false,
            guard: None,
        };
        let error = match attempt.run(lake, request, &lease) {
            Ok(outcome) => {
                if let Some(guard) = attempt.guard {
                    guard.release();
                }
                return Ok(CommitOutcome { asked, ..outcome });
            }
            Err(error) => error,
        };
        // The old session may sit in a broken transaction; whatever it was doing is over when it goes.
        drop(lease);
        let worth_asking = attempt.begun
            || matches!(
                &error,
                Error::Statement { source, .. }
                    if matches!(source.class, FaultClass::Transaction | FaultClass::Input | FaultClass::Other)
            );
        if !worth_asking {
            return Err(error);
        }
        asked += 1;
        tracing::warn!(table = %request.table, asked, error = %error, "commit failed, asking the ledger");
        if let Some(outcome) = ask(lake, request, attempt.guard)? {
            return Ok(CommitOutcome { asked, ..outcome });
        }
        if asked >= ATTEMPTS {
            return Err(error);
        }
    }
}

/// Asks the ledger, on a fresh session, whether an attempt that failed is in after all.
fn ask(
    lake: &Lake,
    request: &CommitRequest<'_>,
    guard: Option<guard::Guard>,
) -> Result<Option<CommitOutcome>> {
    let session = lake.session()?;
    let keys: Vec<PartitionKey> = request.parts.iter().map(|part| part.entry.key.clone()).collect();
    let known = lake.ledger().committed(&session, &keys)?;
    if known.len() < keys.len() {
        if let Some(guard) = guard {
            guard.release();
        }
        return Ok(None);
    }
    let repaired = match guard {
        Some(guard) => guard.put_back(lake, &session)?,
        None => 0,
    };
    guard::check_files(lake, &session, request.table)?;
    let rows = request.parts.iter().map(|part| part.entry.rows).sum();
    Ok(Some(CommitOutcome {
        snapshot: Some(lake.snapshot(&session)?),
        committed: keys,
        rows_inserted: rows,
        repaired,
        ..CommitOutcome::default()
    }))
}

/// One try at a request, from BEGIN to COMMIT.
struct Attempt {
    /// COMMIT was sent: its outcome is unknown until it is known.
    begun: bool,
    guard: Option<guard::Guard>,
}

/// Rows that a change takes away and brings.
#[derive(Default)]
struct Counts {
    inserted: u64,
    updated: u64,
    deleted: u64,
}

impl Attempt {
    fn run(
        &mut self,
        lake: &Lake,
        request: &CommitRequest<'_>,
        lease: &lease::Lease,
    ) -> Result<CommitOutcome> {
        let session = lake.session()?;
        session.begin()?;
        match self.fill(lake, &session, request, lease) {
            Ok(outcome) if outcome.committed.is_empty() => {
                session.rollback();
                Ok(outcome)
            }
            Ok(outcome) => {
                self.begun = true;
                let label = format!("commit to table \"{}\" of the lake", request.table);
                session.batch(Call::new(&label).protected(), "commit")?;
                self.begun = false;
                let sql = format!("from {ALIAS}.last_committed_snapshot()");
                let rows =
                    session.query(Call::new("read the number of the new snapshot").protected(), &sql)?;
                Ok(CommitOutcome {
                    snapshot: rows.first().and_then(|row| row.integer(0)),
                    ..outcome
                })
            }
            Err(error) => {
                session.rollback();
                Err(error)
            }
        }
    }

    /// Everything between BEGIN and COMMIT.
    fn fill(
        &mut self,
        lake: &Lake,
        session: &Session,
        request: &CommitRequest<'_>,
        lease: &lease::Lease,
    ) -> Result<CommitOutcome> {
        let keys: Vec<PartitionKey> = request.parts.iter().map(|part| part.entry.key.clone()).collect();
        // Read inside the transaction: on SQLite this read is what makes a stale committer fail.
        let known = lake.ledger().committed(session, &keys)?;
        let already: Vec<PartitionKey> = known.into_iter().map(|entry| entry.key).collect();
        let parts: Vec<&CommitPart> = request
            .parts
            .iter()
            .filter(|part| !already.contains(&part.entry.key))
            .collect();
        let mut outcome = CommitOutcome {
            already,
            ..CommitOutcome::default()
        };
        if parts.is_empty() {
            return Ok(outcome);
        }
        if request.change == Change::ReplaceAll && parts.len() < request.parts.len() {
            return Err(Error::refused(
                ErrorKind::Conflict,
                format!(
                    "cannot replace table \"{}\": a part of this load is in the ledger already",
                    request.table
                ),
                "Start a new run: a full load is committed as a whole.",
            ));
        }
        let mut files: Vec<StagedFile> = parts.iter().flat_map(|part| part.files.iter().cloned()).collect();
        files.retain(|file| file.rows > 0);

        let exists = self.prepare_table(lake, session, request)?;
        let counts = if exists {
            self.remove_rows(lake, session, request, &mut files)?
        } else {
            Counts {
                inserted: files.iter().map(|file| file.rows).sum(),
                ..Counts::default()
            }
        };
        add_files(session, request.table, &files)?;
        let entries: Vec<&LedgerEntry> = parts.iter().map(|part| &part.entry).collect();
        let call = Call::new("write the ledger of the lake").protected();
        session.batch(call, &ledger::insert(request.table, &entries, lease.fence()))?;
        let extra = fence::extra_info(request.table, lease.fence(), &entries);
        let message = format!(
            "call {ALIAS}.set_commit_message({}, {}, extra_info => {})",
            quote::literal(request.author),
            quote::literal(&request.message),
            quote::literal(&extra)
        );
        session.batch(Call::new("name the commit").protected(), &message)?;
        if let Some(guard) = &mut self.guard {
            guard.link()?;
        }
        outcome.committed = entries.iter().map(|entry| entry.key.clone()).collect();
        outcome.rows_inserted = counts.inserted;
        outcome.rows_updated = counts.updated;
        outcome.rows_deleted = counts.deleted;
        Ok(outcome)
    }

    /// Makes the table if need be. Returns whether it was there before, with the right columns.
    fn prepare_table(&mut self, lake: &Lake, session: &Session, request: &CommitRequest<'_>) -> Result<bool> {
        let table = lake.qualified(request.table);
        let schema = request.table.schema_or("main");
        let label = format!("create table \"{}\" in the lake", request.table);
        let create = format!(
            "create schema if not exists {ALIAS}.{};
             create table {table} ({})",
            quote::identifier(schema),
            column_definitions(request.columns)
        );
        match lake.table(session, request.table)? {
            None => {
                session.batch(Call::new(&label).protected(), &create)?;
                Ok(false)
            }
            Some(found) if found.matches(request.columns) => {
                self.guard = Some(guard::Guard::watch(lake, &found.folder)?);
                Ok(true)
            }
            Some(_) if request.change == Change::ReplaceAll => {
                session.batch(
                    Call::new(&label).protected(),
                    &format!("drop table {table}; {create}"),
                )?;
                Ok(false)
            }
            Some(_) => Err(Error::refused(
                ErrorKind::Conflict,
                format!(
                    "the columns of table \"{}\" in the lake differ from those that are to be written",
                    request.table
                ),
                "Run a full load: it makes the table anew. Its history stays readable with AT (VERSION => …).",
            )),
        }
    }

    /// Deletes what the change replaces, and drops staged rows that are older than what is there.
    fn remove_rows(
        &mut self,
        lake: &Lake,
        session: &Session,
        request: &CommitRequest<'_>,
        files: &mut Vec<StagedFile>,
    ) -> Result<Counts> {
        let table = lake.qualified(request.table);
        let brought = |files: &[StagedFile]| files.iter().map(|file| file.rows).sum::<u64>();
        let label = format!("replace rows of table \"{}\" in the lake", request.table);
        let call = Call::new(&label);
        match &request.change {
            Change::Append => Ok(Counts {
                inserted: brought(files),
                ..Counts::default()
            }),
            Change::ReplaceAll => {
                let deleted = session.execute(call, &format!("delete from {table}"))?;
                Ok(Counts {
                    inserted: brought(files),
                    updated: 0,
                    deleted,
                })
            }
            Change::Upsert { .. } if files.is_empty() => Ok(Counts::default()),
            Change::Upsert { key, newer } => {
                check_keys(session, request.table, key, files)?;
                let same_key = |left: &str, right: &str| {
                    let pair =
                        |column: &String| format!("{left}.{0} = {right}.{0}", quote::identifier(column));
                    key.iter().map(pair).collect::<Vec<_>>().join(" and ")
                };
                if let Some(newer) = newer {
                    let newer = quote::identifier(newer);
                    let stale = format!(
                        "select 1 from {table} as kept where {} and kept.{newer} > staged.{newer}",
                        same_key("kept", "staged")
                    );
                    drop_stale(session, call, &stale, files)?;
                }
                if files.is_empty() {
                    return Ok(Counts::default());
                }
                let staged = format!("select {} from {}", quote::identifiers(key), read_staged(files));
                let sql = format!(
                    "delete from {table} as kept using ({staged}) as staged where {}",
                    same_key("kept", "staged")
                );
                let updated = session.execute(call, &sql)?;
                Ok(Counts {
                    inserted: brought(files).saturating_sub(updated),
                    updated,
                    deleted: 0,
                })
            }
        }
    }
}

/// The staged files as a relation.
fn read_staged(files: &[StagedFile]) -> String {
    let list = files
        .iter()
        .map(|file| quote::literal(&file.path.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(", ");
    format!("read_parquet([{list}])")
}

/// Refuses staged rows that an upsert cannot place.
fn check_keys(session: &Session, table: &TableName, key: &[String], files: &[StagedFile]) -> Result<()> {
    let names = quote::identifiers(key);
    let any_null = key
        .iter()
        .map(|column| format!("{} is null", quote::identifier(column)))
        .collect::<Vec<_>>()
        .join(" or ");
    let sql = format!(
        "select count(*) filter (where without_key), count(*) filter (where not without_key and same > 1)
         from (select ({any_null}) as without_key, count(*) as same from {} group by {names})",
        read_staged(files)
    );
    let rows = session.query(Call::new("check the keys of the staged rows"), &sql)?;
    let count = |index| rows.first().and_then(|row| row.integer(index)).unwrap_or(0);
    let key = key.join(", ");
    if count(0) > 0 {
        return Err(Error::refused(
            ErrorKind::Data,
            format!("rows of table \"{table}\" have no value in key ({key})"),
            "An upsert needs a key in every row: name columns that are never NULL as `unique_column`.",
        ));
    }
    if count(1) > 0 {
        return Err(Error::refused(
            ErrorKind::Data,
            format!(
                "{} values of key ({key}) stand in more than one row of table \"{table}\"",
                count(1)
            ),
            "An upsert needs a key that is unique: name more columns as `unique_column`.",
        ));
    }
    Ok(())
}

/// Writes staged files anew without the rows for which `stale` (a FROM clause over `staged`) finds something.
fn drop_stale(session: &Session, call: Call<'_>, stale: &str, files: &mut Vec<StagedFile>) -> Result<()> {
    let sql = format!(
        "select count(*) from {} as staged where exists ({stale})",
        read_staged(files)
    );
    let found = session
        .query(call, &sql)?
        .first()
        .and_then(|row| row.integer(0))
        .unwrap_or(0);
    if found == 0 {
        return Ok(());
    }
    let Some(first) = files.first() else {
        return Ok(());
    };
    let path = first.path.with_extension("newer.parquet");
    let target = quote::literal(&path.to_string_lossy());
    let copy = format!(
        "copy (select staged.* from {} as staged where not exists ({stale})) to {target} (format parquet)",
        read_staged(files)
    );
    let rows = session.execute(call, &copy)?;
    let bytes = std::fs::metadata(&path).map(|found| found.len()).unwrap_or(0);
    tracing::info!(dropped = found, "staged rows older than the lake's were dropped");
    *files = if rows == 0 {
        Vec::new()
    } else {
        vec![StagedFile { path, rows, bytes }]
    };
    Ok(())
}

fn add_files(session: &Session, table: &TableName, files: &[StagedFile]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let list = files
        .iter()
        .map(|file| quote::literal(&file.path.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(", ");
    let sql = format!(
        "call ducklake_add_data_files('{ALIAS}', {}, [{list}], schema => {})",
        quote::literal(&table.table),
        quote::literal(table.schema_or("main"))
    );
    let label = format!("add staged files to table \"{table}\" of the lake");
    session.batch(Call::new(&label), &sql)
}
