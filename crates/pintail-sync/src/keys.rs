//! Keys that are not what they were taken for: one row of the source each, and a new row of the destination each where
//! nothing there may change.

use std::path::Path;

use pintail_lake::{Call, quote};

use crate::error::{Error, Result};
use crate::parity;
use crate::plan::statement;
use crate::work::Work;

/// Makes sure that a join has found one row for each key. A table alone has its own constraint.
///
/// # Errors
/// [`Error::KeysTwice`] if it has not.
pub(crate) fn check_joined(work: &Work<'_>, files: &[&Path]) -> Result<()> {
    let joins = work
        .plan
        .relation
        .query
        .as_ref()
        .map_or(0, |query| query.joins.len());
    if joins == 0 || work.plan.shape.key.is_empty() {
        return Ok(());
    }
    match twice(work, files)? {
        0 => Ok(()),
        keys => Err(Error::KeysTwice {
            table: work.plan.source_table.clone(),
            key: work.plan.shape.key.clone(),
            keys,
        }),
    }
}

/// How many keys stand in more than one staged row.
pub(crate) fn twice(work: &Work<'_>, files: &[&Path]) -> Result<u64> {
    if files.is_empty() {
        return Ok(0);
    }
    let names = quote::identifiers(&work.plan.shape.key);
    let all = statement::parquet(files);
    let sql = format!("select count(*) from (select 1 from {all} group by {names} having count(*) > 1)");
    count(work, "look for rows that were staged twice", &sql)
}

/// Makes sure that none of the changed rows in a file has a key of the destination, where rows are only ever added.
///
/// # Errors
/// [`Error::Update`] if one has.
pub(crate) fn check_new(work: &Work<'_>, partition: &str, changed: &Path) -> Result<()> {
    if !work.plan.append_only {
        return Ok(());
    }
    let names = quote::identifiers(&work.plan.shape.key);
    let sql = format!(
        "select count(*) from (select {names} from {}) as staged semi join {} as kept using ({names})",
        statement::parquet(&[changed]),
        parity::rows(work, None)
    );
    match count(work, "look for rows that are there already", &sql)? {
        0 => Ok(()),
        rows => Err(Error::Update {
            table: work.plan.table.clone(),
            partition: partition.to_owned(),
            rows,
        }),
    }
}

fn count(work: &Work<'_>, label: &str, sql: &str) -> Result<u64> {
    let _callers = work.destination.engine().callers(1)?;
    let session = work.destination.session()?;
    let found = parity::reading(&session, || Ok(session.query(Call::new(label), sql)?))?;
    let number = found.first().and_then(|row| row.integer(0)).unwrap_or(0);
    Ok(u64::try_from(number).unwrap_or(0))
}
