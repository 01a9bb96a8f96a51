//! The ledger of a database: one row for every partition that was ever committed, written in the transaction that
//! wrote its rows. The partition key is its primary key, so no partition comes in twice whatever else fails.

use pintail_model::{ErrorKind, PartitionKey, TableName};

use super::Database;
use crate::error::{Error, FaultClass, Result};
use crate::ledger::{self, LedgerEntry};
use crate::quote;
use crate::session::{Call, Session};

/// Columns of the ledger, with what they hold. All texts but `row_count`, `fence` and `position`, which are 64-bit
/// integers; only `cursor_column`, `watermark_type` and `watermark` may be NULL. `partition_key` is the primary key.
pub const COLUMNS: &[&str] = &[
    "partition_key",
    "pipeline",
    "strategy",
    "run_id",
    "target",
    "row_count",
    "checksum",
    "source",
    "cursor_column",
    "watermark_type",
    "watermark",
    "fence",
    "position",
    "committed_at",
];

const LOOK_UP: &str = "look partitions up in the ledger of the database";

/// The entries of those `keys` that were committed.
pub(super) fn committed(
    database: &Database,
    session: &Session,
    keys: &[PartitionKey],
) -> Result<Vec<LedgerEntry>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = keys.iter().map(|key| quote::literal(key.as_str())).collect();
    let condition = format!("partition_key in ({})", list.join(", "));
    let rows = select(database, session, Call::new(LOOK_UP).protected(), &condition)?;
    rows.iter().map(ledger::read_entry).collect()
}

/// The newest entry for a table.
pub(super) fn newest(
    database: &Database,
    session: &Session,
    table: &TableName,
) -> Result<Option<LedgerEntry>> {
    let condition = format!(
        "target = {} order by fence desc, position desc limit 1",
        quote::literal(&target(database, table))
    );
    let call = Call::new("read the newest entry of the ledger of the database");
    let rows = select(database, session, call, &condition)?;
    rows.first().map(ledger::read_entry).transpose()
}

fn select(
    database: &Database,
    session: &Session,
    call: Call<'_>,
    condition: &str,
) -> Result<Vec<crate::session::Row>> {
    let sql = format!(
        "select {} from {} where {condition}",
        ledger::COLUMNS,
        qualified(database)
    );
    session.query(call, &sql).map_err(|error| match &error {
        // A place that Pintail never wrote to.
        Error::Statement { source, .. } if source.class == FaultClass::Name => Error::refused(
            ErrorKind::NotFound,
            format!(
                "{} has no ledger of Pintail",
                database.writer().reader().address()
            ),
            "The first run makes it.",
        ),
        _ => error,
    })
}

/// The number of the next commit to a table.
pub(super) fn next_fence(database: &Database, session: &Session, table: &TableName) -> Result<i64> {
    let sql = format!(
        "select coalesce(max(fence), 0)::bigint from {} where target = {}",
        qualified(database),
        quote::literal(&target(database, table))
    );
    let rows = session.query(Call::new(LOOK_UP).protected(), &sql)?;
    Ok(rows.first().and_then(|row| row.integer(0)).unwrap_or(0) + 1)
}

/// Writes entries.
pub(super) fn write(
    database: &Database,
    session: &Session,
    table: &TableName,
    entries: &[&LedgerEntry],
    fence: i64,
) -> Result<()> {
    let target = target(database, table);
    let values: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(position, entry)| {
            let values = ledger::values(entry, &target, fence, position);
            format!("({values}, now()::varchar)")
        })
        .collect();
    let sql = format!(
        "insert into {} ({}) values {}",
        qualified(database),
        COLUMNS.join(", "),
        values.join(", ")
    );
    session.batch(Call::new("write the ledger of the database").protected(), &sql)
}

fn qualified(database: &Database) -> String {
    quote::table(super::ALIAS, &database.writer().ledger(), "main")
}

fn target(database: &Database, table: &TableName) -> String {
    let table = database.writer().resolve(table);
    ledger::target(&table)
}
