//! One pipeline file.

use std::collections::BTreeSet;
use std::fmt::Write;

use pintail_config::{Connection, Location};
use pintail_lake::connector::{ColumnRead, TableKind};
use pintail_model::{LogicalType, TableName};
use serde_json::{Value, json};

use super::connections::{Connections, one_line};
use super::table::{Found, Surveyed};
use crate::yaml::literal;

/// A pipeline that is about to be written.
pub(super) struct Pipeline {
    /// Its name, and that of its file.
    pub(super) name: String,
    pub(super) text: String,
    table: String,
    key: Vec<String>,
    cursor: Option<String>,
    left_out: Vec<String>,
}

/// Names that are given already.
pub(super) struct Names {
    /// Whether names of tables alone tell them apart.
    one_schema: bool,
    /// The schema of tables in the destination, if there is one for all.
    schema: Option<String>,
    /// Whether the destination has schemas at all.
    schemas: bool,
    pipelines: BTreeSet<String>,
    tables: BTreeSet<String>,
}

impl Names {
    pub(super) fn new(surveyed: &[Surveyed], to: &Location) -> Self {
        let schemas: BTreeSet<_> = surveyed.iter().map(|table| &table.name.schema).collect();
        Self {
            one_schema: schemas.len() < 2,
            schema: to.datastore.schema.clone(),
            schemas: matches!(
                to.datastore.connection,
                Connection::Lake(_) | Connection::Server(_)
            ),
            pipelines: BTreeSet::new(),
            tables: BTreeSet::new(),
        }
    }

    /// A name for the pipeline of a table, which is the name of a file too.
    fn pipeline(&mut self, table: &TableName) -> String {
        let name = match &table.schema {
            Some(schema) if !self.one_schema => format!("{schema}.{}", table.table),
            _ => table.table.clone(),
        };
        let letter = |letter: char| {
            if letter.is_alphanumeric() || "_-.".contains(letter) {
                letter
            } else {
                '_'
            }
        };
        let name: String = name.chars().map(letter).take(60).collect();
        let name = name.trim_start_matches(['.', '-']);
        let name = if name.is_empty() { "table" } else { name };
        unused(name, &mut self.pipelines)
    }

    /// A name for the table in the destination.
    fn table(&mut self, table: &TableName) -> TableName {
        let schema = match (&self.schema, &table.schema) {
            (Some(schema), _) => Some(schema.clone()),
            (None, schema) => schema.clone().filter(|_| self.schemas),
        };
        let mut name = table.table.clone();
        let taken = |name: &str| format!("{}.{name}", schema.as_deref().unwrap_or_default()).to_lowercase();
        if self.tables.contains(&taken(&name))
            && let Some(schema) = &table.schema
        {
            name = format!("{schema}_{name}");
        }
        self.tables.insert(taken(&name));
        TableName { schema, table: name }
    }
}

/// `wish`, or with a number behind it. Some file systems do not tell names apart by case.
fn unused(wish: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{wish}_{number}"));
    let name = std::iter::once(wish.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(&name.to_lowercase()))
        .expect("numbers do not end");
    taken.insert(name.to_lowercase());
    name
}

impl Pipeline {
    pub(super) fn new(
        table: &Surveyed,
        found: &Found,
        names: &mut Names,
        connections: &Connections,
        (from, to): (&Location, &Location),
    ) -> Self {
        let mut pipeline = Self {
            name: names.pipeline(&table.name),
            text: String::new(),
            table: table.name.to_string(),
            key: found.shape.key.clone(),
            cursor: found.shape.followed().map(|cursor| cursor.source.clone()),
            left_out: found
                .refused
                .iter()
                .map(|refused| refused.column.clone())
                .collect(),
        };
        let what = match table.kind {
            TableKind::Table => "Table",
            TableKind::View => "View",
        };
        let target = names.table(&table.name);
        let _ = write!(
            pipeline.text,
            "# yaml-language-server: $schema=../schemas/pipeline.json\n\
             # {what} {} of {}, kept in {}. Written by `pintail init`; every key stands in docs/pipeline.md.\n\
             name: {}\n\n",
            one_line(&table.name.to_string()),
            one_line(&from.datastore.to_string()),
            one_line(&to.datastore.to_string()),
            literal(&pipeline.name),
        );
        for (side, end, name) in [
            ("source_provider", &connections.source, &table.name),
            ("destination_provider", &connections.destination, &target),
        ] {
            let _ = write!(
                pipeline.text,
                "{side}:\n  data_backend:\n    type: {}\n    datastore_name: {}\n",
                end.system,
                literal(&end.name)
            );
            match &name.schema {
                Some(schema) => {
                    let _ = writeln!(pipeline.text, "    schema: {}", literal(schema));
                    let _ = writeln!(pipeline.text, "    table: {}\n", literal(&name.table));
                }
                // Without a schema a name is read as SQL reads it.
                None => {
                    let _ = writeln!(pipeline.text, "    table: {}\n", literal(&in_sql(&name.table)));
                }
            }
        }
        let lake = matches!(to.datastore.connection, Connection::Lake(_));
        pipeline.columns(found, lake);
        pipeline.strategies(found);
        pipeline
    }

