//! The SELECT that reads a range of a view over files, or of a query over such views.

use pintail_config::FileFormat;
use pintail_lake::connector::{Scan, ScanRequest, SourceColumn};
use pintail_lake::quote::{self, identifier};
use pintail_lake::relation::Relation;
use pintail_model::{CursorType, CursorValue, KeyValue, LogicalType, Range};

use super::listing::Listing;
use super::relation::{footer_count, from};
use crate::guard::Guards;
use crate::keys::{self, Compared, Form, Keys};
use crate::sample::Kind;
use crate::text;

pub(super) fn scan(alias: &str, request: &ScanRequest) -> Scan {
    let mut guards = Guards::default();
    let columns: Vec<String> = request
        .columns
        .iter()
        .map(|read| {
            let value = value(&read.source, read.column.logical_type, &mut guards);
            format!("{value} as {}", identifier(&read.column.name))
        })
        .collect();
    let condition = condition(&request.range, &mut guards);
    let clause = match condition {
        Some(condition) => guards.clause_with(&condition),
        None => guards.clause(),
    };
    Scan {
        sql: format!(
            "select\n  {}\nfrom {} as t{clause}",
            columns.join(",\n  "),
            from(alias, &request.relation)
        ),
        pushed_down: None,
    }
}

/// A count of its own: for whole tables of Parquet, what the files themselves say, and for tables that Pintail wrote, what
/// it wrote down.
pub(super) fn count(alias: &str, relation: &Relation, range: &Range, listing: Option<&Listing>) -> String {
    let listing = listing.filter(|_| *range == Range::Whole && relation.query.is_none());
    match listing {
        Some(listing) if listing.format == FileFormat::Parquet && !listing.files.is_empty() => {
            return footer_count(listing);
        }
        Some(Listing {
            manifest: Some(manifest),
            ..
        }) => return format!("select {}::bigint as rows", manifest.rows()),
        _ => {}
    }
    let mut guards = Guards::default();
    let clause = match condition(range, &mut guards) {
        Some(condition) => guards.clause_with(&condition),
        None => String::new(),
    };
    format!(
        "select count(*) as rows from {} as t{clause}",
        from(alias, relation)
    )
}

/// The largest value of a column of integers.
pub(super) fn largest(alias: &str, relation: &Relation, column: &str) -> String {
    format!(
        "select max(try_cast(t.{} as bigint)) from {} as t",
        identifier(column),
        from(alias, relation)
    )
}

fn value(source: &SourceColumn, wanted: LogicalType, guards: &mut Guards) -> String {
    let column = format!("t.{}", identifier(&source.name));
    match source.logical_type {
        Some(own) if own == wanted => column,
        Some(LogicalType::Text) => {
            let reason = format!("column \"{}\" holds a value that is no {wanted}", source.name);
            text::strictly_typed(&column, wanted, &reason, guards)
        }
        _ => format!("{column}::{wanted}"),
    }
}

/// What rows have to meet; `None` for all of them.
fn condition(range: &Range, guards: &mut Guards) -> Option<String> {
    let column = |name: &str| format!("t.{}", identifier(name));
    match range {
        // Pages are no capability of files, and the planner reads capabilities.
        Range::Whole | Range::Pages { .. } => None,
        Range::Key {
            column: name,
            low,
            high,
            with_null,
        } => {
            let text = column(name);
            let number = typed_cursor(name, CursorType::Integer, guards);
            let bounds: Vec<String> = [(">=", low), ("<", high)]
                .into_iter()
                .filter_map(|(operator, bound)| Some(format!("{number} {operator} {}", (*bound)?)))
                .collect();
            match (bounds.is_empty(), with_null) {
                (true, true) => None,
                (true, false) => Some(format!("{text} is not null")),
                (false, true) => Some(format!("({} or {text} is null)", bounds.join(" and "))),
                (false, false) => Some(format!("({} and {text} is not null)", bounds.join(" and "))),
            }
        }
        Range::Cursor {
            column: name,
            low,
            high,
        } => {
            let value = typed_cursor(name, high.cursor_type(), guards);
            let low = low
                .map(|low| format!("{value} >= {} and ", literal(low)))
                .unwrap_or_default();
            Some(format!("coalesce({low}{value} < {}, false)", literal(*high)))
        }
        Range::CursorNull { column: name } => Some(format!("{} is null", column(name))),
        Range::Keys {
            columns,
            low,
            high,
            with_null,
        } => {
            let bounds = low.iter().chain(high).flat_map(|bound| columns.iter().zip(bound));
            for (name, value) in bounds {
                if let KeyValue::Number(number) = value {
                    typed_cursor(name, number.cursor_type(), guards);
                }
            }
            let keys = Keys {
                columns,
                low: low.as_deref(),
                high: high.as_deref(),
                with_null: *with_null,
            };
            keys.condition(Form::Steps, &compared, &column)
        }
        Range::Listed { column: name, values } => {
            let number = typed_cursor(name, CursorType::Integer, guards);
            Some(format!("{number} in ({})", keys::listed(values)))
        }
    }
}

/// A column beside a bound, as the engine compares them: texts by their bytes.
fn compared(name: &str, value: &KeyValue) -> Compared {
    let column = format!("t.{}", identifier(name));
    let (kind, value) = match value {
        KeyValue::Number(number) => (Kind::Number(number.cursor_type()), literal(*number)),
        KeyValue::Text(text) => (Kind::Text, quote::literal(text)),
        KeyValue::Uuid(uuid) => (Kind::Uuid, format!("{}::uuid", quote::literal(uuid))),
    };
    Compared {
        column: comparable(&column, kind),
        value,
    }
}

/// A column of the view as ranges compare it.
pub(super) fn comparable(column: &str, kind: Kind) -> String {
    match kind {
        Kind::Number(number) => format!("try_cast({column} as {})", cursor_type(number)),
        Kind::Text => format!("{column}::varchar"),
        Kind::Uuid => format!("try_cast({column} as uuid)"),
    }
}

fn literal(bound: CursorValue) -> String {
    format!("'{}'::{}", bound.text(), cursor_type(bound.cursor_type()))
}

fn cursor_type(cursor_type: CursorType) -> LogicalType {
    match cursor_type {
        CursorType::Integer => LogicalType::Int64,
        CursorType::Date => LogicalType::Date,
        CursorType::Timestamp => LogicalType::Timestamp,
        CursorType::TimestampTz => LogicalType::TimestampTz,
    }
}

/// A cursor as its type, whatever the file holds: a text that is none fails the scan, for it would be missed for ever.
fn typed_cursor(name: &str, wanted: CursorType, guards: &mut Guards) -> String {
    let column = format!("t.{}", identifier(name));
    let wanted = cursor_type(wanted);
    guards.fail_if(
        format!("{column} is not null and try_cast({column} as {wanted}) is null"),
        format!("column \"{name}\" holds a value that is no {wanted}"),
    );
    format!("try_cast({column} as {wanted})")
}
