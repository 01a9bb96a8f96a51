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
    let Some(statement) = statement(table, storage, attributes) else {
        return Ok(BTreeMap::new());
    };
    let found = rows(session, alias, "look up the statistics of a table", &statement)?;
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

/// Rows (column, value, share in millionths); `None` if no column can be cut.
///
/// The view is read once: Postgres takes longer to plan it than to read it. An array is parsed once for each column, since
/// `offset 0` keeps the planner from moving its cast to every place where it is used.
fn statement(table: &TableName, storage: &Storage, attributes: &[Attribute]) -> Option<String> {
    let mut names: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for attribute in attributes {
        if let Some(kind) = Kind::of(attribute) {
            names.entry(kind).or_default().push(literal(&attribute.name));
        }
    }
    if names.is_empty() {
        return None;
    }
    let of_kind = |(kind, names): (&Kind, &Vec<String>)| {
        let (array, number, names) = (kind.array(), kind.number(), names.join(", "));
        format!(
            "select name, ({number})::bigint as value, round(share * 1000000)::bigint as share from (\
             select name, unnest(frequent::{array}) as v, unnest(frequencies)::float8 as share \
             from known where name in ({names}) \
             union all \
             select name, bound.v, case when position = 1 then 0 else rest / greatest(cardinality(bounds) - 1, 1) end \
             from (select name, rest, bounds::{array} as bounds from known where name in ({names}) offset 0) as h, \
             unnest(bounds) with ordinality as bound(v, position)\
             ) as m where v is not null"
        )
    };
    let schema = literal(table.schema.as_deref().unwrap_or_default());
    let (table, all) = (literal(&table.table), names.values().flatten());
    Some(format!(
        "with known as (\
         select attname::text as name, most_common_vals::text as frequent, most_common_freqs as frequencies, \
         histogram_bounds::text as bounds, greatest(1 - null_frac - coalesce(\
         (select sum(f) from unnest(most_common_freqs) as f), 0), 0)::float8 as rest \
         from pg_catalog.pg_stats \
         where schemaname = {schema} and tablename = {table} and attname in ({}) and inherited = {}\
         ) {}",
        all.cloned().collect::<Vec<_>>().join(", "),
        // Statistics over all parts of a table are kept beside those of the table itself.
        storage.parts > 1,
        names.iter().map(of_kind).collect::<Vec<_>>().join(" union all "),
    ))
}

/// What values are cast to, and how they become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Integer,
    Date,
    Timestamp,
    TimestampTz,
}

impl Kind {
    fn of(attribute: &Attribute) -> Option<Self> {
        match home(&attribute.base_type, attribute.dimensions)? {
            kind if kind.is_integer() => Some(Self::Integer),
            LogicalType::Date => Some(Self::Date),
            LogicalType::Timestamp => Some(Self::Timestamp),
            LogicalType::TimestampTz => Some(Self::TimestampTz),
            _ => None,
        }
    }

    fn array(self) -> &'static str {
        match self {
            Self::Integer => "bigint[]",
            Self::Date => "date[]",
            Self::Timestamp => "timestamp[]",
            Self::TimestampTz => "timestamptz[]",
        }
    }

    /// The value `v` as a number.
    fn number(self) -> &'static str {
        match self {
            Self::Integer => "v",
            Self::Date => "case when isfinite(v) then v - date '1970-01-01' end",
            Self::Timestamp | Self::TimestampTz => {
                "case when isfinite(v) then extract(epoch from v) * 1000000 end"
            }
        }
    }
}