    fn columns(&mut self, found: &Found, lake: bool) {
        self.text.push_str(
            "# Columns that are not listed stay behind; `dest` gives one another name. `unique_column` marks the key.\n\
             column_map:\n",
        );
        for read in &found.shape.columns {
            let mut keys = format!("source: {}", literal(&in_sql(&read.source.name)));
            if let Some(words) = Some(read).filter(|_| lake).and_then(declared) {
                let _ = write!(keys, ", {words}");
            }
            if found.shape.key.contains(&read.column.name) {
                keys.push_str(", roles: [unique_column]");
            }
            let null = if read.source.nullable { "" } else { ", not null" };
            let _ = writeln!(
                self.text,
                "  - {{{keys}}}  # {}{null}",
                one_line(&read.source.source_type)
            );
        }
        for refused in &found.refused {
            let source = literal(&in_sql(&refused.column));
            let _ = write!(
                self.text,
                "  # {}. Left out, unless you choose:\n  # - {{source: {source}, data_type: text}}  # exactly as the source writes it\n",
                one_line(&refused.message)
            );
            if refused.number {
                let _ = writeln!(
                    self.text,
                    "  # - {{source: {source}, data_type: decimal, precision: 38, scale: 9}}  # an exact number; one that does not fit ends the run"
                );
            }
        }
        self.text.push('\n');
    }

    fn strategies(&mut self, found: &Found) {
        self.text.push_str("strategies:\n");
        match (found.shape.followed(), &found.shape.cursor) {
            (Some(cursor), _) => {
                let _ = write!(
                    self.text,
                    "  # What changed since the last run, as `{0}` tells: every change has to move it.\n\
                     \x20 - {{name: changes, type: delta, column: {1}}}\n",
                    one_line(&cursor.source),
                    literal(&in_sql(&cursor.source))
                );
            }
            (None, cursor) => {
                let why = match cursor {
                    Err(why) => why.as_str(),
                    Ok(_) => "the table has no primary key",
                };
                let _ = write!(
                    self.text,
                    "  # No delta: {}. With a key and a column that every change moves:\n\
                     \x20 # - {{name: changes, type: delta, column: updated_at}}\n",
                    one_line(why)
                );
            }
        }
        self.text.push_str(
            "  # Every row, as one replacement of the table.\n  - {name: everything, type: full}\n",
        );
    }

    /// What was chosen, in one line.
    pub(super) fn line(&self) -> String {
        let mut parts = vec![match self.key.as_slice() {
            [] => "no key".to_owned(),
            key => format!("key {}", key.join(", ")),
        }];
        parts.push(match &self.cursor {
            Some(cursor) => format!("follows {cursor}"),
            None => "full loads".to_owned(),
        });
        if !self.left_out.is_empty() {
            parts.push(format!("without {}", self.left_out.join(", ")));
        }
        format!("{}  {}", self.table, parts.join(" · "))
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "name": self.name,
            "table": self.table,
            "key": self.key,
            "cursor": self.cursor,
            "left_out": self.left_out,
        })
    }
}

/// `data_type` and what belongs to it, for types that have a word.
fn declared(read: &ColumnRead) -> Option<String> {
    use LogicalType as T;
    let word = match read.column.logical_type {
        T::Boolean => "boolean",
        T::Int16 => "smallint",
        T::Int32 => "int",
        T::Int64 => "bigint",
        T::Float32 => "float",
        T::Float64 => "double",
        T::Decimal { precision, scale } => {
            return Some(format!(
                "data_type: decimal, precision: {precision}, scale: {scale}"
            ));
        }
        T::Text => "text",
        T::Bytes => "bytes",
        T::Date => "date",
        T::Time => "time",
        T::Timestamp => "timestamp",
        T::TimestampTz => "timestamptz",
        T::Uuid => "uuid",
        T::Json => "json",
        _ => return None,
    };
    Some(format!("data_type: {word}"))
}

/// A name as it stands in SQL: in double quotes, where it holds more than letters, digits and `_`.
fn in_sql(name: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || letter == '_';
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
