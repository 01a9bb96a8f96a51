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
//! - **Certain.** When [`commit`] returns, the caller knows whether the parts are in, or is told that nobody can know yet
//!   ([`Error::Undecided`]). After an error during COMMIT the ledger is asked on a fresh session and the text of the error
//!   is not read.
//! - **Readable.** If the answer to a COMMIT is lost, DuckLake deletes delete files that it has just published. They
//!   are kept as hard links before every COMMIT and put back ([`guard`]).
//! - **Durable.** Every file that a COMMIT refers to is on disk before it.
//! - **Nothing is left** of a refused commit but the staged files, which can be committed again, and what DuckLake could
//!   not write to its end: both can be swept.
//!
//! Who guarantees it, by catalogue (`docs/concepts/commit-protocol.md` has the evidence):
//!
//! | catalogue | lease (order and speed) | fence (safety) |
//! |---|---|---|
//! | SQLite | file lock beside the catalogue | the ledger is read in the transaction that commits, and SQLite refuses to write from a snapshot that is no longer the newest |
//! | DuckDB file | mutex in the one process that can open it | the ledger read under the mutex |
//! | Postgres | advisory lock per table, whose session dies when it idles | a trigger on DuckLake's own commit that checks a fencing number and keeps all keys |
//!
//! Deletes are written as delete files, and inlining is off for data tables, for other programs too once a table is
//! there ([`inlining`]): one mechanism, measured at 0.2 s for 50,000 keys among 5 million rows, where inlined deletes took
//! 1.3 s, and clear of DuckLake's open faults around inlined deletes with re-inserted keys.

mod attempt;
pub(crate) mod durable;
mod exchange;
pub(crate) mod fence;
pub(crate) mod guard;
mod inlining;
mod kept;
pub(crate) mod lease;
mod staged;
mod whole;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use pintail_model::{Column, ErrorKind, PartitionKey, TableName};

use self::attempt::Attempt;
pub use self::exchange::{COPIES, check_copies, copies, same_row};
pub(crate) use self::staged::drop_stale;
pub use self::staged::{StagedFile, check_keys};
pub use self::whole::WholeChange;
use crate::destination::{Compare, Compared};
use crate::error::{Error, FaultClass, Result};
use crate::lake::Lake;
use crate::ledger::LedgerEntry;
use crate::location::Catalogue;
use crate::metadata;

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
    /// Rows that are equal to one that is [gone](CommitRequest::gone) go, as many as [`COPIES`] says; all others stay.
    Exchange,
}

/// What a change was worked out from. Nothing of it comes in once somebody else has committed to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The newest entry of the ledger for the table, as it was before the table was looked at; `None` without any.
    pub newest: Option<PartitionKey>,
}

impl Basis {
    /// Ends a commit whose basis is not the newest entry any more.
    ///
    /// # Errors
    /// [`Error::Overtaken`] if it is not.
    pub fn check(&self, table: &TableName, newest: Option<&PartitionKey>) -> Result<()> {
        if self.newest.as_ref() == newest {
            return Ok(());
        }
        Err(Error::Overtaken {
            table: table.to_string(),
        })
    }
}

/// A change of one table.
#[derive(Debug)]
pub struct CommitRequest<'a> {
    /// The table; it is made if it does not exist.
    pub table: &'a TableName,
    /// Its columns.
    pub columns: &'a [Column],
    /// The columns of the rows' key, empty if they have none. A database gives it to a table that it makes.
    pub key: &'a [String],
    /// What happens to the rows that are there.
    pub change: Change,
    /// The partitions, in order.
    pub parts: Vec<CommitPart>,
    /// Beside an upsert, staged keys, in columns named as those of `key`: rows of the table that have one of them go without
    /// replacement. Never a key that a staged row has too. Of an exchange, staged rows, each once, with [`COPIES`].
    pub gone: Vec<StagedFile>,
    /// What the change was worked out from, where it holds for that alone.
    pub basis: Option<Basis>,
    /// Who commits, for the lake's history.
    pub author: &'a str,
    /// Why, for the lake's history. No cell values.
    pub message: String,
    /// What a destination without versions reads again before it commits; `None` compares nothing. A lake does not look
    /// at it: its versions can be compared later.
    pub compare: Option<Compare>,
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitOutcome {
    /// The snapshot that holds the change, or the number of the commit where there are none; `None` if there was
    /// nothing left to commit.
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
    /// What was read again, where that was asked for and the destination has no versions.
    pub compared: Option<Compared>,
}

