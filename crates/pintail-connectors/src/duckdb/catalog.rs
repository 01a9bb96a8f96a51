//! What the engine's own catalogue says about the tables of an attached database.

use jiff::Timestamp;
use pintail_lake::connector::{
    ListedTable, OldestTransaction, ReadPoint, SourceColumn, TableDescription, TableKind,
};
use pintail_lake::quote::{self, identifier, literal};
use pintail_lake::relation::Relation;
use pintail_lake::{Call, Result, Row, Session, origin};
use pintail_model::{CursorType, CursorValue, KeyValue, LogicalType, TableName};

use super::sample;
use super::types::home;
use crate::missing::missing_table;

/// Bytes of a value, about: tables of this kind do not tell their size cheaply.
const VALUE_BYTES: u64 = 8;

/// Where tables are looked for.
pub(crate) struct Catalog<'a> {
    pub(crate) session: &'a Session,
    /// The attached database.
    pub(crate) alias: &'a str,
    /// Its address, for people.
    pub(crate) address: &'a str,
    /// Whether columns remember where they came from.
    pub(crate) remembers: bool,
    /// A schema that is nobody's business.
    pub(crate) hidden_schema: Option<&'a str>,
}

impl Catalog<'_> {
    /// Tables and views, of one schema or of all.
    pub(crate) fn tables(&self, schema: Option<&str>) -> Result<Vec<ListedTable>> {
        let alias = literal(self.alias);
        let mut place = format!("database_name = {alias} and not internal");
        if let Some(schema) = schema {
            place.push_str(&format!(" and lower(schema_name) = lower({})", literal(schema)));
        }
        if let Some(hidden) = self.hidden_schema {
            place.push_str(&format!(" and schema_name <> {}", literal(hidden)));
        }
        let sql = format!(
            "select schema_name, table_name as name, false as view from duckdb_tables() where {place}
             union all
             select schema_name, view_name, true from duckdb_views() where {place}
             order by 1, 2"
        );
        let listed = |row: &Row| {
            Some(ListedTable {
                name: TableName::new(row.text(0)?, row.text(1)?),
                kind: if row.boolean(2) {
                    TableKind::View
                } else {
                    TableKind::Table
                },
            })
        };
        let rows = self.session.query(Call::new("list the tables"), &sql)?;
        Ok(rows.iter().filter_map(listed).collect())
    }

    /// Looks a table up. Names are compared as DuckDB does, without regard to case.
    pub(crate) fn describe(&self, table: &TableName) -> Result<TableDescription> {
        let same = |listed: &&ListedTable| {
            listed.name.table.eq_ignore_ascii_case(&table.table)
                && listed
                    .name
                    .schema_or("main")
                    .eq_ignore_ascii_case(table.schema_or("main"))
        };
        let tables = self.tables(None)?;
        let Some(found) = tables.iter().find(same) else {
            let known: Vec<TableName> = tables.into_iter().map(|listed| listed.name).collect();
            return Err(missing_table(self.address, table, &known));
        };
        let name = found.name.clone();
        let key = match found.kind {
            TableKind::Table => self.key(&name)?,
            TableKind::View => Vec::new(),
        };
        let rows = match found.kind {
            TableKind::Table => self.rows(&name)?,
            TableKind::View => None,
        };
        let columns = self.columns(&name, &key)?;
        let values = rows.map(|rows| rows.saturating_mul(columns.len() as u64));
        Ok(TableDescription {
            bytes: values.map(|values| values.saturating_mul(VALUE_BYTES)),
            rows,
            indexed: key.first().cloned().into_iter().collect(),
            key,
            name,
            identity: None,
            columns,
            pages: None,
            storage_identity: None,
        })
    }

    fn columns(&self, table: &TableName, key: &[String]) -> Result<Vec<SourceColumn>> {
        let sql = format!(
            "select column_name, data_type, is_nullable, comment from duckdb_columns() where {} order by column_index",
            self.of(table)
        );
        let found = self
            .session
            .query(Call::new("look up the columns of a table"), &sql)?;
        let mut columns = Vec::new();
        for row in &found {
            let (Some(name), Some(data_type)) = (row.text(0), row.text(1)) else {
                continue;
            };
            let logical_type = home(data_type);
            let histogram = match logical_type.and_then(cursor_type) {
                Some(cursor_type) if key.first().is_some_and(|first| first == name) => {
                    self.extremes(table, name, cursor_type)?
                }
                _ => Vec::new(),
            };
            columns.push(SourceColumn {
                name: name.to_owned(),
                source_type: data_type.to_owned(),
                logical_type,
                carrier: Some(LogicalType::Text).filter(|_| told_by_text(data_type)),
                origin: self
                    .remembers
                    .then(|| origin::read(row.text(3)?, data_type))
                    .flatten(),
                nullable: row.boolean(2),
                identity: None,
                histogram,
            });
        }
        Ok(columns)
    }

    /// The primary key, or else the first unique constraint without NULL.
    fn key(&self, table: &TableName) -> Result<Vec<String>> {
        // A constraint's columns one by one: a list has no place in a row of this session.
        let sql = format!(
            "select c.index, c.name from (
               select constraint_index as index, constraint_type as kind, unnest(constraint_column_names) as name,
                 unnest(range(len(constraint_column_names))) as position
               from duckdb_constraints()
               where {place} and constraint_type in ('PRIMARY KEY', 'UNIQUE')
             ) as c
             join duckdb_columns() as d on d.column_name = c.name and {of_column}
             qualify c.kind = 'PRIMARY KEY' or not bool_or(d.is_nullable) over (partition by c.index)
             order by c.kind = 'PRIMARY KEY' desc, c.index, c.position",
            place = self.of(table),
            of_column = self.of(table).replace("database_name", "d.database_name").replace("schema_name", "d.schema_name").replace("table_name", "d.table_name"),
        );
        let rows = self
            .session
            .query(Call::new("look up the key of a table"), &sql)?;
        let first = rows.first().and_then(|row| row.integer(0));
        let of_first = rows.iter().filter(|row| row.integer(0) == first);
        Ok(of_first
            .filter_map(|row| row.text(1).map(str::to_owned))
            .collect())
    }

    fn rows(&self, table: &TableName) -> Result<Option<u64>> {
        let sql = format!(
            "select estimated_size from duckdb_tables() where {}",
            self.of(table)
        );
        let rows = self
            .session
            .query(Call::new("look up the size of a table"), &sql)?;
        let number = rows.first().and_then(|row| row.integer(0));
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    /// Smallest and largest value of a column.
    fn extremes(&self, table: &TableName, column: &str, cursor_type: CursorType) -> Result<Vec<i64>> {
        let column = identifier(column);
        let sql = format!(
            "select min({column})::varchar, max({column})::varchar from {}",
            quote::table(self.alias, table, "main")
        );
        let rows = self
            .session
            .query(Call::new("look up the bounds of a column"), &sql)?;
        let bound = |index| {
            let text = rows.first()?.text(index)?;
            CursorValue::parse(cursor_type, text).map(CursorValue::number)
        };
        let mut bounds: Vec<i64> = [bound(0), bound(1)].into_iter().flatten().collect();
        bounds.dedup();
        Ok(bounds)
    }

    /// Bounds between parts of a table. What is asked of a view may take for ever.
    pub(crate) fn bounds(
        &self,
        relation: &Relation,
        columns: &[SourceColumn],
        parts: u64,
    ) -> Result<Vec<Vec<KeyValue>>> {
        let Some(total) = self.rows(&relation.table)? else {
            return Ok(Vec::new());
        };
        // The text of an enum is compared as the enum.
        let typed = |column: &SourceColumn| {
            let text = column.logical_type == Some(LogicalType::Text);
            (!text || column.source_type == "VARCHAR").then(|| identifier(&column.name))
        };
        let table = quote::table(self.alias, &relation.table, "main");
        sample::bounds(self.session, &table, Some(total), columns, parts, &typed)
    }

    /// The clock of this machine, and the largest value of a cursor of numbers. What has no zone is in UTC.
    pub(crate) fn read_point(
        &self,
        relation: &Relation,
        (cursor, cursor_type): (&str, CursorType),
        now: Timestamp,
        oldest: OldestTransaction,
    ) -> Result<ReadPoint> {
        let cursor_max = match cursor_type {
            CursorType::Integer => self.largest(relation, cursor)?,
            _ => None,
        };
        Ok(ReadPoint {
            now,
            zone_offset_micros: 0,
            time_zone: Some("UTC".to_owned()),
            oldest,
            cursor_max,
            seen_at: now,
        })
    }

    /// The largest value of an integer column.
    fn largest(&self, relation: &Relation, column: &str) -> Result<Option<i64>> {
        let sql = format!(
            "select max(s.{})::bigint from {} as s",
            identifier(column),
            super::scan::from(self.alias, relation)
        );
        let rows = self
            .session
            .query(Call::new("look up the largest cursor"), &sql)?;
        Ok(rows.first().and_then(|row| row.integer(0)))
    }

    fn of(&self, table: &TableName) -> String {
        format!(
            "database_name = {} and schema_name = {} and table_name = {}",
            literal(self.alias),
            literal(table.schema_or("main")),
            literal(&table.table)
        )
    }
}

fn cursor_type(logical_type: LogicalType) -> Option<CursorType> {
    match logical_type {
        kind if kind.is_integer() => Some(CursorType::Integer),
        LogicalType::Date => Some(CursorType::Date),
        LogicalType::Timestamp => Some(CursorType::Timestamp),
        LogicalType::TimestampTz => Some(CursorType::TimestampTz),
        _ => None,
    }
}

/// Whether the text of a value tells all of it. That of a union does not say which member it is.
fn told_by_text(data_type: &str) -> bool {
    !["UNION(", "VARIANT", "GEOMETRY"]
        .iter()
        .any(|part| data_type.contains(part))
}
