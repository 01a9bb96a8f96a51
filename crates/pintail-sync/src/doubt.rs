//! Doubts: values that the engine may have read as others, which only the source can tell.
//!
//! They are settled after a partition is staged and before anything is committed, in the snapshot that was read. Few
//! rows are in doubt as a rule: the source finds them by their key. Where they are many, or have no integer key, it
//! looks at all rows.

use std::path::Path;

use pintail_lake::connector::Doubt;
use pintail_lake::{Call, Error as LakeError, Session, quote};
use pintail_model::{ErrorKind, LogicalType};

use crate::error::{Error, Result};
use crate::plan::{PartitionPlan, SOURCE};
use crate::work::Work;

/// Keys that are named to the source at most: with more of them a pass over the table is cheaper.
const KEYS_MAX: usize = 2_000;

/// Asks the source about every doubt that staged rows raise.
///
/// # Errors
/// [`Error::Value`] if one is right.
pub(crate) fn settle(
    work: &Work<'_>,
    session: &Session,
    partition: &PartitionPlan,
    path: &Path,
) -> Result<()> {
    partition
        .doubts
        .iter()
        .try_for_each(|doubt| settle_one(work, session, partition, path, doubt))
}

fn settle_one(
    work: &Work<'_>,
    session: &Session,
    partition: &PartitionPlan,
    path: &Path,
    doubt: &Doubt,
) -> Result<()> {
    let (plan, key) = (work.plan, integer_key(work));
    let sql = format!(
        "select {} from read_parquet({}) where {} limit {}",
        key.map_or_else(
            || "null".to_owned(),
            |(dest, _)| format!("{}::bigint", quote::identifier(dest))
        ),
        quote::literal(&path.to_string_lossy()),
        doubt.suspicious,
        KEYS_MAX + 1
    );
    let rows = session.query(Call::new("look for rows in doubt"), &sql)?;
    if rows.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = rows.iter().filter_map(|row| row.integer(0)).collect();
    let named = key.filter(|_| rows.len() <= KEYS_MAX && keys.len() == rows.len());
    let named = named.map(|(_, source)| (source, keys.as_slice()));
    let column = plan
        .shape
        .columns
        .iter()
        .find(|read| read.column.name == doubt.column);
    let column = column.map_or(doubt.column.as_str(), |read| read.source.name.as_str());
    let label = format!("ask {} about rows in doubt", plan.source.address);
    let sql = work.connector.confirm(SOURCE, &plan.source_table, column, named);
    let right = session
        .query(Call::new(&label), &sql)?
        .first()
        .and_then(|row| row.integer(0))
        .unwrap_or(0);
    if right == 0 {
        return Ok(());
    }
    Err(Error::Value {
        table: plan.source_table.clone(),
        column: Some(column.to_owned()),
        partition: partition.id.clone(),
        source: Box::new(LakeError::Refused {
            kind: ErrorKind::Data,
            message: doubt.reason.clone(),
            hint: None,
        }),
    })
}

/// The key in the destination and in the source, if it is one integer column.
fn integer_key<'a>(work: &'a Work<'_>) -> Option<(&'a str, &'a str)> {
    let [key] = work.plan.shape.key.as_slice() else {
        return None;
    };
    let read = work
        .plan
        .shape
        .columns
        .iter()
        .find(|read| read.column.name == *key)?;
    let integer = |kind| matches!(kind, LogicalType::Int16 | LogicalType::Int32 | LogicalType::Int64);
    let carried = read.source.logical_type.is_some_and(integer) && integer(read.column.logical_type);
    carried.then_some((read.column.name.as_str(), read.source.name.as_str()))
}
