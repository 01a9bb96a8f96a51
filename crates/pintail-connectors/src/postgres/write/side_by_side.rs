//! A large full load over several connections at once.
//!
//! The server takes the rows of one COPY with one process, and that is what a load waits for. So the side table of a large
//! load is made and filled before the transaction that puts it in its place: by several sessions, each of which commits
//! its share.
//!
//! ```text
//! make side table ─┬─ COPY, commit ─┬─ key ─▶ begin ─▶ lock ─▶ ledger ─▶ compare ─▶ put in place ─▶ ledger row ─▶ COMMIT
//!                  └─ COPY, commit ─┘
//! ```
//!
//! Nobody else knows the table. A run that is cut off leaves it behind with a comment that names the run, and the next
//! run of the pipeline drops it. Five million rows of a lake on two cores: as long as the engine's own insert, in place of 1.45 times that.

use std::path::Path;

use pintail_lake::commit::Change;
use pintail_lake::database::Incoming;
use pintail_lake::quote::{self, identifier};
use pintail_lake::{Call, Engine, Result, Session};
use pintail_model::{RunId, TableName};

use super::super::quote::literal;
use super::super::scan::{qualified, query};
use super::columns::{self, Loads};
use super::{OWN_SCHEMA, documents, execute, helper};

/// With fewer rows, a load is over before a second connection helps.
const ROWS_MIN: u64 = 200_000;

/// Sessions at most: beyond them the server's disk is what a load waits for.
const SESSIONS_MAX: usize = 4;

/// Rows of a row group as the engine stages them: shares end where one does, so that no two sessions read the same.
const GROUP_ROWS: u64 = 122_880;

/// The engine's name for the number of a row in a file.
const ROW_NUMBER: &str = "file_row_number";

/// Whether the rows are loaded before the transaction.
pub(super) fn applies(incoming: &Incoming<'_>, loads: &Loads) -> bool {
    // Where rows pass through a table of texts, every session would have to show documents as texts in one of its own.
    let passes = loads.direct() || loads.documents().next().is_none();
    passes
        && is_large(incoming)
        && !incoming
            .columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(ROW_NUMBER))
}

/// Whether so much is loaded that it may have been before the transaction.
pub(super) fn is_large(incoming: &Incoming<'_>) -> bool {
    *incoming.change == Change::ReplaceAll && incoming.rows() >= ROWS_MIN && incoming.engine.threads() > 1
}

/// Says of a helping table whose it is.
pub(super) fn mark(incoming: &Incoming<'_>, table: &TableName) -> String {
    format!(
        "comment on table {} is {}",
        qualified(table),
        literal(&comment(incoming.run))
    )
}

fn comment(run: &RunId) -> String {
    format!("made by Pintail for run {run}, which fills it")
}

/// Fills a table that is there.
pub(super) fn fill(incoming: &Incoming<'_>, loads: &Loads, table: &TableName) -> Result<()> {
    if loads.documents().next().is_some() {
        return documents::shown_as_texts(incoming, loads, table, |shown| {
            copy_shares(incoming, loads, shown, true)
        });
    }
    copy_shares(incoming, loads, table, false)
}

