//! The SELECT that reads a range: one statement of SQLite, wrapped by one of the engine that types and checks.

use pintail_lake::connector::{Scan, ScanRequest};
use pintail_lake::quote::{identifier, literal};
use pintail_lake::relation::{Dialect, Relation};
use pintail_model::{Range, TableName};

use super::range::{Cursor, ROWID, Split, split};
use super::value::Value;
use crate::guard::Guards;
use crate::labels::{labels, unused_label};

/// What DuckDB runs to get the result of a statement of SQLite. Every column is text.
pub(super) fn query(alias: &str, sql: &str) -> String {
    format!("sqlite_query({}, {})", literal(alias), literal(sql))
}

/// A table as SQLite names it.
pub(super) fn qualified(table: &TableName) -> String {
    format!(
        "{}.{}",
        identifier(table.schema_or("main")),
        identifier(&table.table)
    )
}

/// A relation in the FROM of SQLite. A query hands on the rowid of its main table if a range asks for that.
pub(super) fn from(relation: &Relation, range: &Range) -> String {
    let physical: &[&str] = match range {
        Range::Pages { .. } => &[ROWID],
        _ => &[],
    };
    let dialect = Dialect {
        identifier: &identifier,
        table: &qualified,
    };
    let rows = relation.derived(&dialect, physical);
    format!("{} as t", rows.unwrap_or_else(|| qualified(&relation.table)))
}

pub(super) fn scan(alias: &str, request: &ScanRequest) -> Scan {
    let values: Vec<Value<'_>> = request
        .columns
        .iter()
        .map(|read| Value::new(&read.source.name, read.column.logical_type))
        .collect();
    let labels = labels(&request.columns);
    let split = split(&request.range);
    let extra = Extra::new(&split, &values, &labels);
    let mut columns: Vec<String> = values
        .iter()
        .zip(&labels)
        .map(|(value, label)| format!("{} as {}", value.in_sqlite(), identifier(label)))
        .collect();
    columns.extend(extra.columns());
    let from = from(&request.relation, &request.range);
    let sql = statement(&from, &columns, &split);

    let mut guards = Guards::default();
    extra.guard(&mut guards);
    let outputs: Vec<String> = request
        .columns
        .iter()
        .zip(values.iter().zip(&labels))
        .map(|(read, (value, label))| {
            let typed = value.in_engine(&format!("s.{}", identifier(label)), &mut guards);
            format!("{typed} as {}", identifier(&read.column.name))
        })
        .collect();
    let mut clause = extra.clause(&mut guards);
    if extra.cursor.is_some() {
        // The engine is free to evaluate a caller's filter, such as a checksum, before this one, and on rows that this
        // one drops. A limit, be it that of all numbers, is a border for both.
        clause.push_str(&format!("\nlimit {}", i64::MAX));
    }
    Scan {
        sql: format!(
            "select\n  {}\nfrom {} as s{clause}",
            outputs.join(",\n  "),
            query(alias, &sql)
        ),
        pushed_down: Some(sql),
    }
}

pub(super) fn count(alias: &str, relation: &Relation, range: &Range) -> String {
    let (split, from) = (split(range), from(relation, range));
    let Some(cursor) = &split.cursor else {
        let sql = statement(&from, &["count(*) as rows".to_owned()], &split);
        return format!("select rows::bigint as rows from {}", query(alias, &sql));
    };
    if let Some(exactly) = cursor.exactly() {
        return count_in_sqlite(alias, &from, cursor, &exactly);
    }
    let extra = Extra::new(&split, &[], &[]);
    let sql = statement(&from, &extra.columns(), &split);
    let mut guards = Guards::default();
    extra.guard(&mut guards);
    let clause = extra.clause(&mut guards);
    format!("select count(*) as rows from {} as s{clause}", query(alias, &sql))
}

