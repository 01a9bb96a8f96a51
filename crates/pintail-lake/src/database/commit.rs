//! The commit protocol of databases: see the module above.

use std::time::{Duration, Instant};

use pintail_model::checksum::bytes_word;
use pintail_model::{Checksum, ErrorKind, LeafChecksums, LogicalType, PartitionKey, RunId, TableName};

use super::{Brought, Database, Incoming, ledger};
use crate::commit::{
    Change, CommitOutcome, CommitPart, CommitRequest, StagedFile, check_keys, check_request, ended,
    worth_repeating,
};
use crate::connector::TableDescription;
use crate::destination::{Compare, Compared};
use crate::error::{Error, FaultClass, Result};
use crate::ledger::LedgerEntry;
use crate::quote;
use crate::session::{Call, Session};

/// How often staged files are offered to the database.
const ATTEMPTS: u32 = 4;

/// How long to wait before they are offered for the second time; then twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a database that does not answer is asked about a commit.
const ASK: Duration = Duration::from_mins(1);

/// Commits a request. A request to stop the engine interrupts everything before COMMIT, but neither COMMIT nor the
/// questions after it.
pub(super) fn commit(database: &Database, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
    check_request(request)?;
    let Some(first) = request.parts.first() else {
        return Ok(CommitOutcome::default());
    };
    database.make_ready()?;
    let table = database.writer().resolve(request.table);
    let mut asked = 0;
    let mut pause = PAUSE;
    for number in 1.. {
        let mut attempt = Attempt {
            database,
            request,
            table: &table,
            run: &first.entry.run,
            word: word(&first.entry.key, number),
            sent: None,
        };
        let error = match attempt.run() {
            Ok(outcome) => return Ok(CommitOutcome { asked, ..outcome }),
            Err(error) => error,
        };
        let sent = attempt.sent.take();
        tracing::warn!(%table, sent = sent.is_some(), %error, "commit failed");
        let was_sent = sent.is_some();
        if let Some(outcome) = sent {
            asked += 1;
            let known = ask(database, &table, &outcome.committed).map_err(|source| Error::Undecided {
                table: table.to_string(),
                source: Box::new(source),
            })?;
            if known {
                return Ok(CommitOutcome { asked, ..outcome });
            }
        }
        if number == ATTEMPTS || !(was_sent || worth_repeating(&error) || may_pass(&error)) {
            return Err(error);
        }
        // Whoever is told to stop meanwhile finds that out with the next statement.
        database.engine.pause(pause);
        pause *= 2;
    }
    unreachable!("the last attempt returns")
}

/// Whether a table or its lock is not to be had just now.
fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Refused { kind, .. } if *kind == ErrorKind::Unavailable)
}

/// A word that names the tables of one attempt, and of no other that could still be at work.
fn word(key: &PartitionKey, number: u32) -> String {
    let text = format!("{key} {number} {}", std::process::id());
    format!("{:016x}", bytes_word(text.as_bytes()))
}

