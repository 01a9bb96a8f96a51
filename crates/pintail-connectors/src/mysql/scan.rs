//! The SELECT that reads a range.
//!
//! There are two ways, and both deliver the same values:
//! - **scanned**: DuckDB's scanner, which reads row by row as they come. It can only name columns, and compare them
//!   with constants.
//! - **pushed down**: `mysql_query` with a SELECT of ours, which can cast. It holds the whole result in memory, so it is
//!   left to what the scanner cannot do: odd names, text of numbers and dates, decimals of more than 38 digits, rows
//!   without a cursor.
//!
//! A zero date arrives as NULL. In a column without NULL the engine sees that; of the others only MySQL can tell:
//! [`scan`] asks for the whole range, which takes as much memory as the result, and [`doubtful_scan`] leaves the
//! question open for rows with NULL.

use pintail_lake::Relation;
use pintail_lake::connector::{ColumnRead, Doubt, DoubtfulScan, Scan, ScanRequest};
use pintail_lake::quote::{self, identifier};
use pintail_model::{KeyValue, LogicalType, Range, TableName};

use super::predicate::{Reader, condition};
use super::quote::{from, identifier as named, plain_text, query};
use super::types::{Route, has_date, route};
use crate::guard::Guards;
use crate::labels::labels;

/// The engine hands filters of a caller on to MySQL, whose texts are equal when they differ in case, and whose floats
/// have six digits. A limit, be it that of all numbers, is a border for them.
const BORDER: &str = "\nlimit 9223372036854775807";

/// A time of day. MySQL's own goes from -838:59:59 to 838:59:59.
const TIME_OF_DAY: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?";

pub(super) fn count(alias: &str, relation: &Relation, range: &Range) -> String {
    let mut sql = format!("select count(*) as number from {}", from(relation));
    if let Some(condition) = condition(range, Reader::MySql, true) {
        sql.push_str(&format!(" where {condition}"));
    }
    format!("select number::bigint from {}", query(alias, &sql))
}

pub(super) fn scan(alias: &str, request: &ScanRequest) -> Scan {
    let reads = reads(&request.columns);
    if !by_scanner(request, &reads) {
        return pushed(alias, request, &reads);
    }
    let zeros: Vec<String> = reads
        .iter()
        .filter(|read| read.may_be_zero())
        .map(|read| is_zero(&read.request.source.name))
        .collect();
    let mut guards = Guards::default();
    if !zeros.is_empty() {
        let zero = format!("({})", zeros.join(" or "));
        let found = first(
            &request.relation,
            condition(&request.range, Reader::MySql, true),
            zero,
        );
        guards.fail_if(
            format!("(select count(*) from {}) > 0", query(alias, &found)),
            format!(
                "table \"{}\" holds a zero date, which no date can hold",
                request.relation.table
            ),
        );
    }
    scanned(alias, request, &reads, guards)
}

/// The scan without its question about zero dates, which hardly any table has.
pub(super) fn doubtful_scan(alias: &str, request: &ScanRequest) -> Option<DoubtfulScan> {
    let reads = reads(&request.columns);
    let doubts: Vec<Doubt> = reads
        .iter()
        .filter(|read| read.may_be_zero())
        .map(Read::doubt)
        .collect();
    if doubts.is_empty() || !by_scanner(request, &reads) {
        return None;
    }
    Some(DoubtfulScan {
        scan: scanned(alias, request, &reads, Guards::default()),
        doubts,
    })
}

/// Whether `column` holds a zero date, among the rows of `range`: those with one of `keys`, or all.
pub(super) fn confirm(
    alias: &str,
    relation: &Relation,
    range: &Range,
    column: &str,
    keys: Option<(&str, &[i64])>,
) -> String {
    let keys = keys.map(|(key, keys)| {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        format!("{} in ({})", named(key), keys.join(", "))
    });
    let conditions = condition(range, Reader::MySql, true).into_iter().chain(keys);
    let found = first(relation, conditions, is_zero(column));
    format!("select count(*) from {}", query(alias, &found))
}