/// SQLite compares and counts. Odd values it hands to the engine, one by one, to be refused or compared there.
fn count_in_sqlite(alias: &str, from: &str, cursor: &Cursor<'_>, exactly: &str) -> String {
    let (column, odd) = (&cursor.value.column, cursor.odd());
    let sql = format!(
        "select case when {} then 1 end as refused, case when {odd} then {column} end as odd, count(*) as rows \
         from {from} where ({exactly} or {odd}) group by 1, 2",
        cursor.value.refused_by_sqlite()
    );
    let mut guards = Guards::default();
    guards.fail_because(
        "s.refused is not null".to_owned(),
        literal(&cursor.value.reason()),
    );
    let condition = cursor.in_engine("s.odd", &mut guards);
    let clause = guards.clause_with(&format!("(s.odd is null or {condition})"));
    format!(
        "select coalesce(sum(s.rows::bigint), 0)::bigint as rows from {} as s{clause}",
        query(alias, &sql)
    )
}

fn statement(from: &str, columns: &[String], split: &Split<'_>) -> String {
    let mut sql = format!("select {} from {from}", columns.join(", "));
    if let Some(condition) = &split.in_sqlite {
        sql.push_str(&format!(" where {condition}"));
    }
    sql
}

/// What the checks need beside the columns that are read.
struct Extra<'a> {
    /// Everything that is checked: the values that are read, and the cursor if it is none of them.
    checked: Vec<&'a Value<'a>>,
    /// The column that holds the number of the first value that SQLite refuses, from 1.
    refused: String,
    cursor: Option<CursorColumn<'a>>,
}

/// Where the text of the cursor is.
struct CursorColumn<'a> {
    cursor: &'a Cursor<'a>,
    label: String,
    /// Whether it is read for its own sake already.
    read: bool,
}

impl<'a> Extra<'a> {
    fn new(split: &'a Split<'a>, values: &'a [Value<'a>], labels: &[String]) -> Self {
        let cursor = split.cursor.as_ref().map(|cursor| {
            let read = values.iter().position(|value| value.same(&cursor.value));
            let label = read.map_or_else(|| unused_label("cursor", labels), |index| labels[index].clone());
            CursorColumn {
                cursor,
                label,
                read: read.is_some(),
            }
        });
        let alone = cursor
            .iter()
            .filter(|column| !column.read)
            .map(|column| &column.cursor.value);
        let checked = values.iter().chain(alone).collect();
        Self {
            checked,
            refused: unused_label("refused", labels),
            cursor,
        }
    }

    fn columns(&self) -> Vec<String> {
        let arms: Vec<String> = self
            .checked
            .iter()
            .enumerate()
            .map(|(index, value)| format!("when {} then {}", value.refused_by_sqlite(), index + 1))
            .collect();
        let refused = format!("case {} end as {}", arms.join(" "), identifier(&self.refused));
        let cursor = self.cursor.iter().filter(|column| !column.read).map(|column| {
            format!(
                "{} as {}",
                column.cursor.value.in_sqlite(),
                identifier(&column.label)
            )
        });
        [refused].into_iter().chain(cursor).collect()
    }

    /// The answers of SQLite come first: the engine must not try to read what SQLite refused.
    fn guard(&self, guards: &mut Guards) {
        let refused = format!("s.{}", identifier(&self.refused));
        let arms: Vec<String> = self
            .checked
            .iter()
            .enumerate()
            .map(|(index, value)| format!("when '{}' then {}", index + 1, literal(&value.reason())))
            .collect();
        guards.fail_because(
            format!("{refused} is not null"),
            format!("case {refused} {} end", arms.join(" ")),
        );
    }

    fn clause(&self, guards: &mut Guards) -> String {
        let Some(CursorColumn { cursor, label, read }) = &self.cursor else {
            return guards.clause();
        };
        let text = format!("s.{}", identifier(label));
        // A cursor that is read has its checks already.
        let mut spare = Guards::default();
        let condition = cursor.in_engine(&text, if *read { &mut spare } else { guards });
        guards.clause_with(&condition)
    }
}
