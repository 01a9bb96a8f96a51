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

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pintail_model::{Column, ErrorKind, PartitionKey, TableName};

use crate::error::{Error, FaultClass, Result};
use crate::lake::{ALIAS, Lake, column_definitions};
use crate::ledger::{self, LedgerEntry};
use crate::location::Catalogue;
use crate::metadata;
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
/// kept winning; `Data` for staged rows without a key or with a key twice; `Invalid` for a partition or a file that
/// is named twice; `Unavailable` if the lease or the catalogue cannot be had. After an error nothing of the request
/// is in the lake, unless the error says that this cannot be told: then the ledger knows, as soon as it can be read.
pub(crate) fn commit(lake: &Lake, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
    check_request(request)?;
    let mut asked = 0;
    let mut repaired = 0;
    let mut before: Option<Attempt> = None;
    loop {
        let lease = lease::acquire(lake, request.table)?;
        let mut attempt = Attempt::default();
        let result = attempt.run(lake, request, &lease);
        repaired += attempt.repaired;
        let error = match result {
            Ok(outcome) => {
                attempt.release();
                let outcome = match before {
                    Some(before) => before.settle(lake, outcome)?,
                    None => outcome,
                };
                return Ok(CommitOutcome {
                    asked,
                    repaired,
                    ..outcome
                });
            }
            Err(error) => error,
        };
        // The old session may sit in a broken transaction; whatever it was doing is over when it goes.
        drop(lease);
        if attempt.sent.is_none() && !worth_repeating(&error) {
            attempt.release();
            return Err(error);
        }
        asked += 1;
        tracing::warn!(table = %request.table, asked, error = %error, "commit failed, asking the ledger");
        if let Some(outcome) = ask(lake, request, &mut attempt)? {
            return Ok(CommitOutcome {
                asked,
                repaired: repaired + attempt.repaired,
                ..outcome
            });
        }
        // A server may still be about to commit. Then the links stay until the next lease: with that, nothing of the
        // table is undecided any more.
        let server = matches!(lake.location().catalogue, Catalogue::Postgres { .. });
        if attempt.sent.is_none() || !server {
            attempt.release();
        }
        if asked >= ATTEMPTS {
            return Err(error);
        }
        let recovered = attempt.recovered;
        if let Some(mut older) = before.replace(attempt).filter(|_| recovered) {
            older.release();
        }
    }
}

/// Refuses what would be committed twice by one commit.
fn check_request(request: &CommitRequest<'_>) -> Result<()> {
    let twice = |what: &str| {
        Error::refused(
            ErrorKind::Invalid,
            format!("a commit to table \"{}\" names {what} twice", request.table),
            "Name every partition and every staged file once.",
        )
    };
    let mut keys = HashSet::new();
    let mut files = HashSet::new();
    for part in &request.parts {
        if !keys.insert(&part.entry.key) {
            return Err(twice(&format!("partition `{}`", part.entry.key)));
        }
        if let Some(file) = part.files.iter().find(|file| !files.insert(&file.path)) {
            return Err(twice(&format!("file `{}`", file.path.display())));
        }
    }
    Ok(())
}

/// Whether a statement before COMMIT failed for a reason that may be gone the next time.
fn worth_repeating(error: &Error) -> bool {
    matches!(
        error,
        Error::Statement { source, .. }
            if matches!(source.class, FaultClass::Transaction | FaultClass::Input | FaultClass::Other)
    )
}