/// How often staged files are offered to the lake.
const ATTEMPTS: u32 = 4;

/// How long to wait before they are offered for the second time; then twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(20);

/// Commits a request. See the module's guarantees.
///
/// A request to stop the engine interrupts everything that comes before COMMIT, but neither COMMIT itself nor the
/// questions after it.
///
/// # Errors
/// `Conflict` if the table's columns differ from the request's and the change is not `ReplaceAll`, or if others
/// kept winning; [`Error::Overtaken`] if somebody committed after the request's basis; `Data` for staged rows without a key or with a key twice; `Invalid` for a partition or a file that
/// is named twice; `Unavailable` if the lease or the catalogue cannot be had; `Cancelled` if the engine is told to
/// stop. After an error nothing of the request is in the lake, unless it is [`Error::Undecided`]: then the ledger
/// knows, as soon as it can be read.
pub(crate) fn commit(lake: &Lake, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
    check_request(request)?;
    let mut course = Course {
        lake,
        request,
        undecided: None,
        asked: 0,
        repaired: 0,
    };
    let outcome = course.run().map_err(|source| course.judge(source))?;
    Ok(CommitOutcome {
        asked: course.asked,
        repaired: course.repaired,
        ..outcome
    })
}

/// A request on its way into the lake.
struct Course<'a> {
    lake: &'a Lake,
    request: &'a CommitRequest<'a>,
    /// The attempt whose COMMIT was sent, as long as nobody knows what became of it.
    undecided: Option<Attempt>,
    asked: u32,
    repaired: u32,
}

