//! The ledger: one row for every partition that was ever committed, written in the transaction that wrote its rows.
//!
//! It is a table of the lake itself, `pintail.ledger`, so rows and record move together or not at all. Its own rows
//! are kept in the catalogue (inlined) and are never flushed into files: a lost answer during a flush would destroy
//! them on Postgres. Expiring snapshots does not touch it.

use pintail_model::{Checksum, CursorType, CursorValue, ErrorKind, PartitionKey, RunId, TableName};

use crate::error::{Error, Result};
use crate::lake::{ALIAS, Lake};
use crate::quote;
use crate::session::{Call, Row, Session};

/// The ledger's table.
#[must_use]
pub fn ledger_table() -> TableName {
    TableName::new("pintail", "ledger")
}

/// What is recorded of a committed partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The pipeline that committed.
    pub pipeline: String,
    /// Its strategy.
    pub strategy: String,
    /// The run.
    pub run: RunId,
    /// The partition. Unique in the ledger.
    pub key: PartitionKey,
    /// Rows that the partition brought.
    pub rows: u64,
    /// Checksum of these rows; all zero where the run did not take one.
    pub checksum: Checksum,
    /// What was read: the place, the table, and what identifies the table beyond its name. No secrets. A watermark
    /// says nothing about another one.
    pub source: String,
    /// The cursor that the pipeline follows: its name, and what identifies the column beyond it.
    pub cursor: Option<String>,
    /// How far the source was provably read when this partition was in.
    pub watermark: Option<CursorValue>,
}

/// Look-ups in the ledger of an attached lake.
#[derive(Debug, Clone, Copy)]
pub struct Ledger;

/// What [`read_entry`] reads.
pub(crate) const COLUMNS: &str = "pipeline, strategy, run_id, partition_key, row_count, checksum, watermark_type, watermark, \
                       source, cursor_column";

impl Ledger {
    /// The entries of those `keys` that were committed.
    ///
    /// # Errors
    /// `NotFound` for a lake to which Pintail never committed: the first commit makes the ledger. `Data` for an entry
    /// that cannot be read.
    pub fn committed(&self, session: &Session, keys: &[PartitionKey]) -> Result<Vec<LedgerEntry>> {
        let rows = look_up(session, Call::new(LOOK_UP), COLUMNS, keys)?;
        rows.iter().map(read_entry).collect()
    }

    /// The newest entry for `table`, of whatever pipeline. Fails as [`Ledger::committed`] does.
    pub fn newest(&self, session: &Session, table: &TableName) -> Result<Option<LedgerEntry>> {
        let sql = format!(
            "select {COLUMNS}
             from {ALIAS}.pintail.ledger
             where target = ?
             order by fence desc, position desc
             limit 1"
        );
        let call = Call::new("read the newest entry of the ledger");
        let rows = session.query_with(call, &sql, &[&target(table)])?;
        rows.first().map(read_entry).transpose()
    }
}

/// Those of `keys` that were committed, also while the engine is told to stop: a committer has to know. Nothing but
/// the keys is read, so an entry that says strange things is in the ledger all the same.
pub(crate) fn known(session: &Session, keys: &[PartitionKey]) -> Result<Vec<PartitionKey>> {
    let rows = look_up(session, Call::new(LOOK_UP).protected(), "partition_key", keys)?;
    let key = |row: &Row| row.text(0).map(PartitionKey::from_stored);
    Ok(rows.iter().filter_map(key).collect())
}

/// What the ledger says of a table, and of partitions that are about to be committed to it.
pub(crate) struct Standing {
    /// The greatest fencing number of the table; 0 without any.
    pub(crate) fence: i64,
    /// The key of its newest entry.
    pub(crate) newest: Option<PartitionKey>,
    /// Those of the keys that were committed.
    pub(crate) known: Vec<PartitionKey>,
}

/// Asks for all of it at once, since each look into the ledger reads all of it; also while the engine is told to stop.
pub(crate) fn standing(session: &Session, table: &TableName, keys: &[PartitionKey]) -> Result<Standing> {
    let sql = format!(
        "select fence, newest, unnest(coalesce(known, [null]))
         from (
             select
                 max(fence) filter (where target = ?) as fence,
                 max_by(partition_key, row(fence, position)) filter (where target = ?) as newest,
                 list(partition_key) filter (where partition_key in ({})) as known
             from {ALIAS}.pintail.ledger
         )",
        literals(keys)
    );
    let target = target(table);
    let rows = session.query_with(Call::new(LOOK_UP).protected(), &sql, &[&target, &target])?;
    let key = |row: &Row, index| row.text(index).map(PartitionKey::from_stored);
    let first = rows.first();
    Ok(Standing {
        fence: first.and_then(|row| row.integer(0)).unwrap_or(0),
        newest: first.and_then(|row| key(row, 1)),
        known: rows.iter().filter_map(|row| key(row, 2)).collect(),
    })
}

const LOOK_UP: &str = "look partitions up in the ledger";

fn look_up(session: &Session, call: Call<'_>, columns: &str, keys: &[PartitionKey]) -> Result<Vec<Row>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let list = literals(keys);
    let sql = format!("select {columns} from {ALIAS}.pintail.ledger where partition_key in ({list})");
    session.query(call, &sql)
}

