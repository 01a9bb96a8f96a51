//! The SELECT that reads a range.
//!
//! There are two ways, and both deliver the same values:
//! - **whole**: DuckDB's scanner, which reads a table over several connections at once. It can only name columns.
//! - **pushed down**: `postgres_query` with a SELECT of ours, over one connection. It takes ranges and casts.
//!
//! The scanner delivers two kinds of value as another one, in silence. Both become errors here:
//! - `NaN` in a `numeric` arrives as 0. Only Postgres can tell: [`scan`] makes it refuse such rows, which it has to
//!   look at one by one; [`doubtful_scan`] leaves the question open for rows with 0.
//! - A timestamp after the year 294246 wraps around to one before 290000 BC. Postgres has nothing that early, so the
//!   engine sees it. (Two microseconds of the year 294247 would become an infinity; they are taken for one.)

use pintail_lake::connector::{ColumnRead, Doubt, DoubtfulScan, Scan, ScanRequest};
use pintail_lake::quote::{self, identifier, literal};
use pintail_lake::relation::{Dialect, Relation};
use pintail_model::{Element, LogicalType, Range, TableName};

use super::array;
use super::predicate::condition;
use super::types::{Route, known_to_scanner, route};
use crate::guard::Guards;
use crate::labels::{labels, unused_label};

/// What DuckDB runs to get the result of a statement of Postgres.
pub(super) fn query(alias: &str, sql: &str) -> String {
    format!("postgres_query({}, {})", literal(alias), literal(sql))
}

pub(super) fn count(alias: &str, relation: &Relation, range: &Range) -> String {
    let mut sql = format!("select count(*) as rows from {}", from(relation, range));
    if let Some(condition) = condition(range) {
        sql.push_str(&format!(" where {condition}"));
    }
    format!("select rows from {}", query(alias, &sql))
}

pub(super) fn scan(alias: &str, request: &ScanRequest) -> Scan {
    let reads = reads(&request.columns);
    if by_scanner(request, &reads) {
        whole(alias, request, &reads, look_for_nan(alias, request, &reads))
    } else {
        let refusals: Vec<String> = reads.iter().filter_map(Read::refuse_nan).collect();
        pushed(alias, request, &reads, &refused(&refusals))
    }
}

/// The scan of those rows that meet a condition, without its question about NaN: see [`doubtful_scan`].
pub(super) fn scan_where(alias: &str, request: &ScanRequest, condition: &str) -> Scan {
    pushed(alias, request, &reads(&request.columns), &[condition.to_owned()])
}

/// A condition that all rows meet, but for those that are refused.
fn refused(refusals: &[String]) -> Vec<String> {
    match refusals {
        [] => Vec::new(),
        refusals => vec![format!("case {} else true end", refusals.join(" "))],
    }
}

/// The scan without its question about NaN. A NaN arrives as 0, so only rows with 0 are in doubt: hardly any in most
/// tables, and Postgres finds them by their key.
pub(super) fn doubtful_scan(alias: &str, request: &ScanRequest) -> Option<DoubtfulScan> {
    let reads = reads(&request.columns);
    let numbers = || reads.iter().filter(|read| read.may_be_nan());
    numbers().next()?;
    let doubt = |read: &Read<'_>| Doubt {
        column: read.request.column.name.clone(),
        suspicious: format!("{} = 0", identifier(&read.request.column.name)),
        reason: format!(
            "column \"{}\" holds NaN, which a decimal cannot hold",
            read.request.source.name
        ),
    };
    let scan = if by_scanner(request, &reads) {
        whole(alias, request, &reads, Guards::default())
    } else {
        pushed(alias, request, &reads, &[])
    };
    Some(DoubtfulScan {
        scan,
        doubts: numbers().map(doubt).collect(),
    })
}

