//! The fence: what refuses a late committer, even after the snapshot of the winner has expired.
//!
//! On Postgres, two tables and a trigger live beside DuckLake's own tables:
//!
//! - `pintail_fence(target, granted, committed)`: the number of the newest lease on each table.
//! - `pintail_keys(key)`: every partition key that was ever committed.
//! - a trigger on `ducklake_snapshot_changes`, so it runs inside DuckLake's commit, whoever sends it. It reads the
//!   commit's `extra_info`, refuses a number that is not the newest, and a key that is known.
//!
//! DuckLake retries when an error speaks of a conflict, of something unique or concurrent. The trigger's own words
//! avoid these, so a refusal is final at once; a refusal by Postgres itself (a row that changed under the
//! transaction) is retried by DuckLake and then meets the trigger's words.
//!
//! On SQLite and DuckDB files there is no trigger: see the table in [`crate::commit`].

use pintail_model::{PartitionKey, TableName};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::ledger::{self, LedgerEntry};
use crate::location::Catalogue;
use crate::metadata::metadata_alias;
use crate::quote;
use crate::session::{Call, Session};

/// How the fence and the lease name a table: names that DuckLake takes for the same are the same.
pub(super) fn target(table: &TableName) -> String {
    ledger::target(table).to_ascii_lowercase()
}

/// What a commit says about itself to the trigger and to readers of the lake's history.
#[derive(Serialize)]
struct ExtraInfo<'a> {
    /// Version of this form.
    pintail: u32,
    /// The table.
    target: String,
    /// The fencing number.
    fence: i64,
    /// Tells this attempt from every other one, also where two committers passed one lease over.
    attempt: &'a str,
    /// The partition keys.
    keys: Vec<&'a str>,
}

/// The `extra_info` of a commit: JSON, never empty.
pub(crate) fn extra_info(
    session: &Session,
    table: &TableName,
    fence: i64,
    entries: &[&LedgerEntry],
) -> Result<String> {
    let rows = session.query(Call::new("name an attempt").protected(), "select uuid()::varchar")?;
    let info = ExtraInfo {
        pintail: 1,
        target: target(table),
        fence,
        attempt: rows.first().and_then(|row| row.text(0)).unwrap_or_default(),
        keys: entries.iter().map(|entry| entry.key.as_str()).collect(),
    };
    Ok(serde_json::to_string(&info).expect("texts and numbers always make JSON"))
}

/// Counts the fence of `table` up, on Postgres. From here on, commits under an earlier number are refused.
pub(crate) fn grant(lake: &Lake, table: &TableName, metadata_schema: &str) -> Result<i64> {
    let grant = format!(
        "select {}.pintail_grant({})",
        quote::identifier(metadata_schema),
        quote::postgres_literal(&target(table))
    );
    let sql = format!(
        "from postgres_query({}, {})",
        quote::literal(&metadata_alias()),
        quote::literal(&grant)
    );
    // Sessions read one snapshot. Whoever had to wait for a commit that lost its lease is refused because of what
    // that one did, and sees it the next time.
    let call = Call::new("take a fencing number");
    let mut rows = lake.session()?.query(call, &sql);
    for _ in 1..GRANT_ATTEMPTS {
        if !matches!(&rows, Err(Error::Statement { .. })) {
            break;
        }
        rows = lake.session()?.query(call, &sql);
    }
    Ok(rows?.first().and_then(|row| row.integer(0)).unwrap_or(0))
}

const GRANT_ATTEMPTS: u32 = 4;

/// How many of `keys` are in the lake, asked after a lost answer.
///
/// On Postgres this reads the fence's own table, which has the same keys as the ledger. DuckLake's reader of inlined
/// tables, which the ledger is, ends the whole engine if the connection breaks under it; Postgres' own does not.
pub(crate) fn known(lake: &Lake, session: &Session, keys: &[PartitionKey]) -> Result<usize> {
    let Catalogue::Postgres { metadata_schema, .. } = &lake.location().catalogue else {
        return Ok(ledger::known(session, keys)?.len());
    };
    let list = keys
        .iter()
        .map(|key| quote::postgres_literal(key.as_str()))
        .collect::<Vec<_>>()
        .join(", ");
    let remote = format!(
        "select count(*) from {}.pintail_keys where key in ({list})",
        quote::identifier(metadata_schema)
    );
    let sql = format!(
        "from postgres_query({}, {})",
        quote::literal(&metadata_alias()),
        quote::literal(&remote)
    );
    let call = Call::new("look partitions up in the fence of the lake").protected();
    let rows = session.query(call, &sql)?;
    let count = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Makes the fence where it is missing. Needs the right to create tables, functions and triggers in the catalogue's
/// schema, which whoever made the lake has.
pub(crate) fn install(lake: &Lake) -> Result<()> {
    let Catalogue::Postgres { metadata_schema, .. } = &lake.location().catalogue else {
        return Ok(());
    };
    let session = lake.session()?;
    let alias = quote::literal(&metadata_alias());
    let schema = quote::identifier(metadata_schema);
    // The newest part of it, and the one that does the work.
    let check = format!(
        "select count(*)
         from pg_trigger
         where tgname = 'pintail_fence'
           and tgrelid = {}::regclass
           and exists (
               select
               from pg_proc
               where proname = 'pintail_lease'
                 and pronamespace = {}::regnamespace
           )",
        quote::postgres_literal(&format!("{schema}.ducklake_snapshot_changes")),
        quote::postgres_literal(&schema)
    );
    let call = Call::new("look for the fence of the lake");
    let found = session.query(
        call,
        &format!("from postgres_query({alias}, {})", quote::literal(&check)),
    )?;
    if found.first().and_then(|row| row.integer(0)) == Some(1) {
        return Ok(());
    }
    let script = include_str!("../../sql/postgres_fence.sql").replace("{schema}", &schema);
    let call = Call::new("make the fence of the lake").protected();
    session.batch(
        call,
        &format!("call postgres_execute({alias}, {})", quote::literal(&script)),
    )
}