/// A list for `in`, also without keys.
fn literals(keys: &[PartitionKey]) -> String {
    if keys.is_empty() {
        return "null".to_owned();
    }
    let literals = keys.iter().map(|key| quote::literal(key.as_str()));
    literals.collect::<Vec<_>>().join(", ")
}

/// How a table is named in the ledger and by the fence.
pub(crate) fn target(table: &TableName) -> String {
    format!("{}.{}", table.schema_or("main"), table.table)
}

/// Makes the ledger where it is missing, and keeps it inlined.
pub(crate) fn install(lake: &Lake) -> Result<()> {
    let session = lake.session()?;
    if ready(&session)? {
        return Ok(());
    }
    let _lease = crate::commit::lease::acquire(lake, &ledger_table())?;
    let call = Call::new("make the ledger of the lake").protected();
    let made = session.batch(
        call,
        &format!(
            "begin;
             create schema if not exists {ALIAS}.pintail;
             create table if not exists {ALIAS}.pintail.ledger (
                 partition_key varchar not null,
                 pipeline varchar not null,
                 strategy varchar not null,
                 run_id varchar not null,
                 target varchar not null,
                 row_count bigint not null,
                 checksum varchar not null,
                 source varchar not null,
                 cursor_column varchar,
                 watermark_type varchar,
                 watermark varchar,
                 fence bigint not null,
                 position bigint not null,
                 committed_at timestamp with time zone not null
             );
             commit;
             begin;
             call {ALIAS}.set_option('data_inlining_row_limit', 1000000, schema => 'pintail', table_name => 'ledger');
             call {ALIAS}.set_option('auto_compact', false, schema => 'pintail', table_name => 'ledger');
             commit"
        ),
    );
    match made {
        // Another process made it meanwhile: that is as good.
        Err(_) if ready(&lake.session()?)? => Ok(()),
        other => other,
    }
}

/// Whether the ledger exists with both of its options.
fn ready(session: &Session) -> Result<bool> {
    let sql = format!(
        "select count(*)
         from {ALIAS}.options()
         where scope_entry = 'pintail.ledger'
           and option_name in ('data_inlining_row_limit', 'auto_compact')"
    );
    let rows = session.query(Call::new("look for the ledger of the lake"), &sql)?;
    Ok(rows.first().and_then(|row| row.integer(0)) == Some(2))
}

/// The statement that writes entries.
pub(crate) fn insert(table: &TableName, entries: &[&LedgerEntry], fence: i64) -> String {
    let target = target(table);
    let values: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(position, entry)| format!("({}, now())", values(entry, &target, fence, position)))
        .collect();
    format!(
        "insert into {ALIAS}.pintail.ledger
             (partition_key, pipeline, strategy, run_id, target, row_count, checksum, source, cursor_column,
              watermark_type, watermark, fence, position, committed_at)
         values {}",
        values.join(", ")
    )
}

/// The values of an entry, without the time of the commit.
pub(crate) fn values(entry: &LedgerEntry, target: &str, fence: i64, position: usize) -> String {
    let text = quote::literal;
    let (kind, watermark) = match entry.watermark {
        Some(value) => (text(&value.cursor_type().to_string()), text(&value.text())),
        None => ("null".to_owned(), "null".to_owned()),
    };
    let cursor = entry.cursor.as_deref().map_or_else(|| "null".to_owned(), text);
    format!(
        "{}, {}, {}, {}, {}, {}, {}, {}, {cursor}, {kind}, {watermark}, {fence}, {position}",
        text(entry.key.as_str()),
        text(&entry.pipeline),
        text(&entry.strategy),
        text(entry.run.as_str()),
        text(target),
        entry.rows,
        text(&entry.checksum.digest()),
        text(&entry.source),
    )
}

/// An entry that cannot be read is an error: to take it for missing would commit its partition again.
pub(crate) fn read_entry(row: &Row) -> Result<LedgerEntry> {
    entry(row).ok_or_else(|| {
        let key = row.text(3).unwrap_or("without a key");
        Error::refused(
            ErrorKind::Data,
            format!("cannot read the ledger: entry `{key}` has an unknown form"),
            "It was written by another release of Pintail, or changed by hand. Use that release.",
        )
    })
}

fn entry(row: &Row) -> Option<LedgerEntry> {
    let rows = u64::try_from(row.integer(4)?).ok()?;
    let watermark = match (row.text(6), row.text(7)) {
        (Some(kind), Some(value)) => Some(CursorValue::parse(cursor_type(kind)?, value)?),
        _ => None,
    };
    Some(LedgerEntry {
        pipeline: row.text(0)?.to_owned(),
        strategy: row.text(1)?.to_owned(),
        run: RunId::from_stored(row.text(2)?),
        key: PartitionKey::from_stored(row.text(3)?),
        rows,
        checksum: Checksum::from_digest(rows, row.text(5)?)?,
        source: row.text(8)?.to_owned(),
        cursor: row.text(9).map(str::to_owned),
        watermark,
    })
}

fn cursor_type(text: &str) -> Option<CursorType> {
    [
        CursorType::Integer,
        CursorType::Date,
        CursorType::Timestamp,
        CursorType::TimestampTz,
    ]
    .into_iter()
    .find(|kind| kind.to_string() == text)
}
