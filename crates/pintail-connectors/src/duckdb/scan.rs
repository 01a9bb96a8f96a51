//! The SELECT that reads a range of a table that the engine itself holds: the range is a plain condition, so that
//! statistics of row groups and files leave out what lies elsewhere.

use pintail_lake::connector::{Scan, ScanRequest};
use pintail_lake::quote::{self, identifier};
use pintail_lake::relation::{Dialect, Relation};
use pintail_model::{CursorType, CursorValue, KeyValue, Range, TableName};

use super::types::read_as;
use crate::keys::{self, Compared, Form, Keys};

pub(crate) fn scan(alias: &str, request: &ScanRequest) -> Scan {
    let outputs: Vec<String> = request
        .columns
        .iter()
        .map(|read| {
            let value = format!("s.{}", identifier(&read.source.name));
            let wanted = read.column.logical_type;
            // Whoever asks for what `reads_as` refused gets an error of the engine, not another value.
            let typed = read_as(&read.source, wanted, &value)
                .unwrap_or_else(|| format!("error('cannot be read')::{wanted}"));
            format!("{typed} as {}", identifier(&read.column.name))
        })
        .collect();
    Scan {
        sql: format!(
            "select\n  {}\nfrom {}",
            outputs.join(",\n  "),
            rows(alias, &request.relation, &request.range)
        ),
        pushed_down: None,
    }
}

pub(crate) fn count(alias: &str, relation: &Relation, range: &Range) -> String {
    format!("select count(*) as rows from {}", rows(alias, relation, range))
}

/// A table of an attached database, or a query over it, in the engine's own words.
pub(crate) fn from(alias: &str, relation: &Relation) -> String {
    let name = |table: &TableName| quote::table(alias, table, "main");
    let dialect = Dialect {
        identifier: &identifier,
        table: &name,
    };
    relation
        .derived(&dialect, &[])
        .unwrap_or_else(|| name(&relation.table))
}

fn rows(alias: &str, relation: &Relation, range: &Range) -> String {
    let condition = condition(range).map_or_else(String::new, |condition| format!("\nwhere {condition}"));
    format!("{} as s{condition}", from(alias, relation))
}

fn condition(range: &Range) -> Option<String> {
    let parts = match range {
        // Pages are no capability here, and the planner reads capabilities.
        Range::Whole | Range::Pages { .. } => Vec::new(),
        Range::Key {
            column,
            low,
            high,
            with_null,
        } => {
            let column = format!("s.{}", identifier(column));
            let bounds: Vec<String> = [(">=", low), ("<", high)]
                .into_iter()
                .filter_map(|(operator, bound)| Some(format!("{column} {operator} {}", (*bound)?)))
                .collect();
            match (bounds.is_empty(), with_null) {
                (true, true) => Vec::new(),
                (true, false) => vec![format!("{column} is not null")],
                (false, true) => vec![format!("({} or {column} is null)", bounds.join(" and "))],
                (false, false) => bounds,
            }
        }
        Range::Cursor { column, low, high } => {
            let column = format!("s.{}", identifier(column));
            let low = low.map(|low| format!("{column} >= {}", bound(low)));
            low.into_iter()
                .chain([format!("{column} < {}", bound(*high))])
                .collect()
        }
        Range::CursorNull { column } => vec![format!("s.{} is null", identifier(column))],
        Range::Keys {
            columns,
            low,
            high,
            with_null,
        } => {
            let keys = Keys {
                columns,
                low: low.as_deref(),
                high: high.as_deref(),
                with_null: *with_null,
            };
            let name = |column: &str| format!("s.{}", identifier(column));
            keys.condition(Form::Steps, &compared, &name)
                .into_iter()
                .collect()
        }
        Range::Listed { column, values } => {
            vec![format!("s.{} in ({})", identifier(column), keys::listed(values))]
        }
    };
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// A column beside a bound, as the engine compares them: texts by their bytes, whatever order the column has.
fn compared(column: &str, value: &KeyValue) -> Compared {
    let column = format!("s.{}", identifier(column));
    let (column, value) = match value {
        KeyValue::Number(number) => (column, bound(*number)),
        KeyValue::Text(text) => (format!("{column} collate \"C\""), quote::literal(text)),
        KeyValue::Uuid(text) => (column, format!("{}::uuid", quote::literal(text))),
    };
    Compared { column, value }
}

fn bound(value: CursorValue) -> String {
    let type_name = match value.cursor_type() {
        CursorType::Integer => "bigint",
        CursorType::Date => "date",
        CursorType::Timestamp => "timestamp",
        CursorType::TimestampTz => "timestamptz",
    };
    format!("'{}'::{type_name}", value.text())
}
