//! What becomes of a table in a lake, which holds fewer types than DuckDB and almost no constraints.
//!
//! A table that came from a lake is made as it was. One of a DuckDB file keeps names, NOT NULL, plain defaults and comments;
//! columns that a file keeps in another type have that type in the lake, and what else is lost is said.

use pintail_lake::quote::identifier;

use crate::ddl;
use crate::error::Result;
use crate::manifest::{ColumnEntry, Manifest, TableEntry};
use crate::table_file::TableFile;

/// A table as it is going to be in a lake.
pub(super) struct LakeTable<'a> {
    entry: &'a TableEntry,
    /// Its columns, with the types that they have there.
    columns: Vec<ColumnEntry>,
    /// What is lost, in words.
    pub(super) warnings: Vec<String>,
    of_lake: bool,
}

impl<'a> LakeTable<'a> {
    pub(super) fn of(manifest: &Manifest, entry: &'a TableEntry) -> Self {
        let of_lake = manifest.source.lake_snapshot.is_some();
        if of_lake {
            return Self {
                entry,
                columns: entry.schema.columns.clone(),
                warnings: Vec::new(),
                of_lake,
            };
        }
        let mut warnings = lost(entry);
        let mut columns = Vec::new();
        for column in &entry.schema.columns {
            let name = format!("{}.{}", entry.name(), column.name);
            if column.generated {
                warnings.push(format!("column \"{name}\" is computed from others, and left out"));
                continue;
            }
            let mut kept = column.clone();
            if let Some(stored) = kept.stored_as.take() {
                warnings.push(format!(
                    "column \"{name}\" is of type {stored} in the lake, and not of type {}",
                    column.data_type
                ));
                kept.data_type = stored;
            }
            columns.push(kept);
        }
        let mut table = Self {
            entry,
            columns,
            warnings,
            of_lake,
        };
        for column in &table.columns {
            if matches!(table.default(column), Some(Err(()))) {
                let name = format!("{}.{}", entry.name(), column.name);
                let lost =
                    format!("column \"{name}\" is restored without its default, which a lake cannot compute");
                table.warnings.push(lost);
            }
        }
        table
    }

    /// Its rows in a file.
    pub(super) fn file(&self) -> Result<TableFile> {
        TableFile::of(&self.entry.name(), &self.columns)
    }

    /// The statement that makes it.
    pub(super) fn ddl(&self, qualified: &str) -> String {
        if self.of_lake {
            return ddl::table_as(&self.entry.ddl, qualified);
        }
        let column = |column: &ColumnEntry| {
            let mut sql = format!("{} {}", identifier(&column.name), column.data_type);
            if let Some(Ok(default)) = self.default(column) {
                sql.push_str(&format!(" default {default}"));
            }
            if self.never_null(column) {
                sql.push_str(" not null");
            }
            sql
        };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        format!("create table {qualified} ({})", columns.join(", "))
    }

    /// Whether a table of the lake with this statement takes its rows as it is.
    pub(super) fn is_like(&self, ddl: &str) -> bool {
        self.of_lake && ddl == self.entry.ddl
    }

    /// The columns that are commented.
    pub(super) fn commented(&self) -> TableEntry {
        let mut entry = self.entry.clone();
        entry.schema.columns.clone_from(&self.columns);
        entry
    }

    fn definition(&self, column: &ColumnEntry) -> Option<String> {
        let definitions = ddl::columns(&self.entry.ddl);
        let found = definitions.iter().find(|(name, _)| *name == column.name);
        found.map(|(_, definition)| (*definition).to_owned())
    }

    fn never_null(&self, column: &ColumnEntry) -> bool {
        let key = self.entry.schema.primary_key.contains(&column.name);
        let said = |definition: String| ddl::unquoted(&definition).contains(" NOT NULL");
        key || self.definition(column).is_some_and(said)
    }

    /// The default of a column, if it has one that is not NULL; an error if it is no plain value.
    fn default(&self, column: &ColumnEntry) -> Option<std::result::Result<String, ()>> {
        let definition = self.definition(column)?;
        let default = ddl::default_of(&definition)?;
        if default.eq_ignore_ascii_case("null") {
            return None;
        }
        let text = default.len() > 1
            && default.starts_with('\'')
            && default.ends_with('\'')
            && !default[1..default.len() - 1].replace("''", "").contains('\'');
        let plain = text || default.parse::<f64>().is_ok();
        Some(if plain { Ok(default.to_owned()) } else { Err(()) })
    }
}

/// What a lake does not hold of a table's constraints and indexes.
fn lost(entry: &TableEntry) -> Vec<String> {
    let statement = ddl::unquoted(&entry.ddl);
    let mut lost = Vec::new();
    if !entry.schema.primary_key.is_empty() {
        lost.push("primary key");
    }
    if !entry.schema.foreign_keys.is_empty() {
        lost.push("foreign keys");
    }
    if statement.contains(" UNIQUE") {
        lost.push("unique constraints");
    }
    if statement.contains("CHECK(") || statement.contains("CHECK (") {
        lost.push("checks");
    }
    if !entry.indexes.is_empty() {
        lost.push("indexes");
    }
    match lost.as_slice() {
        [] => Vec::new(),
        lost => vec![format!(
            "table \"{}\" is restored without its {}, which a lake does not hold",
            entry.name(),
            lost.join(", ")
        )],
    }
}