/// Whether a number of `column` is NaN, among the rows of `range`: those with one of `keys`, or all.
pub(super) fn confirm(
    alias: &str,
    relation: &Relation,
    range: &Range,
    column: &str,
    keys: Option<(&str, &[i64])>,
) -> String {
    let named = keys.map(|(key, keys)| {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        format!("{} in ({})", identifier(key), keys.join(", "))
    });
    let conditions: Vec<String> = condition(range)
        .into_iter()
        .chain(named)
        .chain([is_nan(&identifier(column))])
        .collect();
    let sql = format!(
        "select 1 as found from {} where {} limit 1",
        from(relation, range),
        conditions.join(" and ")
    );
    format!("select count(*) from {}", query(alias, &sql))
}

fn by_scanner(request: &ScanRequest, reads: &[Read<'_>]) -> bool {
    let known =
        |read: &Read<'_>| matches!(read.route, Route::Native(_)) && known_to_scanner(&read.request.source);
    let whole_table = request.relation.query.is_none() && request.range == Range::Whole;
    whole_table && reads.iter().all(known)
}

/// A column on its way.
struct Read<'a> {
    request: &'a ColumnRead,
    route: Route,
    /// What it is called between Postgres and DuckDB.
    label: String,
}

fn reads(columns: &[ColumnRead]) -> Vec<Read<'_>> {
    columns
        .iter()
        .zip(labels(columns))
        .map(|(request, label)| {
            // Whoever asks for what `reads_as` refused gets an error of the engine, not another value.
            let route = route(&request.source, request.column.logical_type).unwrap_or(Route::AsText);
            Read {
                request,
                route,
                label,
            }
        })
        .collect()
}

