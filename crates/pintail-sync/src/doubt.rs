//! Doubts: values that the engine may have read as others, which only the source can tell.
//!
//! They are settled after a partition is staged and before anything is committed, in the snapshot that was read. Few
//! rows are in doubt as a rule: the source finds them by their key. Where they are many, or have no integer key, it
//! looks at all rows of the partition.

use std::path::Path;

use pintail_lake::{Call, Error as LakeError, Session};
use pintail_model::ErrorKind;

use crate::error::{Error, Result};
use crate::plan::{PartitionPlan, Question, SOURCE, statement};
use crate::work::Work;

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
    for question in &partition.questions {
        if is_right(work, session, partition, path, question)? {
            return Err(refusal(work, partition, question));
        }
    }
    Ok(())
}

/// Asks the source whether the doubt is right for any row of the partition.
///
/// # Errors
/// [`Error::Value`] if it is.
pub(crate) fn ask_all(
    work: &Work<'_>,
    session: &Session,
    partition: &PartitionPlan,
    question: &Question,
) -> Result<()> {
    match ask(work, session, &question.all)? {
        true => Err(refusal(work, partition, question)),
        false => Ok(()),
    }
}

fn refusal(work: &Work<'_>, partition: &PartitionPlan, question: &Question) -> Error {
    Error::Value {
        table: work.plan.source_table.clone(),
        column: Some(question.column.clone()),
        partition: partition.id.clone(),
        source: Box::new(LakeError::Refused {
            kind: ErrorKind::Data,
            message: question.reason.clone(),
            hint: None,
        }),
    }
}

fn is_right(
    work: &Work<'_>,
    session: &Session,
    partition: &PartitionPlan,
    path: &Path,
    question: &Question,
) -> Result<bool> {
    let key = work.plan.shape.integer_key();
    let (staged, key_column) = (path.to_string_lossy(), key.map(|(staged, _)| staged));
    let sql = statement::in_doubt(key_column, &staged, &question.suspicious);
    let rows = session.query(Call::new("look for rows in doubt"), &sql)?;
    if rows.is_empty() {
        return Ok(false);
    }
    let keys: Vec<i64> = rows.iter().filter_map(|row| row.integer(0)).collect();
    let sql = match key {
        Some((_, source)) if rows.len() <= statement::IN_DOUBT_MAX && keys.len() == rows.len() => {
            let named = Some((source, keys.as_slice()));
            let (relation, range) = (&work.plan.relation, &partition.range);
            work.connector
                .confirm(SOURCE, relation, range, &question.column, named)
        }
        _ => question.all.clone(),
    };
    ask(work, session, &sql)
}

fn ask(work: &Work<'_>, session: &Session, sql: &str) -> Result<bool> {
    let label = format!("ask {} about rows in doubt", work.plan.source.address);
    let found = session.query(Call::new(&label), sql)?;
    Ok(found.first().and_then(|row| row.integer(0)).unwrap_or(0) > 0)
}