/// Whether all of `keys` are in the ledger, asked on a fresh session, and only once the transaction that may have
/// written them is over.
fn ask(database: &Database, table: &TableName, keys: &[PartitionKey]) -> Result<bool> {
    let deadline = Instant::now() + ASK;
    let mut pause = PAUSE;
    loop {
        let error = match ask_once(database, table, keys) {
            Err(error @ Error::Statement { .. }) => error,
            answered => return answered,
        };
        tracing::warn!(%table, %error, "ledger could not be asked");
        if ended(&error) || Instant::now() >= deadline || !database.engine.pause(pause) {
            return Err(error);
        }
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

fn ask_once(database: &Database, table: &TableName, keys: &[PartitionKey]) -> Result<bool> {
    let session = database.engine.session()?;
    session.begin()?;
    let answer = database
        .writer()
        .lock(&session, super::ALIAS, table, Some(ASK))
        .and_then(|()| ledger::committed(database, &session, keys));
    session.rollback();
    Ok(answer?.len() == keys.len())
}

/// One try at a request, from BEGIN to COMMIT.
struct Attempt<'a> {
    database: &'a Database,
    request: &'a CommitRequest<'a>,
    table: &'a TableName,
    run: &'a RunId,
    word: String,
    /// COMMIT was sent: this is what it did, if it took place.
    sent: Option<CommitOutcome>,
}

impl Attempt<'_> {
    fn run(&mut self) -> Result<CommitOutcome> {
        let (database, request, word) = (self.database, self.request, self.word.clone());
        let session = database.engine.session()?;
        let all: Vec<&CommitPart> = request.parts.iter().collect();
        let files = files_of(&all);
        if let Change::Upsert { key, .. } = &request.change {
            let _callers = database.engine.callers(1)?;
            check_keys(&session, request.table, key, &files)?;
        }
        // Where rows pass through one connection, the engine's own threads would keep the one that works waiting, which
        // costs the server a core.
        let parallel = database.writer().parallel();
        let _callers = database.engine.callers(if parallel { 1 } else { usize::MAX })?;
        let found = database.describe(&session, self.table)?;
        let fits = self.fits(found.as_ref())?;
        let described = found.as_ref().filter(|_| fits);
        let rows = format!(
            "({})",
            database.place.scan(self.table, request.columns, described)
        );
        let incoming = Incoming {
            engine: &database.engine,
            session: &session,
            alias: super::ALIAS,
            table: self.table,
            found: found.as_ref(),
            fits,
            columns: request.columns,
            key: request.key,
            change: &request.change,
            files: &files,
            gone: &request.gone,
            rows: &rows,
            run: self.run,
            attempt: &word,
        };
        let writer = database.writer();
        let result = writer
            .prepare(&incoming)
            .and_then(|()| self.transact(&session, &incoming))
            .map_err(|error| self.explain(error));
        if let Err(error) = writer.clean_up(&incoming) {
            tracing::warn!(table = %self.table, %error, "helping tables stay behind");
        }
        result
    }

    /// A row that the table does not take is the data's fault.
    fn explain(&self, error: Error) -> Error {
        let Error::Statement { source, .. } = &error else {
            return error;
        };
        let (message, hint) = match source.class {
            FaultClass::Constraint => (
                "breaks a constraint of the table: a key that stands twice or is missing, a check, a reference",
                "Look for it with a query on the source, or change the constraint. Where a unique value went from one row to \
                 another, a `hash` strategy brings both in at once; a delta does not see rows that are gone, and brings \
                 others in part by part.",
            ),
            FaultClass::Value => (
                "has a value that does not fit its column",
                "Declare the column `data_type: text` in `column_map`, or widen the column of the table.",
            ),
            _ => return error,
        };
        tracing::warn!(table = %self.table, %error, "rows were refused");
        Error::refused(
            ErrorKind::Data,
            format!("cannot write to table \"{}\": a row {message}", self.table),
            hint,
        )
    }

    /// Everything from BEGIN to COMMIT.
    fn transact(&mut self, session: &Session, incoming: &Incoming<'_>) -> Result<CommitOutcome> {
        session.begin()?;
        match self.fill(session, incoming) {
            Ok(outcome) if outcome.committed.is_empty() => {
                session.rollback();
                Ok(outcome)
            }
            Ok(outcome) => {
                self.sent = Some(outcome.clone());
                let label = format!("commit to table \"{}\"", self.table);
                session.batch(Call::new(&label).protected(), "commit")?;
                Ok(outcome)
            }
            Err(error) => {
                session.rollback();
                Err(error)
            }
        }
    }

    fn fill(&self, session: &Session, incoming: &Incoming<'_>) -> Result<CommitOutcome> {
        let (database, request) = (self.database, self.request);
        let writer = database.writer();
        writer.lock(session, super::ALIAS, self.table, None)?;
        let keys: Vec<PartitionKey> = request.parts.iter().map(|part| part.entry.key.clone()).collect();
        let already: Vec<PartitionKey> = ledger::committed(database, session, &keys)?
            .into_iter()
            .map(|entry| entry.key)
            .collect();
        let parts: Vec<&CommitPart> = request
            .parts
            .iter()
            .filter(|part| !already.contains(&part.entry.key))
            .collect();
        if parts.is_empty() {
            return Ok(CommitOutcome {
                already,
                ..CommitOutcome::default()
            });
        }
        if let Some(basis) = &request.basis {
            let newest = ledger::newest(database, session, self.table)?.map(|entry| entry.key);
            basis.check(request.table, newest.as_ref())?;
        }
        if request.change == Change::ReplaceAll && parts.len() < request.parts.len() {
            return Err(Error::refused(
                ErrorKind::Conflict,
                format!(
                    "cannot replace table \"{}\": a part of this load is in the ledger already",
                    self.table
                ),
                "Start a new run: a full load is committed as a whole.",
            ));
        }
        let files = files_of(&parts);
        let incoming = Incoming {
            files: &files,
            session,
            attempt: &self.word,
            rows: incoming.rows,
            ..*incoming
        };
        let brought = writer.bring_in(&incoming)?;
        let compared = request
            .compare
            .as_ref()
            .map(|compare| self.compare(&incoming, &brought, compare))
            .transpose()?;
        if let Some(compared) = &compared {
            self.check(&incoming, &brought, &parts, compared)?;
        }
        writer.finish(&incoming, &brought)?;
        let fence = ledger::next_fence(database, session, self.table)?;
        let entries: Vec<&LedgerEntry> = parts.iter().map(|part| &part.entry).collect();
        ledger::write(database, session, self.table, &entries, fence)?;
        Ok(CommitOutcome {
            snapshot: Some(fence),
            committed: entries.iter().map(|entry| entry.key.clone()).collect(),
            already,
            rows_inserted: brought.inserted,
            rows_updated: brought.updated,
            rows_deleted: brought.deleted,
            asked: 0,
            repaired: 0,
            compared,
        })
    }

    /// Ends the transaction if the table does not hold what was staged: a trigger, a type or the system changed it.
    fn check(
        &self,
        incoming: &Incoming<'_>,
        brought: &Brought,
        parts: &[&CommitPart],
        compared: &Compared,
    ) -> Result<()> {
        let mut staged = Checksum::default();
        for part in parts {
            staged.merge(part.entry.checksum);
        }
        let wanted = match &compared.superseded {
            Some((_, left)) => left.total(),
            None => staged,
        };
        let kept = compared.table.total();
        if kept == wanted {
            return Ok(());
        }
        let changed = match compared.superseded {
            Some(_) => Vec::new(),
            None => self.changed_columns(incoming, brought)?,
        };
        let what = if kept.rows != wanted.rows {
            format!("has {} rows of {} that were written", kept.rows, wanted.rows)
        } else if changed.is_empty() {
            "does not keep all values as they are".to_owned()
        } else {
            format!("does not keep the values of {} as they are", changed.join(", "))
        };
        Err(Error::refused(
            ErrorKind::Data,
            format!("table \"{}\" {what}: nothing was committed", self.table),
            "A trigger, a generated column or a type that rounds, pads or cuts changes them. Change the table, or map \
             the column to another type with `column_map`.",
        ))
    }

    /// The columns, in backticks, whose values are not those that were staged, taken as a bag each.
    fn changed_columns(&self, incoming: &Incoming<'_>, brought: &Brought) -> Result<Vec<String>> {
        let sums: Vec<String> = incoming
            .columns
            .iter()
            .map(|column| match column.logical_type {
                // Hashes of zero and negative zero are the same.
                LogicalType::Float32 | LogicalType::Float64 => {
                    format!("{}::varchar", quote::identifier(&column.name))
                }
                _ => quote::identifier(&column.name),
            })
            .map(|value| format!("sum(hash({value})::hugeint)::varchar"))
            .collect();
        let label = format!("look for changed columns of table \"{}\"", self.table);
        let sums_of = |rows: &str| -> Result<Vec<Option<String>>> {
            let sql = format!("select {} from {rows} as side", sums.join(", "));
            let found = incoming.session.query(Call::new(&label), &sql)?;
            let found = found.first();
            let sum = |index| found.and_then(|row| row.text(index)).map(str::to_owned);
            Ok((0..sums.len()).map(sum).collect())
        };
        let staged = sums_of(&incoming.staged())?;
        let kept = sums_of(&self.kept(incoming, brought))?;
        let columns = incoming.columns.iter().zip(staged.iter().zip(&kept));
        let changed = columns.filter(|(_, (staged, kept))| staged != kept);
        Ok(changed.map(|(column, _)| format!("`{}`", column.name)).collect())
    }

    /// The rows that are compared, as a relation.
    fn kept(&self, incoming: &Incoming<'_>, brought: &Brought) -> String {
        let names: Vec<&str> = incoming
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let found = incoming.found.filter(|_| incoming.fits);
        let scan = self.database.place.scan(&brought.kept, incoming.columns, found);
        match brought.under_keys {
            true => format!(
                "(select {} from ({scan}) as kept semi join {} as staged using ({}))",
                quote::identifiers(&names),
                brought.keys,
                quote::identifiers(incoming.key)
            ),
            false => format!("({scan})"),
        }
    }

    /// Whether the table that is there takes the rows as it is. One of others is not replaced.
    fn fits(&self, found: Option<&TableDescription>) -> Result<bool> {
        let Some(found) = found else {
            return Ok(false);
        };
        if self.database.fits(found, self.request.columns) {
            return Ok(true);
        }
        let session = self.database.engine.session()?;
        let ours = ledger::newest(self.database, &session, self.table)?.is_some();
        if ours && self.request.change == Change::ReplaceAll {
            return Ok(false);
        }
        let differing: Vec<String> = self
            .request
            .columns
            .iter()
            .filter(|wanted| {
                let own = found.column(&wanted.name);
                !own.is_some_and(|own| self.database.writer().takes(own, wanted))
            })
            .map(|wanted| {
                let type_name = self.database.writer().column_type(wanted);
                format!("`{}` as `{type_name}`", wanted.name)
            })
            .collect();
        let hint = if ours {
            "Run a full load: it makes the table anew."
        } else {
            "It was not made by Pintail, which therefore does not replace it. Change its columns, map them with \
             `column_map`, or drop the table."
        };
        Err(Error::refused(
            ErrorKind::Conflict,
            format!(
                "table \"{}\" cannot take all rows as they are: it needs {}",
                self.table,
                differing.join(", ")
            ),
            hint,
        ))
    }

    /// Reads the rows again, in the transaction that brought them in.
    fn compare(&self, incoming: &Incoming<'_>, brought: &Brought, compare: &Compare) -> Result<Compared> {
        let (database, session) = (self.database, incoming.session);
        let names: Vec<&str> = incoming
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let label = format!("read table \"{}\" of the database again", self.table);
        let sum = |rows: &str| -> Result<LeafChecksums> {
            let tap = database.engine.tap();
            let filter = tap.filter(compare.leaf.as_deref(), &names);
            let sql = format!("select count(*) from {rows} as kept where {filter}");
            session.query(Call::new(&label), &sql)?;
            Ok(tap.checksums())
        };
        let key = quote::identifiers(incoming.key);
        let all = quote::identifiers(&names);
        let table = sum(&self.kept(incoming, brought))?;
        let superseded = match brought.superseded {
            0 => None,
            rows => {
                let left = format!(
                    "(select {all} from {} as staged semi join {} as kept using ({key}))",
                    incoming.staged(),
                    brought.keys
                );
                Some((rows, sum(&left)?))
            }
        };
        Ok(Compared { table, superseded })
    }
}

fn files_of(parts: &[&CommitPart]) -> Vec<StagedFile> {
    let files = parts.iter().flat_map(|part| part.files.iter().cloned());
    files.filter(|file| file.rows > 0).collect()
}