fn whole(alias: &str, request: &ScanRequest, reads: &[Read<'_>], mut guards: Guards) -> Scan {
    let mut outputs = Vec::new();
    for read in reads {
        let value = format!("s.{}", identifier(&read.request.source.name));
        outputs.push(read.output(&value, &mut guards));
    }
    Scan {
        sql: format!(
            "select\n  {}\nfrom {} as s{}",
            outputs.join(",\n  "),
            quote::table(alias, &request.relation.table, "public"),
            guards.clause()
        ),
        pushed_down: None,
    }
}

/// Lets a whole scan fail if a number is NaN, which takes a pass over the table.
fn look_for_nan(alias: &str, request: &ScanRequest, reads: &[Read<'_>]) -> Guards {
    let mut guards = Guards::default();
    let numbers: Vec<String> = reads
        .iter()
        .filter(|read| read.may_be_nan())
        .map(|read| format!("({})", is_nan(&identifier(&read.request.source.name))))
        .collect();
    if !numbers.is_empty() {
        let probe = format!(
            "select 1 as found from {} where {} limit 1",
            qualified(&request.relation.table),
            numbers.join(" or ")
        );
        guards.fail_if(
            format!("(select count(*) from {}) > 0", query(alias, &probe)),
            format!(
                "table \"{}\" holds NaN in a numeric column, which a decimal cannot hold",
                request.relation.table
            ),
        );
    }
    guards
}

fn pushed(alias: &str, request: &ScanRequest, reads: &[Read<'_>], more: &[String]) -> Scan {
    let mut guards = Guards::default();
    let misshapen = array::Misshapen::new(reads.iter().map(|read| (read.request, read.route)));
    let refused = unused_label(
        "refused",
        &reads.iter().map(|read| read.label.clone()).collect::<Vec<_>>(),
    );
    let columns: Vec<String> = reads
        .iter()
        .map(Read::in_postgres)
        .chain(misshapen.in_postgres(&refused))
        .collect();
    misshapen.guard(&format!("s.{}", identifier(&refused)), &mut guards);
    let conditions: Vec<String> = condition(&request.range)
        .into_iter()
        .chain(more.iter().cloned())
        .collect();
    let mut sql = format!(
        "select {} from {}",
        columns.join(", "),
        from(&request.relation, &request.range)
    );
    if !conditions.is_empty() {
        sql.push_str(&format!(" where {}", conditions.join(" and ")));
    }
    let outputs: Vec<String> = reads
        .iter()
        .map(|read| read.output(&format!("s.{}", identifier(&read.label)), &mut guards))
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
    fn may_be_nan(&self) -> bool {
        matches!(self.route, Route::Native(LogicalType::Decimal { .. }))
    }

    fn in_postgres(&self) -> String {
        let name = identifier(&self.request.source.name);
        let label = identifier(&self.label);
        match self.route {
            Route::Native(_) | Route::Array(_) if name == label => name,
            Route::Native(_) | Route::Array(_) => format!("{name} as {label}"),
            Route::Nested { .. } => format!("array_to_json({name}::text[])::text as {label}"),
            Route::AsText | Route::Number => format!("{name}::text as {label}"),
        }
    }

    /// An arm that is never false, but fails on NaN: Postgres cannot convert it to an integer, and says so without a
    /// value.
    fn refuse_nan(&self) -> Option<String> {
        let name = identifier(&self.request.source.name);
        self.may_be_nan()
            .then(|| format!("when {} then {name}::bigint is null", is_nan(&name)))
    }

    /// The column as the destination wants it, and what must not be in it. `value` is the column in DuckDB.
    fn output(&self, value: &str, guards: &mut Guards) -> String {
        let wanted = self.request.column.logical_type;
        let name = &self.request.source.name;
        let arrives_as = match self.route {
            // DuckDB's scanner delivers JSON as text.
            Route::Native(LogicalType::Json) | Route::AsText | Route::Number => LogicalType::Text,
            Route::Native(home) => home,
            Route::Array(element) => LogicalType::List { element, depth: 1 },
            Route::Nested { .. } => wanted,
        };
        match (self.route, wanted) {
            (Route::Native(LogicalType::Timestamp | LogicalType::TimestampTz), _) => guards.fail_if(
                wrapped(value, arrives_as),
                format!("column \"{name}\" holds a time after the year 294246, which the engine cannot hold"),
            ),
            (Route::Array(element @ (Element::Timestamp | Element::TimestampTz)), _) => guards.fail_if(
                format!(
                    "len(list_filter({value}, lambda x: {})) > 0",
                    wrapped("x", element.logical_type())
                ),
                format!("column \"{name}\" holds a time after the year 294246, which the engine cannot hold"),
            ),
            // DuckDB rounds digits away when it reads a decimal, so they are counted before.
            (Route::Number, LogicalType::Decimal { scale, .. }) => guards.fail_if(
                format!("not regexp_full_match({value}, '-?[0-9]+([.][0-9]{{0,{scale}}}0*)?')"),
                format!("column \"{name}\" holds a number that {wanted} cannot hold exactly"),
            ),
            _ => {}
        }
        let typed = match self.route {
            Route::Nested { element, depth } => array::in_engine(value, element, depth),
            _ if arrives_as == wanted => value.to_owned(),
            _ => format!("{value}::{wanted}"),
        };
        format!("{typed} as {}", identifier(&self.request.column.name))
    }
}

/// Whether a time is one that wrapped around.
fn wrapped(value: &str, logical_type: LogicalType) -> String {
    format!("{value} < '5000-01-01 (BC) 00:00:00'::{logical_type} and isfinite({value})")
}

/// Whether a number is NaN, for Postgres. Stored, a NaN takes 3 bytes or, with a long header, 6; tables that were
/// upgraded ever since version 9.0 may have it in 5 or 8. Few other numbers are that short: the comparison, which has to
/// unpack the number, runs for few rows and the test takes half the time.
fn is_nan(name: &str) -> String {
    format!("pg_column_size({name}) in (3, 5, 6, 8) and {name} = 'NaN'")
}

/// A relation in the FROM of Postgres. A query over a table hands on where its rows lie if a range asks for that.
pub(super) fn from(relation: &Relation, range: &Range) -> String {
    let physical: &[&str] = match range {
        Range::Pages { .. } => &["ctid"],
        _ => &[],
    };
    let dialect = Dialect {
        identifier: &identifier,
        table: &qualified,
    };
    match relation.derived(&dialect, physical) {
        Some(query) => format!("{query} as s"),
        None => qualified(&relation.table),
    }
}

/// A table as Postgres names it. Double quotes mean the same there as in DuckDB.
pub(super) fn qualified(table: &TableName) -> String {
    match &table.schema {
        Some(schema) => format!("{}.{}", identifier(schema), identifier(&table.table)),
        None => identifier(&table.table),
    }
}
