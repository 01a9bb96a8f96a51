//! Rows that live again: marked as gone from the source, and in it once more.
//!
//! A delta does not see one that returns with a cursor which was passed before. A pass by keys does: to it, the key is one that the
//! living rows of the destination do not have. It brings such rows in as the source has them now, and leaves all others that
//! are missing to a delta.

use pintail_lake::{Call, Session, quote};
use pintail_model::{ErrorKind, Range};

use crate::compare::{DIFFERING, Differing};
use crate::error::{Error, Result};
use crate::fetch::{self, Staged};
use crate::parity;
use crate::plan::{PartitionPlan, statement};
use crate::work::Work;

/// The keys of rows that live again, in a table of the session.
const RETURNED: &str = "pintail_returned";

/// Keys that are named to the source at most.
const NAMED_MAX: usize = 20_000;

/// Stages the rows of the source whose keys the destination has in marked rows alone, and takes these keys out of the table of
/// differences that `session` holds; `None` if there are none. `version` is that of the destination.
pub(crate) fn stage(
    work: &Work<'_>,
    session: &Session,
    version: Option<i64>,
    differing: &Differing,
) -> Result<Option<Staged>> {
    let plan = work.plan;
    if plan.shape.marked().is_none() || differing.inserted == 0 {
        return Ok(None);
    }
    let _callers = work.destination.engine().callers(1)?;
    let names = quote::identifiers(&plan.shape.key);
    let sql = format!(
        "create or replace temporary table {RETURNED} as\nselect {names}\nfrom {DIFFERING} as differing\n\
         semi join {} as kept using ({names})\nwhere here and not there",
        parity::rows(work, version)
    );
    let label = format!("look for rows of table \"{}\" that live again", plan.table);
    session.batch(Call::new(&label), &sql)?;
    let count = format!("select count(*) from {RETURNED}");
    let found = session.query(Call::new("count the rows that live again"), &count)?;
    let wanted = found.first().and_then(|row| row.integer(0)).unwrap_or(0);
    let wanted = u64::try_from(wanted).unwrap_or(0);
    if wanted == 0 {
        return Ok(None);
    }
    let mut rows = match plan.shape.integer_key() {
        Some((key, source)) if wanted <= NAMED_MAX as u64 => {
            let sql = format!(
                "select {}::bigint from {RETURNED} order by 1",
                quote::identifier(key)
            );
            let keys = session.query(Call::new("read the keys of rows that live again"), &sql)?;
            let range = Range::Listed {
                column: source.to_owned(),
                values: keys.iter().filter_map(|row| row.integer(0)).collect(),
            };
            PartitionPlan::new(work.connector, &plan.relation, &plan.shape, range, None)
        }
        _ => {
            let mut all = PartitionPlan::new(work.connector, &plan.relation, &plan.shape, Range::Whole, None);
            all.scan.sql = format!(
                "select side.*\nfrom (\n{}\n) as side\nsemi join {RETURNED} as returned using ({names})",
                statement::indent(&all.scan.sql, 2)
            );
            all
        }
    };
    rows.id.clone_from(&plan.partitions[0].id);
    let staged = fetch::stage_rows(work, session, 0, &rows)?;
    if staged.file.rows < wanted {
        return Err(Error::Refused {
            kind: ErrorKind::Internal,
            message: format!(
                "{wanted} rows of table \"{}\" live again, and {} rows of them were read",
                plan.source_table, staged.file.rows
            ),
            hint: None,
        });
    }
    let sql = format!("delete from {DIFFERING} where ({names}) in (select ({names}) from {RETURNED})");
    session.batch(Call::new("leave out rows that live again"), &sql)?;
    Ok(Some(staged))
}