/// A statement that finds a row for which `wanted` is true, among those that meet `conditions`.
fn first(relation: &Relation, conditions: impl IntoIterator<Item = String>, wanted: String) -> String {
    let conditions: Vec<String> = conditions.into_iter().chain([wanted]).collect();
    format!(
        "select 1 as found from {} where {} limit 1",
        from(relation),
        conditions.join(" and ")
    )
}

/// Compared as a number, since some modes refuse to read a zero date.
fn is_zero(column: &str) -> String {
    format!("{} = 0", named(column))
}

fn by_scanner(request: &ScanRequest, reads: &[Read<'_>]) -> bool {
    let TableName { schema, table } = &request.relation.table;
    let columns = reads.iter().map(|read| read.request.source.name.as_str());
    let names = schema
        .iter()
        .map(String::as_str)
        .chain([table.as_str()])
        .chain(columns);
    let in_engine = match &request.range {
        Range::CursorNull { .. } => false,
        // Texts are not equal to MySQL as they are to the engine, and several columns no scanner compares.
        Range::Keys { low, high, .. } => [low, high]
            .into_iter()
            .flatten()
            .all(|bound| matches!(bound.as_slice(), [KeyValue::Number(_)])),
        _ => true,
    };
    request.relation.query.is_none()
        && in_engine
        && reads.iter().all(|read| matches!(read.route, Route::Scanned(_)))
        && names.chain(column_of(&request.range)).all(is_quoted_right)
}

/// Whether DuckDB's scanner writes a name as MySQL reads it: it puts a backslash before what needs none.
pub(super) fn is_quoted_right(name: &str) -> bool {
    !name.contains(['`', '\\'])
}

fn column_of(range: &Range) -> Option<&str> {
    match range {
        Range::Whole | Range::Pages { .. } => None,
        Range::Key { column, .. }
        | Range::Cursor { column, .. }
        | Range::CursorNull { column }
        | Range::Listed { column, .. } => Some(column),
        Range::Keys { columns, .. } => columns.first().map(String::as_str),
    }
}

/// A column on its way.
struct Read<'a> {
    request: &'a ColumnRead,
    route: Route,
    /// What it is called between MySQL and DuckDB.
    label: String,
}

fn reads(columns: &[ColumnRead]) -> Vec<Read<'_>> {
    columns
        .iter()
        .zip(labels(columns))
        .map(|(request, label)| {
            let wanted = request.column.logical_type;
            // Whoever asks for what `reads_as` refused gets an error of the engine, not another value.
            let route = route(&request.source.source_type, wanted).unwrap_or(Route::AsText);
            Read {
                request,
                route,
                label,
            }
        })
        .collect()
}

