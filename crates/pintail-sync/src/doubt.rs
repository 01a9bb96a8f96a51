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
use crate::shape::Shape;
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

/// What a pass over all rows of a partition says of a doubt, beside its sums: a column for [`settle_sums`].
pub(crate) fn column(shape: &Shape, question: &Question) -> String {
    match shape.integer_key() {
        Some((key, _)) => statement::keys_in_doubt(key, &question.suspicious),
        None => format!("({})::varchar", statement::number_of(&question.suspicious)),
    }
}

/// Asks the source about the doubt that a pass over all rows of a partition raised, by what its [`column`] said.
///
/// # Errors
/// [`Error::Value`] if it is right.
pub(crate) fn settle_sums(
    work: &Work<'_>,
    session: &Session,
    partition: &PartitionPlan,
    question: &Question,
    said: Option<&str>,
) -> Result<()> {
    let keyed = work.plan.shape.integer_key().is_some();
    let keys: Vec<i64> = match said {
        None | Some("") => return Ok(()),
        Some("0") if !keyed => return Ok(()),
        Some(keys) if keyed => keys.split(',').filter_map(|key| key.parse().ok()).collect(),
        Some(_) => Vec::new(),
    };
    let sql = asking(work, partition, question, keys.len(), &keys);
    match ask(work, session, &sql)? {
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
    ask(
        work,
        session,
        &asking(work, partition, question, rows.len(), &keys),
    )
}

/// Asks about `number` rows: by their integer keys where all have one and they are few, else about the whole partition.
fn asking(
    work: &Work<'_>,
    partition: &PartitionPlan,
    question: &Question,
    number: usize,
    keys: &[i64],
) -> String {
    match work.plan.shape.integer_key() {
        Some((_, source))
            if number <= statement::IN_DOUBT_MAX && !keys.is_empty() && keys.len() == number =>
        {
            let (relation, range) = (&work.plan.relation, &partition.range);
            work.connector
                .confirm(SOURCE, relation, range, &question.column, Some((source, keys)))
        }
        _ => question.all.clone(),
    }
}

fn ask(work: &Work<'_>, session: &Session, sql: &str) -> Result<bool> {
    let label = format!("ask {} about rows in doubt", work.plan.source.address);
    let found = session.query(Call::new(&label), sql)?;
    Ok(found.first().and_then(|row| row.integer(0)).unwrap_or(0) > 0)
}
