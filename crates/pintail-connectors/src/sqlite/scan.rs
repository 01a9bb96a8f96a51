//! The SELECT that reads a range: one statement of SQLite, wrapped by one of the engine that types and checks.

use pintail_lake::connector::{Scan, ScanRequest};
use pintail_lake::quote::{identifier, literal};
use pintail_model::{Range, TableName};

use super::range::{Split, split};
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

pub(super) fn scan(alias: &str, request: &ScanRequest) -> Scan {
    let values: Vec<Value<'_>> = request
        .columns
        .iter()
        .map(|read| Value::new(&read.source.name, read.column.logical_type))
        .collect();
    let labels = labels(&request.columns);
    let split = split(&request.range);
    let extra = Extra::beside(&labels);
    let mut columns: Vec<String> = values
        .iter()
        .zip(&labels)
        .map(|(value, label)| format!("{} as {}", value.in_sqlite(), identifier(label)))
        .collect();
    columns.extend(extra.columns(&split, &values));
    let sql = statement(&request.table, &columns, &split);

    let mut guards = Guards::default();
    extra.guard(&split, &values, &mut guards);
    let outputs: Vec<String> = request
        .columns
        .iter()
        .zip(values.iter().zip(&labels))
        .map(|(read, (value, label))| {
            let typed = value.in_engine(&format!("s.{}", identifier(label)), &mut guards);
            format!("{typed} as {}", identifier(&read.column.name))
        })
        .collect();
    let clause = extra.clause(&split, &mut guards);
    Scan {
        sql: format!(
            "select\n  {}\nfrom {} as s{clause}",
            outputs.join(",\n  "),
            query(alias, &sql)
        ),
        pushed_down: Some(sql),
    }
}

pub(super) fn count(alias: &str, table: &TableName, range: &Range) -> String {
    let split = split(range);
    if split.cursor.is_none() {
        let sql = statement(table, &["count(*) as rows".to_owned()], &split);
        return format!("select rows::bigint as rows from {}", query(alias, &sql));
    }
    let extra = Extra::beside(&[]);
    let sql = statement(table, &extra.columns(&split, &[]), &split);
    let mut guards = Guards::default();
    extra.guard(&split, &[], &mut guards);
    let clause = extra.clause(&split, &mut guards);
    format!("select count(*) as rows from {} as s{clause}", query(alias, &sql))
}

fn statement(table: &TableName, columns: &[String], split: &Split<'_>) -> String {
    let mut sql = format!("select {} from {} as t", columns.join(", "), qualified(table));
    if let Some(condition) = &split.in_sqlite {
        sql.push_str(&format!(" where {condition}"));
    }
    sql
}

/// Columns that only the checks need.
struct Extra {
    /// The number of the first value that SQLite refuses, from 1.
    refused: String,
    cursor: String,
}

impl Extra {
    fn beside(labels: &[String]) -> Self {
        Self {
            refused: unused_label("refused", labels),
            cursor: unused_label("cursor", labels),
        }
    }

    fn columns(&self, split: &Split<'_>, values: &[Value<'_>]) -> Vec<String> {
        let checked = values
            .iter()
            .chain(split.cursor.as_ref().map(|cursor| &cursor.value));
        let arms: Vec<String> = checked
            .enumerate()
            .map(|(index, value)| format!("when {} then {}", value.refused_by_sqlite(), index + 1))
            .collect();
        let refused = format!("case {} end as {}", arms.join(" "), identifier(&self.refused));
        let cursor = split
            .cursor
            .as_ref()
            .map(|cursor| format!("{} as {}", cursor.value.in_sqlite(), identifier(&self.cursor)));
        [refused].into_iter().chain(cursor).collect()
    }

    /// The answers of SQLite come first: the engine must not try to read what SQLite refused.
    fn guard(&self, split: &Split<'_>, values: &[Value<'_>], guards: &mut Guards) {
        let checked = values
            .iter()
            .chain(split.cursor.as_ref().map(|cursor| &cursor.value));
        for (index, value) in checked.enumerate() {
            guards.fail_if(
                format!("s.{} = '{}'", identifier(&self.refused), index + 1),
                value.reason(),
            );
        }
    }

    fn clause(&self, split: &Split<'_>, guards: &mut Guards) -> String {
        match &split.cursor {
            Some(cursor) => {
                let condition = cursor.in_engine(&format!("s.{}", identifier(&self.cursor)), guards);
                guards.clause_with(&condition)
            }
            None => guards.clause(),
        }
    }
}
