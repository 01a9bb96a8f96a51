//! Sums of digests, taken by Postgres: one grouped query over the table.
//!
//! A row is sent by `record_send`, which frames, types and tells NULL; its columns are cast to the types that are sent for
//! those of the destination. So every type counts for which both sides have the same binary form: all but arrays, and
//! numbers that have no end or another scale than the destination's.
//!
//! The query groups what a subquery yields that Postgres may not flatten (`offset 0`): it would expect a group for each key
//! and sort the table for that, with all of its columns.

use pintail_lake::connector::ColumnRead;
use pintail_lake::digest::{Digest, DigestLeaves, DigestRequest};
use pintail_lake::quote::identifier;
use pintail_model::{LogicalType, Range};

use super::scan::{from, query};
use super::types::{Route, route};

/// Neighbouring leaves that are read as ranges at most: with more of them, Postgres looks at all rows.
const RANGES_MAX: usize = 100;

pub(super) fn digest(alias: &str, request: &DigestRequest) -> Result<Digest, String> {
    let sql = format!(
        "select leaf, count(*) as rows, sum(digest)::text as digests from (select {} as leaf, {} as digest from {} offset 0) \
         as r group by leaf",
        leaf(&request.leaves)?,
        row_digest(&request.columns)?,
        from(&request.relation, &Range::Whole)
    );
    Ok(Digest {
        sql: format!(
            "select leaf::bigint, rows::bigint, digests::hugeint\nfrom {}",
            query(alias, &sql)
        ),
        pushed_down: sql,
    })
}

/// The condition that a row belongs to one of `wanted`.
pub(super) fn among(leaves: &DigestLeaves, wanted: &[i64]) -> Result<String, String> {
    if let DigestLeaves::Ranges { key, width } = leaves {
        let ranges = ranges(wanted, *width);
        if ranges.len() <= RANGES_MAX {
            let key = identifier(&key.source.name);
            let ranges = ranges
                .iter()
                .map(|(low, high)| format!("{key} between '{low}'::bigint and '{high}'::bigint"));
            return Ok(format!("({})", ranges.collect::<Vec<_>>().join(" or ")));
        }
    }
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Ok(format!(
        "{} = any('{{{}}}'::bigint[])",
        leaf(leaves)?,
        wanted.join(",")
    ))
}

/// The keys of leaves, smallest and largest, where neighbours are one.
fn ranges(wanted: &[i64], width: i64) -> Vec<(i64, i64)> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for leaf in wanted {
        // Rounded towards zero: leaf 0 has keys on both sides of it.
        let near = leaf.saturating_mul(width);
        let far = near.saturating_add((width - 1) * leaf.signum());
        let (low, high) = match leaf {
            0 => (1 - width, width - 1),
            leaf if leaf < 0 => (far, near),
            _ => (near, far),
        };
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(low) => *last = high,
            _ => ranges.push((low, high)),
        }
    }
    ranges
}

/// The leaf of a row.
pub(super) fn leaf(leaves: &DigestLeaves) -> Result<String, String> {
    Ok(match leaves {
        DigestLeaves::Ranges { key, width } => {
            format!("({}::bigint / '{width}'::bigint)", identifier(&key.source.name))
        }
        DigestLeaves::Buckets { key, bits } => {
            format!(
                "({} >> {} & {})",
                row_digest(key)?,
                64 - bits,
                (1_i64 << bits) - 1
            )
        }
    })
}

/// The digest of a row over some columns.
pub(super) fn row_digest(columns: &[ColumnRead]) -> Result<String, String> {
    let unfit: Vec<String> = columns
        .iter()
        .filter(|read| sent(read).is_none())
        .map(|read| format!("`{}` ({})", read.source.name, read.source.source_type))
        .collect();
    if !unfit.is_empty() {
        return Err(format!(
            "the source and the engine have no common form of {}",
            unfit.join(", ")
        ));
    }
    let sent: Vec<String> = columns.iter().filter_map(sent).collect();
    Ok(format!(
        "('x' || left(md5(record_send(row({}))), 16))::bit(64)::bigint",
        sent.join(", ")
    ))
}

/// A column as it is sent; `None` if the engine does not send it so.
fn sent(read: &ColumnRead) -> Option<String> {
    use LogicalType as T;
    let name = identifier(&read.source.name);
    let cast = |to: &str| Some(format!("{name}::{to}"));
    match (
        route(&read.source, read.column.logical_type)?,
        read.column.logical_type,
    ) {
        (Route::AsText, _) | (Route::Native(_), T::Text | T::Json) => cast("text"),
        (Route::Native(_), T::Boolean) => cast("boolean"),
        (Route::Native(_), T::Int16 | T::Int32 | T::Int64) => cast("bigint"),
        // Postgres can compute other bits of a NaN.
        (Route::Native(_), T::Float32 | T::Float64) => Some(format!(
            "case when {name}::double precision = 'NaN' then 'NaN' else {name}::double precision end"
        )),
        (Route::Native(_), T::Decimal { precision, scale }) => cast(&format!("numeric({precision},{scale})")),
        (Route::Native(_), T::Bytes) => cast("bytea"),
        (Route::Native(_), T::Date) => cast("date"),
        (Route::Native(_), T::Time) => cast("time"),
        (Route::Native(_), T::Timestamp) => cast("timestamp"),
        (Route::Native(_), T::TimestampTz) => cast("timestamptz"),
        (Route::Native(_), T::Uuid) => cast("uuid"),
        _ => None,
    }
}
