//! Tables, with columns, keys, indexes and comments.

use pintail_lake::ledger::ledger_table;
use pintail_lake::quote::identifiers;
use pintail_lake::{Lake, Row};

use super::{Catalog, joined, split};
use crate::error::Result;
use crate::manifest::{ColumnEntry, ForeignKey, IndexEntry, TableSchema};

/// A table that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundTable {
    pub(crate) bucket: String,
    pub(crate) table: String,
    pub(crate) schema: TableSchema,
    pub(crate) ddl: String,
    pub(crate) comment: Option<String>,
    pub(crate) indexes: Vec<IndexEntry>,
}

impl FoundTable {
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.bucket, self.table)
    }

    /// Compares names as DuckDB does, without regard to case.
    pub(crate) fn named(&self, bucket: &str, table: &str) -> bool {
        self.bucket.eq_ignore_ascii_case(bucket) && self.table.eq_ignore_ascii_case(table)
    }
}

/// All tables of the database, by schema and name.
pub(crate) fn tables(catalog: Catalog<'_>) -> Result<Vec<FoundTable>> {
    let rows = catalog.rows(
        "tables",
        "select schema_name, table_name, comment, sql from duckdb_tables()
         where {here} and not internal and not temporary
         order by 1, 2",
    )?;
    let mut tables: Vec<FoundTable> = rows
        .iter()
        .map(|row| FoundTable {
            bucket: text(row, 0),
            table: text(row, 1),
            schema: TableSchema {
                columns: Vec::new(),
                primary_key: Vec::new(),
                foreign_keys: Vec::new(),
            },
            comment: row.text(2).map(str::to_owned),
            ddl: text(row, 3),
            indexes: Vec::new(),
        })
        .collect();
    // What Pintail writes down about its commits to a lake is no table of anybody's.
    if catalog.alias == Lake::NAME {
        let ledger = ledger_table();
        tables.retain(|found| !found.named(ledger.schema_or("main"), &ledger.table));
    }
    add_columns(catalog, &mut tables)?;
    add_keys(catalog, &mut tables)?;
    add_indexes(catalog, &mut tables)?;
    Ok(tables)
}

/// Gives each row to the table that its first two columns name.
fn each(tables: &mut [FoundTable], rows: &[Row], mut add: impl FnMut(&mut FoundTable, &Row)) {
    for row in rows {
        let (bucket, table) = (row.text(0).unwrap_or_default(), row.text(1).unwrap_or_default());
        let found = tables
            .binary_search_by(|found| (found.bucket.as_str(), found.table.as_str()).cmp(&(bucket, table)));
        if let Ok(index) = found {
            add(&mut tables[index], row);
        }
    }
}

fn add_columns(catalog: Catalog<'_>, tables: &mut [FoundTable]) -> Result<()> {
    let rows = catalog.rows(
        "columns",
        "select schema_name, table_name, column_name, data_type, comment, column_default
         from duckdb_columns()
         where {here} and not internal
         order by schema_name, table_name, column_index",
    )?;
    each(tables, &rows, |table, row| {
        let name = text(row, 2);
        // What makes a column generated stands in the statement alone.
        let generated = row.text(5).is_some() && generated(&table.ddl, &name);
        table.schema.columns.push(ColumnEntry {
            name,
            data_type: text(row, 3),
            stored_as: None,
            generated,
            comment: row.text(4).map(str::to_owned),
        });
    });
    Ok(())
}

/// Whether a table's statement computes the column from others.
fn generated(ddl: &str, column: &str) -> bool {
    crate::ddl::columns(ddl).iter().any(|(name, definition)| {
        name == column && crate::ddl::unquoted(definition).contains(" GENERATED ALWAYS AS")
    })
}

fn add_keys(catalog: Catalog<'_>, tables: &mut [FoundTable]) -> Result<()> {
    let rows = catalog.rows(
        "keys",
        &format!(
            "select schema_name, table_name, constraint_type, constraint_text, {}, referenced_table, {}
             from duckdb_constraints()
             where {{here}} and constraint_type in ('PRIMARY KEY', 'FOREIGN KEY')
             order by schema_name, table_name, constraint_index",
            joined("constraint_column_names"),
            joined("referenced_column_names"),
        ),
    )?;
    each(tables, &rows, |table, row| {
        let columns = split(row.text(4).unwrap_or_default());
        if row.text(2) == Some("PRIMARY KEY") {
            table.schema.primary_key = columns;
            return;
        }
        let key = ForeignKey {
            columns,
            references: text(row, 5),
            referenced_columns: split(row.text(6).unwrap_or_default()),
        };
        // DuckDB names the other table's schema here without quotes.
        table.ddl = table
            .ddl
            .replacen(row.text(3).unwrap_or_default(), &written(&key), 1);
        table.schema.foreign_keys.push(key);
    });
    Ok(())
}

fn written(key: &ForeignKey) -> String {
    format!(
        "FOREIGN KEY ({}) REFERENCES {} ({})",
        identifiers(&key.columns),
        identifiers(&[&key.references]),
        identifiers(&key.referenced_columns)
    )
}

fn add_indexes(catalog: Catalog<'_>, tables: &mut [FoundTable]) -> Result<()> {
    let rows = catalog.rows(
        "indexes",
        "select schema_name, table_name, index_name, sql, comment
         from duckdb_indexes()
         where {here} and sql is not null
         order by schema_name, table_name, index_name",
    )?;
    each(tables, &rows, |table, row| {
        table.indexes.push(IndexEntry {
            name: text(row, 2),
            ddl: text(row, 3),
            comment: row.text(4).map(str::to_owned),
        });
    });
    Ok(())
}

fn text(row: &Row, index: usize) -> String {
    row.text(index).unwrap_or_default().to_owned()
}
