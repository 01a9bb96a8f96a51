//! The statements of a run, made in one place for the plan that shows them and the run that executes them.

use std::path::Path;

use pintail_lake::quote;
use pintail_model::{CursorValue, TableName};

/// Stages the rows of a scan in a Parquet file. `filter` is a tap's condition.
#[must_use]
pub fn stage(scan: &str, columns: &[&str], filter: Option<&str>, file: &str) -> String {
    let select = format!(
        "select {}\n  from (\n{}\n  ) as source",
        quote::identifiers(columns),
        indent(scan, 4)
    );
    let filter = filter
        .map(|filter| format!("\n  where {filter}"))
        .unwrap_or_default();
    format!(
        "copy (\n  {select}{filter}\n) to {} (format parquet)",
        quote::literal(file)
    )
}

/// Rows in doubt that are named to the source at most: with more of them a pass over the partition is cheaper.
pub const IN_DOUBT_MAX: usize = 2_000;

/// The keys of staged rows that are in doubt: NULL without an integer key, and one more than are named at most.
#[must_use]
pub fn in_doubt(key: Option<&str>, staged: &str, suspicious: &str) -> String {
    let key = key.map_or_else(|| "null".to_owned(), quote::identifier);
    format!(
        "select {key}::bigint\nfrom read_parquet({})\nwhere {suspicious}\nlimit {}",
        quote::literal(staged),
        IN_DOUBT_MAX + 1
    )
}

/// Writes those staged rows anew that no row of the lake is equal to.
#[must_use]
pub fn changed(table: &str, columns: &[&str], key: &[String], staged: &str, file: &str) -> String {
    let equal = |name: &str| {
        let name = quote::identifier(name);
        format!("kept.{name} is not distinct from staged.{name}")
    };
    let keys = key.iter().map(|name| {
        let name = quote::identifier(name);
        format!("kept.{name} = staged.{name}")
    });
    let others = columns
        .iter()
        .filter(|column| !key.iter().any(|key| key == *column))
        .map(|column| equal(column));
    let same: Vec<String> = keys.chain(others).collect();
    format!(
        "copy (\n  select staged.*\n  from read_parquet({}) as staged\n  where not exists (\n    select 1\n    from \
         {table} as kept\n    where {}\n  )\n) to {} (format parquet)",
        quote::literal(staged),
        same.join("\n      and "),
        quote::literal(file)
    )
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

/// Parquet files as a relation.
#[must_use]
pub fn parquet(files: &[&Path]) -> String {
    let list: Vec<String> = files
        .iter()
        .map(|file| quote::literal(&file.to_string_lossy()))
        .collect();
    format!("read_parquet([{}])", list.join(", "))
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

/// Reads all rows of the lake's table through a tap.
#[must_use]
pub fn table_at(table: &str, columns: &[&str], snapshot: &str, filter: &str) -> String {
    format!(
        "select count(*)\nfrom (\n  select {}\n  from {table} at (version => {snapshot})\n) as lake\nwhere {filter}",
        quote::identifiers(columns)
    )
}

/// Reads those rows of the lake's table through a tap that have a key of a staged file.
#[must_use]
pub fn keys_at(
    table: &str,
    columns: &[&str],
    key: &[String],
    staged: &str,
    snapshot: &str,
    filter: &str,
) -> String {
    let names = quote::identifiers(key);
    let kept: Vec<String> = columns
        .iter()
        .map(|column| format!("kept.{}", quote::identifier(column)))
        .collect();
    format!(
        "select count(*)\nfrom (\n  select {}\n  from {table} as kept at (version => {snapshot})\n  semi join (select \
         {names} from read_parquet({})) as staged using ({names})\n) as lake\nwhere {filter}",
        kept.join(", "),
        quote::literal(staged)
    )
}

/// What a commit does to a table, in the words of the lake's own statements.
#[must_use]
pub fn commit(table: &TableName, replaces: Option<&[String]>, file: &str) -> Vec<String> {
    let qualified = quote::table("lake", table, "main");
    let delete = match replaces {
        None => format!("delete from {qualified}"),
        Some(key) => {
            let same: Vec<String> = key
                .iter()
                .map(|name| quote::identifier(name))
                .map(|name| format!("kept.{name} = staged.{name}"))
                .collect();
            format!(
                "delete from {qualified} as kept\nusing (select {} from read_parquet([{}])) as staged\nwhere {}",
                quote::identifiers(key),
                quote::literal(file),
                same.join(" and ")
            )
        }
    };
    vec![
        "begin transaction".to_owned(),
        delete,
        format!(
            "call ducklake_add_data_files('lake', {}, [{}], schema => {})",
            quote::literal(&table.table),
            quote::literal(file),
            quote::literal(table.schema_or("main"))
        ),
        "insert into lake.pintail.ledger …".to_owned(),
        "commit".to_owned(),
    ]
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
