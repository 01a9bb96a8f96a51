//! The statements of a run, made in one place for the plan that shows them and the run that executes them.

use std::path::Path;

use pintail_lake::quote;
use pintail_lake::tap::row_hash;
use pintail_model::{Column, CursorValue, LogicalType, Range};

use crate::shape::{RowHash, Shape, cursor_type_of};

/// What rows of a file are put together at most, before they are packed. A thread that reads takes a group of them into
/// memory: without this limit that is 122,880 rows, whatever they weigh.
const ROW_GROUP: &str = "32MB";

/// Stages the rows of a scan in a Parquet file. `filter` is a tap's condition, `options` are those of the place for which
/// they are staged.
#[must_use]
pub fn stage(scan: &str, columns: &[&str], filter: Option<&str>, file: &str, options: &str) -> String {
    let select = format!(
        "select {}\n  from (\n{}\n  ) as source",
        quote::identifiers(columns),
        indent(scan, 4)
    );
    let filter = filter
        .map(|filter| format!("\n  where {filter}"))
        .unwrap_or_default();
    format!(
        "copy (\n  {select}{filter}\n) to {} (format parquet, row_group_size_bytes '{ROW_GROUP}'{options})",
        quote::literal(file)
    )
}

/// The rows of a scan with their hash. It has no sign in the engine, so that of a column of integers is 2⁶³ less.
#[must_use]
pub fn with_row_hash(scan: &str, shape: &Shape, hash: &RowHash) -> String {
    let value = row_hash(&hash.of);
    let integer = shape
        .columns
        .iter()
        .any(|read| read.column.name == hash.column && read.column.logical_type.is_integer());
    let value = match integer {
        true => format!("({value}::hugeint - 9223372036854775808)::bigint"),
        false => format!("{value}::varchar"),
    };
    format!(
        "select *, {value} as {}\nfrom (\n{}\n) as hashed",
        quote::identifier(&hash.column),
        indent(scan, 2)
    )
}

/// The rows of a scan, none of which is gone.
#[must_use]
pub fn with_mark(scan: &str, mark: &str) -> String {
    format!(
        "select *, null::{} as {}\nfrom (\n{}\n) as read",
        LogicalType::TimestampTz,
        quote::identifier(mark),
        indent(scan, 2)
    )
}

/// Those rows of the destination that were not found to be gone. `rows` is a relation in parentheses.
#[must_use]
pub fn living(rows: &str, shape: &Shape) -> String {
    match shape.marked() {
        None => rows.to_owned(),
        Some(mark) => format!(
            "(select * from {rows} as kept where {} is null)",
            quote::identifier(mark)
        ),
    }
}

/// Rows of the destination with the time at which they were found to be gone: that of now, if they have none yet. `kept` is
/// a FROM clause over `kept`.
#[must_use]
pub fn mark(kept: &str, shape: &Shape, mark: &str, now: CursorValue) -> String {
    let columns: Vec<String> = shape
        .names()
        .into_iter()
        .map(|name| match name == mark {
            true => format!(
                "coalesce(kept.{0}, {1}) as {0}",
                quote::identifier(name),
                cursor_literal(now)
            ),
            false => format!("kept.{}", quote::identifier(name)),
        })
        .collect();
    format!("select {}\nfrom {kept}", columns.join(", "))
}

/// Sums the rows of a scan up, and says what `columns` say of them. `filter` is a tap's condition.
#[must_use]
pub fn sum(scan: &str, columns: &[String], filter: &str) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!(", {column}")).collect();
    format!(
        "select count(*){}\nfrom (\n{}\n) as source\nwhere {filter}",
        columns.concat(),
        indent(scan, 2)
    )
}

/// A column of a [`sum`]: how many rows meet a condition.
#[must_use]
pub fn number_of(condition: &str) -> String {
    format!("count(*) filter (where {condition})")
}

/// A column of a [`sum`]: the integer keys of rows in doubt, with commas between them, and one more of them than are named
/// at most.
#[must_use]
pub fn keys_in_doubt(key: &str, suspicious: &str) -> String {
    format!(
        "array_to_string(min({}::bigint, {}) filter (where {suspicious}), ',')",
        quote::identifier(key),
        IN_DOUBT_MAX + 1
    )
}

/// Rows in doubt that are named to the source at most: with more of them a pass over the partition is cheaper.
pub const IN_DOUBT_MAX: usize = 2_000;

/// The keys of staged rows that are in doubt: NULL without an integer key, and one more than are named at most.
#[must_use]
pub fn in_doubt(key: Option<&str>, staged: &str, suspicious: &str) -> String {
    let key = key.map_or_else(|| "null".to_owned(), quote::identifier);
    format!(
        "select {key}::bigint\nfrom {}\nwhere {suspicious}\nlimit {}",
        parquet(&[Path::new(staged)]),
        IN_DOUBT_MAX + 1
    )
}