/// Asks the ledger, on a fresh session, whether an attempt that failed is in after all. A catalogue that does not
/// answer is asked again for as long as a committer waits for a lease.
fn ask(lake: &Lake, request: &CommitRequest<'_>, attempt: &mut Attempt) -> Result<Option<CommitOutcome>> {
    let deadline = Instant::now() + lake.lease().wait;
    let mut pause = Duration::from_millis(50);
    loop {
        let error = match ask_once(lake, request, attempt) {
            Err(error @ Error::Statement { .. }) => error,
            answered => return answered,
        };
        tracing::warn!(table = %request.table, error = %error, "ledger could not be asked");
        let over = ended(&error) || Instant::now() >= deadline;
        if over || !lake.engine().pause(pause) {
            return Err(Error::refused(
                ErrorKind::Unavailable,
                format!(
                    "cannot tell whether the commit to table \"{}\" took place: the catalogue does not answer",
                    request.table
                ),
                "Run again when it does: what is in the ledger is not committed a second time.",
            ));
        }
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Whether an error ended the whole engine: it answers no more.
fn ended(error: &Error) -> bool {
    matches!(error, Error::Statement { source, .. } if source.class == FaultClass::Ended)
}

fn ask_once(
    lake: &Lake,
    request: &CommitRequest<'_>,
    attempt: &mut Attempt,
) -> Result<Option<CommitOutcome>> {
    let session = lake.session()?;
    let Some(sent) = &attempt.sent else {
        return Ok(None);
    };
    if fence::known(lake, &session, &sent.outcome.committed)? < sent.outcome.committed.len() {
        return Ok(None);
    }
    if let Some(place) = metadata::place(lake, &session, request.table)? {
        attempt.repaired += guard::recover(lake, &session, &place.folder)?;
        guard::check_files(lake, &session, request.table, &place.folder)?;
    }
    let outcome = sent.settled(lake, &session)?;
    attempt.release();
    Ok(Some(outcome))
}

/// One try at a request, from BEGIN to COMMIT.
#[derive(Default)]
struct Attempt {
    /// COMMIT was sent: its outcome is unknown until it is known.
    sent: Option<Sent>,
    guard: Option<guard::Guard>,
    /// What earlier commits left was finished under this attempt's lease.
    recovered: bool,
    /// Files that were put back.
    repaired: u32,
}

/// What a commit does if it takes place.
struct Sent {
    outcome: CommitOutcome,
    extra_info: String,
}

impl Sent {
    /// What it did, now that its keys are in: nothing, if they came in by somebody else's commit.
    fn settled(&self, lake: &Lake, session: &Session) -> Result<CommitOutcome> {
        let snapshot = metadata::snapshot_of(lake, session, &self.extra_info)?;
        if snapshot.is_some() {
            return Ok(CommitOutcome {
                snapshot,
                ..self.outcome.clone()
            });
        }
        let already = [self.outcome.already.as_slice(), self.outcome.committed.as_slice()].concat();
        Ok(CommitOutcome {
            already,
            ..CommitOutcome::default()
        })
    }
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
            Ok((outcome, _)) if outcome.committed.is_empty() => {
                session.rollback();
                Ok(outcome)
            }
            Ok((outcome, extra_info)) => {
                self.sent = Some(Sent {
                    outcome: outcome.clone(),
                    extra_info,
                });
                let label = format!("commit to table \"{}\" of the lake", request.table);
                session.batch(Call::new(&label).protected(), "commit")?;
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

    /// Removes the links: the outcome is known.
    fn release(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.release();
        }
    }

    /// What both did, this one and the `later` one. If nothing was left for the later one, this one came in after
    /// the ledger was asked: the server had not decided yet.
    fn settle(mut self, lake: &Lake, later: CommitOutcome) -> Result<CommitOutcome> {
        self.release();
        match &self.sent {
            Some(sent) if later.committed.is_empty() => sent.settled(lake, &lake.session()?),
            _ => Ok(later),
        }
    }

    /// Everything between BEGIN and COMMIT.
    fn fill(
        &mut self,
        lake: &Lake,
        session: &Session,
        request: &CommitRequest<'_>,
        lease: &lease::Lease,
    ) -> Result<(CommitOutcome, String)> {
        // First of all, and also where nothing is left to commit: without these files the table is unreadable.
        let place = metadata::place(lake, session, request.table)?;
        if let Some(place) = &place {
            self.repaired = guard::recover(lake, session, &place.folder)?;
        }
        self.recovered = true;
        let keys: Vec<PartitionKey> = request.parts.iter().map(|part| part.entry.key.clone()).collect();
        // Read inside the transaction: on SQLite this read is what makes a stale committer fail.
        let already = ledger::known(session, &keys)?;
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
            return Ok((outcome, String::new()));
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
        if let Change::Upsert { key, .. } = &request.change {
            check_keys(session, request.table, key, &files)?;
        }

        let exists = self.prepare_table(lake, session, request, place)?;
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
        let number = fence::number(session, lease, request.table)?;
        let call = Call::new("write the ledger of the lake").protected();
        session.batch(call, &ledger::insert(request.table, &entries, number))?;
        let extra = fence::extra_info(session, request.table, number, &entries)?;
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
        Ok((outcome, extra))
    }

    /// Makes the table if need be. Returns whether it was there before, with the right columns.
    fn prepare_table(
        &mut self,
        lake: &Lake,
        session: &Session,
        request: &CommitRequest<'_>,
        place: Option<metadata::Place>,
    ) -> Result<bool> {
        let table = lake.qualified(request.table);
        let schema = request.table.schema_or("main");
        let label = format!("create table \"{}\" in the lake", request.table);
        let create = format!(
            "create schema if not exists {ALIAS}.{};
             create table {table} ({})",
            quote::identifier(schema),
            column_definitions(request.columns)
        );
        let found = match place {
            Some(place) => Some(lake.table_at(session, request.table, place)?),
            None => None,
        };
        match found {
            None => {
                session.batch(Call::new(&label).protected(), &create)?;
                Ok(false)
            }
            Some(found) if found.matches(request.columns) => {
                self.guard = Some(guard::Guard::watch(&found.folder)?);
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
    // A folder like `tenant=acme` on the way to the lake is no column.
    format!("read_parquet([{list}], hive_partitioning = false)")
}

/// Refuses staged rows that an upsert cannot place.
fn check_keys(session: &Session, table: &TableName, key: &[String], files: &[StagedFile]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
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
        "call ducklake_add_data_files('{ALIAS}', {}, [{list}], schema => {}, hive_partitioning => false)",
        quote::literal(&table.table),
        quote::literal(table.schema_or("main"))
    );
    let label = format!("add staged files to table \"{table}\" of the lake");
    session.batch(Call::new(&label), &sql)
}