fn scanned(alias: &str, request: &ScanRequest, reads: &[Read<'_>], mut guards: Guards) -> Scan {
    let nullable = column_of(&request.range).is_none_or(|column| {
        let source = reads
            .iter()
            .map(|read| &read.request.source)
            .find(|source| source.name == column);
        source.is_none_or(|source| source.nullable)
    });
    let outputs: Vec<String> = reads
        .iter()
        .map(|read| {
            read.output(
                &format!("s.{}", identifier(&read.request.source.name)),
                false,
                &mut guards,
            )
        })
        .collect();
    let table = quote::table(alias, &request.relation.table, "");
    let source = match condition(&request.range, Reader::Engine, nullable) {
        Some(condition) => format!("(select * from {table} as s where {condition})"),
        None => table,
    };
    Scan {
        sql: format!(
            "select\n  {}\nfrom {source} as s{}{BORDER}",
            outputs.join(",\n  "),
            guards.clause()
        ),
        pushed_down: None,
    }
}

fn pushed(alias: &str, request: &ScanRequest, reads: &[Read<'_>]) -> Scan {
    let columns: Vec<String> = reads
        .iter()
        .map(|read| format!("{} as {}", read.in_mysql(), named(&read.label)))
        .collect();
    let mut sql = format!("select {} from {}", columns.join(", "), from(&request.relation));
    if let Some(condition) = condition(&request.range, Reader::MySql, true) {
        sql.push_str(&format!(" where {condition}"));
    }
    let mut guards = Guards::default();
    let outputs: Vec<String> = reads
        .iter()
        .map(|read| read.output(&format!("s.{}", identifier(&read.label)), true, &mut guards))
        .collect();
    Scan {
        sql: format!(
            "select\n  {}\nfrom {} as s{}",
            outputs.join(",\n  "),
            query(alias, &sql),
            guards.clause()
        ),
        pushed_down: Some(sql),
    }
}

impl Read<'_> {
    /// Whether a NULL may stand for a zero date.
    fn may_be_zero(&self) -> bool {
        let source = &self.request.source;
        has_date(&source.source_type) && source.nullable && matches!(self.route, Route::Scanned(_))
    }

    fn doubt(&self) -> Doubt {
        Doubt {
            column: self.request.column.name.clone(),
            suspicious: format!("{} is null", identifier(&self.request.column.name)),
            reason: self.zero_date(),
        }
    }

    fn zero_date(&self) -> String {
        format!(
            "column \"{}\" holds a zero date, which no date can hold",
            self.request.source.name
        )
    }

    /// The column in a SELECT of ours. DuckDB takes the digits of a decimal from how wide it is shown, which misleads.
    fn in_mysql(&self) -> String {
        let name = named(&self.request.source.name);
        match self.route {
            Route::Scanned(LogicalType::Text) => plain_text(&name),
            Route::Scanned(LogicalType::Decimal { .. } | LogicalType::Date | LogicalType::Timestamp)
            | Route::AsText
            | Route::Number => plain_text(&format!("cast({name} as char)")),
            Route::Scanned(_) => name,
        }
    }

    /// The column as the destination wants it, and what must not be in it. `value` is the column in DuckDB.
    fn output(&self, value: &str, pushed: bool, guards: &mut Guards) -> String {
        use LogicalType as T;
        let source = &self.request.source;
        let wanted = self.request.column.logical_type;
        let arrives = match self.route {
            Route::AsText | Route::Number => T::Text,
            Route::Scanned(T::Decimal { .. } | T::Date | T::Timestamp) if pushed => T::Text,
            Route::Scanned(arrives) => arrives,
        };
        let mut typed = format!("{value}::{wanted}");
        match (arrives, wanted) {
            _ if arrives == wanted => value.clone_into(&mut typed),
            (T::Text, T::Decimal { scale, .. }) => guards.fail_if(
                // DuckDB rounds digits away when it reads a decimal, so they are counted before.
                format!("not regexp_full_match({value}, '-?[0-9]*([.][0-9]{{0,{scale}}}0*)?')"),
                format!(
                    "column \"{}\" holds a number that {wanted} cannot hold exactly",
                    source.name
                ),
            ),
            (T::Decimal { .. }, T::Decimal { .. }) => guards.fail_if(
                format!("{typed} <> {value}"),
                format!(
                    "column \"{}\" holds a number that {wanted} cannot hold exactly",
                    source.name
                ),
            ),
            // The engine would round a number, and cut the time off a date.
            (T::Text, whole) if whole.is_integer() => guards.fail_if(
                format!("not regexp_full_match({value}, '-?[0-9]+')"),
                format!("column \"{}\" holds a value that is no {wanted}", source.name),
            ),
            (T::Text, T::Date) => guards.fail_if(
                format!("length({value}) <> 10"),
                format!("column \"{}\" holds a value that is no {wanted}", source.name),
            ),
            (T::Text, T::Time) => guards.fail_if(
                format!("not regexp_full_match({value}, '{TIME_OF_DAY}')"),
                format!("column \"{}\" holds a time that is no time of day", source.name),
            ),
            (_, T::Boolean) => {
                guards.fail_if(
                    format!("{value} not in (0, 1)"),
                    format!("column \"{}\" holds a number that is no boolean", source.name),
                );
            }
            _ => {}
        }
        if has_date(&source.source_type) && wanted != T::Text {
            if arrives == T::Text {
                guards.fail_if(
                    format!("{value} is not null and try_cast({value} as date) is null"),
                    self.zero_date(),
                );
            } else if !source.nullable {
                guards.fail_if(format!("{value} is null"), self.zero_date());
            }
        }
        format!("{typed} as {}", identifier(&self.request.column.name))
    }
}