fn copy_shares(incoming: &Incoming<'_>, loads: &Loads, into: &TableName, as_texts: bool) -> Result<()> {
    let copies = Copies {
        engine: incoming.engine,
        alias: incoming.alias,
        loads,
        into,
        as_texts,
        stage: helper("stage", incoming),
        label: format!("copy rows into table \"{}\"", incoming.table),
    };
    let shares = shares(incoming);
    let copied: Vec<Result<u64>> = std::thread::scope(|scope| {
        let copies = &copies;
        let threads: Vec<_> = shares
            .iter()
            .enumerate()
            .map(|(number, share)| scope.spawn(move || copies.copy(number, share)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let copied: u64 = copied.into_iter().sum::<Result<u64>>()?;
    columns::check_copied(incoming, copied)
}

/// The staged rows in as many relations as there are sessions.
fn shares(incoming: &Incoming<'_>) -> Vec<String> {
    let sessions = incoming.engine.threads().min(SESSIONS_MAX) as u64;
    let groups: u64 = incoming
        .files
        .iter()
        .map(|file| file.rows.div_ceil(GROUP_ROWS))
        .sum();
    let mut shares = Vec::new();
    for number in 0..sessions {
        let (first, end) = (groups * number / sessions, groups * (number + 1) / sessions);
        let mut parts = Vec::new();
        let mut before = 0;
        for file in incoming.files {
            let own = file.rows.div_ceil(GROUP_ROWS);
            let (from, to) = (first.clamp(before, before + own), end.clamp(before, before + own));
            if from < to {
                parts.push(part(
                    &file.path,
                    (from - before) * GROUP_ROWS,
                    (to - before) * GROUP_ROWS,
                ));
            }
            before += own;
        }
        if !parts.is_empty() {
            shares.push(format!("({}) as staged", parts.join(" union all by name ")));
        }
    }
    shares
}

/// The rows of a file from one number to another.
fn part(file: &Path, from: u64, to: u64) -> String {
    let file = quote::literal(&file.to_string_lossy());
    format!(
        "select * from read_parquet({file}, hive_partitioning = false, {ROW_NUMBER} = true) \
         where {ROW_NUMBER} >= {from} and {ROW_NUMBER} < {to}"
    )
}

/// What all shares have in common.
struct Copies<'a> {
    engine: &'a Engine,
    alias: &'a str,
    loads: &'a Loads,
    into: &'a TableName,
    as_texts: bool,
    /// Where rows are copied first that have to be brought into their types; with a number for each share.
    stage: TableName,
    label: String,
}

impl Copies<'_> {
    /// Copies a share in a transaction of its own, and returns how many rows it had.
    fn copy(&self, number: usize, share: &str) -> Result<u64> {
        let session = self.engine.session()?;
        session.begin()?;
        match self.copy_in(&session, number, share) {
            Ok(copied) => session.batch(Call::new(&self.label), "commit").map(|()| copied),
            Err(error) => {
                session.rollback();
                Err(error)
            }
        }
    }

    fn copy_in(&self, session: &Session, number: usize, share: &str) -> Result<u64> {
        let (alias, loads, names) = (self.alias, self.loads, self.loads.names());
        let values = loads.copied(self.as_texts).join(", ");
        let call = Call::new(&self.label);
        if loads.direct() {
            return session.execute(call, &columns::copy(alias, self.into, &names, &values, share));
        }
        let stage = TableName::new(OWN_SCHEMA, format!("{}_{number}", self.stage.table));
        columns::make_stage(session, alias, loads, &stage)?;
        let copied = session.execute(call, &columns::copy(alias, &stage, &names, &values, share))?;
        columns::bring_into_types(session, alias, loads, &stage, self.into)?;
        Ok(copied)
    }
}

/// Drops what an attempt has made and not put in its place.
pub(super) fn clean_up(incoming: &Incoming<'_>) -> Result<()> {
    // The one of the attempt may be broken.
    let session = incoming.engine.session()?;
    let tables = ["side", "load"].map(|kind| qualified(&helper(kind, incoming)));
    let sql = format!("drop table if exists {}", tables.join(", "));
    execute(&session, incoming.alias, "remove a side table", &sql)
}

/// Drops what runs have left behind that are over.
pub(super) fn sweep(session: &Session, alias: &str, runs: &[RunId]) -> Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let comments: Vec<String> = runs.iter().map(|run| literal(&comment(run))).collect();
    let sql = format!(
        "select c.relname::text as name from pg_catalog.pg_class c \
         where c.relnamespace = pg_catalog.to_regnamespace({}) and c.relkind = 'r' \
         and pg_catalog.obj_description(c.oid, 'pg_class') in ({})",
        literal(&identifier(OWN_SCHEMA)),
        comments.join(", ")
    );
    let label = "look for side tables of runs that are over";
    let found = session.query(Call::new(label), &format!("from {}", query(alias, &sql)))?;
    for name in found.iter().filter_map(|row| row.text(0)) {
        tracing::info!(name, "a side table of a run that is over was dropped");
        let sql = columns::drop_table(&TableName::new(OWN_SCHEMA, name));
        execute(session, alias, "remove a side table", &sql)?;
    }
    Ok(())
}
