//! One try at a request, from BEGIN to COMMIT.

use pintail_model::{Column, ErrorKind, PartitionKey};

use super::inlining::Target;
use super::kept::{Kept, check_present};
use super::staged::{add_files, check_keys, drop_stale, read_staged};
use super::{
    COPIES, Change, CommitOutcome, CommitPart, CommitRequest, StagedFile, check_copies, copies, fence, guard,
    lease, same_row,
};
use crate::error::{Error, Result};
use crate::lake::{ALIAS, Lake, column_definitions, same_columns};
use crate::ledger::{self, LedgerEntry};
use crate::session::{Call, Session};
use crate::{metadata, origin, quote};

/// One try at a request, from BEGIN to COMMIT.
#[derive(Default)]
pub(super) struct Attempt {
    /// COMMIT was sent: its outcome is unknown until it is known.
    pub(super) sent: Option<Sent>,
    guard: Option<guard::Guard>,
    kept: Kept,
    /// Under this attempt's lease, what earlier commits left was finished and the ledger was read.
    pub(super) knows_ledger: bool,
    /// The table that rows went into.
    pub(super) table: Option<Target>,
    /// Files that were put back.
    pub(super) repaired: u32,
}

/// What a commit does if it takes place.
pub(super) struct Sent {
    pub(super) outcome: CommitOutcome,
    extra_info: String,
}

