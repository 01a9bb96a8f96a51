//! Values that cut a column into parts of about equal row counts, from the statistics of the last ANALYZE.
//!
//! Postgres keeps frequent values with their frequencies, and bounds of equally full buckets for the rest. Laid
//! together they are a distribution, which is cut into equal parts.

use std::collections::BTreeMap;

use pintail_lake::{Result, Session};
use pintail_model::{LogicalType, TableName};

use super::catalog::rows;
use super::quote::literal;
use super::types::home;
use super::{catalog::Attribute, catalog::Storage};
use crate::distribution::{Mass, cut};

/// Histograms by name of column, for columns that can be cut into ranges.
pub(super) fn histograms(
    session: &Session,
    alias: &str,
    table: &TableName,
    storage: &Storage,
    attributes: &[Attribute],
) -> Result<BTreeMap<String, Vec<i64>>> {
    let parts: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| statement(table, storage, attribute))
        .collect();
    if parts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = rows(
        session,
        alias,
        "look up the statistics of a table",
        &parts.join(" union all "),
    )?;
    let mut masses: BTreeMap<String, Vec<Mass>> = BTreeMap::new();
    for row in &found {
        if let (Some(name), Some(value), Some(millionths)) = (row.text(0), row.integer(1), row.integer(2)) {
            let share = millionths as f64;
            masses
                .entry(name.to_owned())
                .or_default()
                .push(Mass { value, share });
        }
    }
    Ok(masses
        .into_iter()
        .map(|(name, masses)| (name, cut(masses)))
        .collect())
}

/// Rows (column, value, share in millionths) of one column.
fn statement(table: &TableName, storage: &Storage, attribute: &Attribute) -> Option<String> {
    let (array, number) = match home(&attribute.base_type, attribute.dimensions)? {
        kind if kind.is_integer() => ("bigint[]", "v"),
        LogicalType::Date => ("date[]", "case when isfinite(v) then v - date '1970-01-01' end"),
        LogicalType::Timestamp => (
            "timestamp[]",
            "case when isfinite(v) then extract(epoch from v) * 1000000 end",
        ),
        LogicalType::TimestampTz => (
            "timestamptz[]",
            "case when isfinite(v) then extract(epoch from v) * 1000000 end",
        ),
        _ => return None,
    };
    let name = literal(&attribute.name);
    let schema = literal(table.schema.as_deref().unwrap_or_default());
    // Statistics over all parts of a table are kept beside those of the table itself.
    let inherited = storage.parts > 1;
    let source = format!(
        "pg_catalog.pg_stats where schemaname = {schema} and tablename = {} and attname = {name} and inherited = {inherited}",
        literal(&table.table)
    );
    Some(format!(
        "select {name}::text as name, ({number})::bigint as value, round(share * 1000000)::bigint as share from (\
         select s.frequent as v, s.frequency as share from (\
         select unnest(most_common_vals::text::{array}) as frequent, unnest(most_common_freqs)::float8 as frequency \
         from {source}) as s \
         union all \
         select v, case when position = 1 then 0 else rest / greatest(buckets - 1, 1) end from (\
         select bounds.v, bounds.position, cardinality(histogram) as buckets, rest from (\
         select histogram_bounds::text::{array} as histogram, greatest(1 - null_frac - coalesce(\
         (select sum(f) from unnest(most_common_freqs) as f), 0), 0)::float8 as rest \
         from {source}) as h, unnest(histogram) with ordinality as bounds(v, position)) as b\
         ) as m where v is not null"
    ))
}