/// Those staged rows of a range that no row of the destination is equal to. `rows` is a relation in parentheses.
#[must_use]
pub fn changed(rows: &str, shape: &Shape, range: &Range, staged: &str) -> String {
    let is_key = |column: &&Column| shape.key.contains(&column.name);
    let keys = shape.key.iter().map(|name| {
        let name = quote::identifier(name);
        format!("kept.{name} = staged.{name}")
    });
    let columns: Vec<&Column> = shape.columns.iter().map(|read| &read.column).collect();
    let others = columns.iter().filter(|column| !is_key(column)).map(|column| {
        let name = quote::identifier(&column.name);
        // Checksums tell zero from negative zero, which are equal numbers with different texts.
        let text = match column.logical_type {
            LogicalType::Float32 | LogicalType::Float64 => "::varchar",
            _ => "",
        };
        format!("kept.{name}{text} is not distinct from staged.{name}{text}")
    });
    let same: Vec<String> = keys.chain(others).chain(in_range(shape, range)).collect();
    format!(
        "select staged.*\nfrom {} as staged\nwhere not exists (\n  select 1\n  from {rows} as kept\n  where {}\n)",
        parquet(&[Path::new(staged)]),
        same.join("\n    and ")
    )
}

/// Conditions that an equal row of the lake meets anyway, so that the engine can pass over files without any.
fn in_range(shape: &Shape, range: &Range) -> Vec<String> {
    let (Some(cursor), Range::Cursor { low, high, .. }) = (shape.followed(), range) else {
        return Vec::new();
    };
    let carried = shape
        .columns
        .iter()
        .find(|read| read.column.name == cursor.dest)
        .and_then(|read| cursor_type_of(read.column.logical_type));
    if carried != Some(cursor.cursor_type) {
        return Vec::new();
    }
    let name = quote::identifier(&cursor.dest);
    let low = low.map(|low| format!("kept.{name} >= {}", cursor_literal(low)));
    low.into_iter()
        .chain([format!("kept.{name} < {}", cursor_literal(*high))])
        .collect()
}

/// The staged rows that have not changed since they were staged: those with a smaller cursor whose key was not read
/// again.
#[must_use]
pub fn unchanged(staged: &Path, newer: &[&Path], key: &[String], cursor: &str, since: CursorValue) -> String {
    let same: Vec<String> = key
        .iter()
        .map(|name| quote::identifier(name))
        .map(|name| format!("newer.{name} = staged.{name}"))
        .collect();
    let again = match newer {
        [] => String::new(),
        _ => format!(
            "\n  and not exists (select 1 from {} as newer where {})",
            parquet(newer),
            same.join(" and ")
        ),
    };
    format!(
        "select staged.*\nfrom {} as staged\nwhere staged.{} < {}{again}",
        parquet(&[staged]),
        quote::identifier(cursor),
        cursor_literal(since)
    )
}

/// Whether a row lies at or above a cursor, or has none: what becomes of such rows is a policy of the delta.
#[must_use]
pub fn later(cursor: &str, low: CursorValue) -> String {
    let above = format!("{} >= {}", quote::identifier(cursor), cursor_literal(low));
    format!("coalesce({above}, true)")
}

/// Parquet files as a relation.
#[must_use]
pub fn parquet(files: &[&Path]) -> String {
    let list: Vec<String> = files
        .iter()
        .map(|file| quote::literal(&file.to_string_lossy()))
        .collect();
    let files = match list.as_slice() {
        [file] => file.clone(),
        _ => format!("[{}]", list.join(", ")),
    };
    // A folder like `tenant=acme` on the way to the lake is no column.
    format!("read_parquet({files}, hive_partitioning = false)")
}

/// A cursor as the engine reads it.
fn cursor_literal(value: CursorValue) -> String {
    let text = quote::literal(&value.text());
    match value {
        CursorValue::Integer(number) => number.to_string(),
        CursorValue::Date(_) => format!("{text}::date"),
        CursorValue::Timestamp(_) => format!("{text}::timestamp"),
        CursorValue::TimestampTz(_) => format!("{text}::timestamptz"),
    }
}

/// Reads all rows of the destination's table through a tap. `rows` is a relation in parentheses.
#[must_use]
pub fn all_of(rows: &str, filter: &str) -> String {
    format!("select count(*)\nfrom {rows} as kept\nwhere {filter}")
}

/// Reads those rows of the destination's table through a tap that have a key of a staged file.
#[must_use]
pub fn keys_of(rows: &str, columns: &[&str], key: &[String], staged: &str, filter: &str) -> String {
    let names = quote::identifiers(key);
    let kept: Vec<String> = columns
        .iter()
        .map(|column| format!("kept.{}", quote::identifier(column)))
        .collect();
    format!(
        "select count(*)\nfrom (\n  select {}\n  from {rows} as kept\n  semi join (select {names} from {}) as staged using \
         ({names})\n) as kept\nwhere {filter}",
        kept.join(", "),
        parquet(&[Path::new(staged)])
    )
}

/// A text with every line moved to the right.
#[must_use]
pub fn indent(text: &str, by: usize) -> String {
    let space = " ".repeat(by);
    text.lines()
        .map(|line| format!("{space}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