impl Sent {
    /// What it did, now that its keys are in: nothing, if they came in by somebody else's commit.
    pub(super) fn settled(&self, lake: &Lake, session: &Session) -> Result<CommitOutcome> {
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

/// The table before rows come in.
enum Prepared {
    /// It was there, with the right columns, and still holds its rows.
    Kept,
    /// It is new and empty.
    Made {
        /// Rows of the one that stood in its place.
        dropped: u64,
    },
}

/// Statements that let each column remember its origin.
fn comments(table: &str, columns: &[Column]) -> String {
    let comment = |column: &Column| {
        let comment = quote::literal(&origin::comment(column)?);
        let name = quote::identifier(&column.name);
        Some(format!(";\n comment on column {table}.{name} is {comment}"))
    };
    columns.iter().filter_map(comment).collect()
}

/// Rows that a change takes away and brings.
#[derive(Default)]
struct Counts {
    inserted: u64,
    updated: u64,
    deleted: u64,
}

impl Attempt {
    pub(super) fn run(
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
                self.repaired += self.kept.put_back()?;
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

    /// Puts back staged files that were removed while they were committed.
    pub(super) fn put_back(&self) -> Result<u32> {
        self.kept.put_back()
    }

    /// Removes the links: the outcome is known.
    pub(super) fn release(&mut self) {
        self.kept = Kept::default();
        if let Some(guard) = self.guard.take() {
            guard.release();
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
            self.repaired = guard::recover(lake, session, &place.folder, lease)?;
        }
        let keys: Vec<PartitionKey> = request.parts.iter().map(|part| part.entry.key.clone()).collect();
        // Read inside the transaction: on SQLite this read is what makes a stale committer fail.
        let standing = ledger::standing(session, request.table, &keys)?;
        let already = standing.known;
        self.knows_ledger = true;
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
        if let Some(basis) = &request.basis {
            basis.check(request.table, standing.newest.as_ref())?;
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
        check_present(lake.depot(), request.table, &files)?;
        check_present(lake.depot(), request.table, &request.gone)?;
        if let Change::Upsert { key, .. } = &request.change {
            check_keys(session, request.table, key, &files)?;
        }

        // Large tables are searched for keys by all threads of the engine.
        let _callers = matches!(request.change, Change::Upsert { .. } | Change::Exchange)
            .then(|| lake.engine().callers(1))
            .transpose()?;
        let counts = match self.prepare_table(lake, session, request, place)? {
            Prepared::Kept => self.remove_rows(lake, session, request, &mut files)?,
            Prepared::Made { dropped } => Counts {
                inserted: files.iter().map(|file| file.rows).sum(),
                updated: 0,
                deleted: dropped,
            },
        };
        self.kept = Kept::of(lake.depot(), &files);
        add_files(lake.depot(), session, request.table, &files)?;
        let entries: Vec<&LedgerEntry> = parts.iter().map(|part| &part.entry).collect();
        // In a catalogue without a fence table, the ledger counts.
        let number = lease.granted().unwrap_or(standing.fence + 1);
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

    /// Makes the table if need be.
    fn prepare_table(
        &mut self,
        lake: &Lake,
        session: &Session,
        request: &CommitRequest<'_>,
        place: Option<metadata::Place>,
    ) -> Result<Prepared> {
        let table = lake.qualified(request.table);
        let schema = request.table.schema_or("main");
        let label = format!("create table \"{}\" in the lake", request.table);
        let create = format!(
            "create schema if not exists {ALIAS}.{};
             create table {table} ({}){}",
            quote::identifier(schema),
            column_definitions(request.columns),
            comments(&table, request.columns)
        );
        self.table = Some(Target::Made);
        match place {
            None => {
                session.batch(Call::new(&label).protected(), &create)?;
                Ok(Prepared::Made { dropped: 0 })
            }
            Some(place) if same_columns(&lake.columns(session, request.table)?, request.columns) => {
                self.table = Some(Target::Found(place.table_id));
                self.guard = Some(guard::Guard::watch(lake.depot(), &place.folder)?);
                Ok(Prepared::Kept)
            }
            Some(_) if request.change == Change::ReplaceAll => {
                let dropped = lake.rows(session, request.table)?;
                session.batch(
                    Call::new(&label).protected(),
                    &format!("drop table {table}; {create}"),
                )?;
                Ok(Prepared::Made { dropped })
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
            Change::Exchange => Ok(Counts {
                inserted: brought(files),
                updated: 0,
                deleted: remove_copies(lake, session, request)?,
            }),
            Change::Upsert { .. } if files.is_empty() && request.gone.is_empty() => Ok(Counts::default()),
            Change::Upsert { key, newer } => {
                let same_key = |left: &str, right: &str| {
                    let pair =
                        |column: &String| format!("{left}.{0} = {right}.{0}", quote::identifier(column));
                    key.iter().map(pair).collect::<Vec<_>>().join(" and ")
                };
                if let Some(newer) = newer.as_ref().filter(|_| !files.is_empty()) {
                    let newer = quote::identifier(newer);
                    let stale = format!(
                        "select 1 from {table} as kept where {} and kept.{newer} > staged.{newer}",
                        same_key("kept", "staged")
                    );
                    drop_stale(lake.depot(), session, call, &stale, files)?;
                }
                if files.is_empty() && request.gone.is_empty() {
                    return Ok(Counts::default());
                }
                // One statement for all: of two in one transaction, DuckLake writes two delete files for one data file.
                let keys = |files: &[StagedFile]| {
                    format!("select {} from {}", quote::identifiers(key), read_staged(files))
                };
                let going = [files.as_slice(), &request.gone];
                let going = going.into_iter().filter(|files| !files.is_empty()).map(keys);
                let going: Vec<String> = going.collect();
                let sql = format!(
                    "delete from {table} as kept using ({}) as staged where {}",
                    going.join(" union all "),
                    same_key("kept", "staged")
                );
                let found = match request.gone.as_slice() {
                    [] => 0,
                    gone => {
                        let sql = format!(
                            "select count(*) from {table} as kept semi join ({}) as staged on {}",
                            keys(gone),
                            same_key("kept", "staged")
                        );
                        let rows = session.query(call, &sql)?;
                        let found = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
                        u64::try_from(found).unwrap_or(0)
                    }
                };
                let updated = session.execute(call, &sql)?.saturating_sub(found);
                Ok(Counts {
                    inserted: brought(files).saturating_sub(updated),
                    updated,
                    deleted: found,
                })
            }
        }
    }
}

/// Deletes copies of rows that go: as many as are to, of those that are equal.
fn remove_copies(lake: &Lake, session: &Session, request: &CommitRequest<'_>) -> Result<u64> {
    if request.gone.is_empty() {
        return Ok(0);
    }
    let table = lake.qualified(request.table);
    let sql = format!(
        "delete from {table}
         where rowid in (
             select place
             from (
                 select kept.rowid as place, staged.{COPIES} as copies,
                     row_number() over (partition by staged.pintail_row) as nth
                 from {table} as kept
                 join (select *, row_number() over () as pintail_row from {}) as staged on {}
             )
             where nth <= copies
         )",
        read_staged(&request.gone),
        same_row(request.columns)
    );
    let label = format!("remove rows of table \"{}\" in the lake", request.table);
    let deleted = session.execute(Call::new(&label), &sql)?;
    check_copies(request.table, copies(session, &request.gone)?, deleted)?;
    Ok(deleted)
}