impl Course<'_> {
    fn run(&mut self) -> Result<CommitOutcome> {
        let mut pause = PAUSE;
        let mut number = 0;
        loop {
            number += 1;
            let lease = lease::acquire(self.lake, self.request.table)?;
            let mut attempt = Attempt::default();
            let began = Instant::now();
            let result = attempt.run(self.lake, self.request, &lease);
            self.repaired += attempt.repaired;
            let error = match result {
                Ok(outcome) => {
                    attempt.release();
                    if let Some(table) = attempt.table {
                        inlining::refuse(self.lake, self.request.table, table, &lease);
                    }
                    return self.settle(outcome);
                }
                Err(error) => error,
            };
            // The old session may sit in a broken transaction; whatever it was doing is over when it goes.
            drop(lease);
            if attempt.knows_ledger {
                // It was read under a lease that came later, and not everything was in.
                self.decide();
            }
            let sent = attempt.sent.is_some();
            tracing::warn!(table = %self.request.table, sent, error = %error, "commit failed");
            if sent {
                self.undecided = Some(attempt);
                if let Some(outcome) = self.ask()? {
                    return Ok(outcome);
                }
                // A server may still be about to commit. Then the links stay until the next lease: with that, nothing
                // of the table is undecided any more.
                if !matches!(self.lake.location().catalogue, Catalogue::Postgres { .. }) {
                    self.decide();
                }
            } else {
                attempt.release();
            }
            let error = self.explain(error, sent, began.elapsed());
            if number == ATTEMPTS || !(sent || worth_repeating(&error)) {
                return self.give_up(error);
            }
            // Whoever is told to stop meanwhile finds that out when he asks for the lease.
            self.lake.engine().pause(pause);
            pause *= 2;
        }
    }

    /// Says what ended an attempt that a server had no patience with: it would end the next one too.
    fn explain(&self, error: Error, sent: bool, took: Duration) -> Error {
        let idle = self.lake.lease().idle;
        let server = matches!(self.lake.location().catalogue, Catalogue::Postgres { .. });
        if sent || !server || took < idle || !worth_repeating(&error) {
            return error;
        }
        tracing::warn!(error = %error, "the session of a commit ended");
        Error::refused(
            ErrorKind::Unavailable,
            format!(
                "cannot commit to table \"{}\": its session idled for longer than {} s",
                self.request.table,
                idle.as_secs()
            ),
            "The catalogue ends a session that long, and finding the rows that are replaced took longer. Commit fewer \
             rows at once.",
        )
    }

    /// What the last attempt and the undecided one did together. If nothing was left for the last one, the other came
    /// in after the ledger was asked: the server had not decided yet.
    fn settle(&mut self, last: CommitOutcome) -> Result<CommitOutcome> {
        let outcome = match self.undecided.as_ref().and_then(|attempt| attempt.sent.as_ref()) {
            Some(sent) if last.committed.is_empty() => sent.settled(self.lake, &self.lake.session()?)?,
            _ => last,
        };
        self.decide();
        Ok(outcome)
    }

    /// Removes the links of the undecided attempt: what became of it is known.
    fn decide(&mut self) {
        if let Some(mut attempt) = self.undecided.take() {
            attempt.release();
        }
    }

    /// Ends with `error`, after the last doubt is out of the way: once a later lease is granted, a server either has
    /// committed or never will.
    fn give_up(&mut self, error: Error) -> Result<CommitOutcome> {
        if self.undecided.is_some() {
            let _lease = lease::acquire(self.lake, self.request.table)?;
            if let Some(outcome) = self.ask()? {
                return Ok(outcome);
            }
            self.decide();
        }
        Err(error)
    }

    /// Asks the ledger, on a fresh session, whether the undecided attempt is in after all. A catalogue that does not
    /// answer is asked again for as long as a committer waits for a lease.
    fn ask(&mut self) -> Result<Option<CommitOutcome>> {
        let deadline = Instant::now() + self.lake.lease().wait;
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match self.ask_once() {
                Err(error @ Error::Statement { .. }) => error,
                answered => return answered,
            };
            tracing::warn!(table = %self.request.table, error = %error, "ledger could not be asked");
            let over = ended(&error) || Instant::now() >= deadline;
            if over || !self.lake.engine().pause(pause) {
                return Err(error);
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    fn ask_once(&mut self) -> Result<Option<CommitOutcome>> {
        let Some(sent) = self.undecided.as_ref().and_then(|attempt| attempt.sent.as_ref()) else {
            return Ok(None);
        };
        let session = self.lake.session()?;
        let known = fence::known(self.lake, &session, &sent.outcome.committed)?;
        self.asked += 1;
        if known < sent.outcome.committed.len() {
            return Ok(None);
        }
        if let Some(attempt) = &self.undecided {
            self.repaired += attempt.put_back()?;
        }
        if let Some(place) = metadata::place(self.lake, &session, self.request.table)? {
            self.repaired += guard::put_back(self.lake, &session, &place.folder)?;
            guard::check_files(self.lake, &session, self.request.table, &place.folder)?;
        }
        let outcome = sent.settled(self.lake, &session)?;
        self.decide();
        Ok(Some(outcome))
    }

    /// The error for the caller: while an attempt is undecided, none of them says what became of it.
    fn judge(&self, source: Error) -> Error {
        if self.undecided.is_none() {
            return source;
        }
        Error::Undecided {
            table: self.request.table.to_string(),
            source: Box::new(source),
        }
    }
}

/// Refuses what would be committed twice by one commit.
///
/// # Errors
/// `Invalid` for a partition or a file that is named twice.
pub fn check_request(request: &CommitRequest<'_>) -> Result<()> {
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
pub(crate) fn worth_repeating(error: &Error) -> bool {
    matches!(
        error,
        Error::Statement { source, .. }
            if matches!(source.class, FaultClass::Transaction | FaultClass::Input | FaultClass::Other)
    )
}

/// Whether an error ended the whole engine: it answers no more.
pub(crate) fn ended(error: &Error) -> bool {
    matches!(error, Error::Statement { source, .. } if source.class == FaultClass::Ended)
}
