//! Aggregates: a source whose rows are groups of rows of its table.
//!
//! A grouped relation has the columns of the column map and no others, under their names in the destination. Its key are
//! the columns that it is grouped by. Where its rows lie, how many they are and how their values are spread, nobody knows
//! before they are computed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pintail_lake::connector::{SourceColumn, TableDescription};
use pintail_lake::relation::{Output, OutputValue};
use pintail_model::{LogicalType, TableName};

use crate::relation::{optional_tables, unused};
use crate::shape::{Cursor, cursor_type_of, unit_micros};
use crate::spec::{ColumnSource, ColumnSpec, DeltaSpec, PipelineSpec};

/// A relation of groups, before it is a query.
pub(crate) struct Grouped {
    pub(crate) outputs: Vec<Output>,
    pub(crate) group_by: Vec<String>,
    pub(crate) table: TableDescription,
    /// Names of columns in the relation, by their names in the destination.
    pub(crate) names: BTreeMap<String, String>,
}

/// Lays out the groups of `main` and what is joined to it. Columns that do not exist are left to be complained about.
pub(crate) fn lay_out(spec: &PipelineSpec, main: &TableDescription, joined: &[TableDescription]) -> Grouped {
    let sources = Sources { spec, main, joined };
    let (optional, main_optional) = optional_tables(spec);
    let mut taken = BTreeSet::new();
    let mut grouped = Grouped {
        outputs: Vec::new(),
        group_by: Vec::new(),
        table: TableDescription {
            columns: Vec::new(),
            key: Vec::new(),
            rows: None,
            pages: None,
            bytes: None,
            storage_identity: None,
            indexed: Vec::new(),
            ..main.clone()
        },
        names: BTreeMap::new(),
    };
    for asked in &spec.columns {
        let (value, column) = match &asked.source {
            ColumnSource::Column(name) => (sources.own(name), main.column(name)),
            ColumnSource::Joined { qualifier, column } => {
                let value = OutputValue::Column {
                    alias: qualifier.clone(),
                    column: column.clone(),
                };
                (value, sources.joined(qualifier, column))
            }
            ColumnSource::Expression(sql) => {
                let value = OutputValue::Expression(sql.clone());
                grouped.add(spec, asked, value, sources.computed(sql), &mut taken);
                continue;
            }
            ColumnSource::RowHash => continue,
        };
        let Some(column) = column else {
            continue;
        };
        let nullable = match &asked.source {
            ColumnSource::Joined { qualifier, .. } => optional.contains(qualifier.as_str()),
            _ => main_optional,
        };
        let column = SourceColumn {
            nullable: nullable || column.nullable,
            histogram: Vec::new(),
            ..column.clone()
        };
        grouped.add(spec, asked, value, column, &mut taken);
    }
    grouped.table.key.clone_from(&grouped.group_by);
    grouped
}

impl Grouped {
    fn add(
        &mut self,
        spec: &PipelineSpec,
        asked: &ColumnSpec,
        value: OutputValue,
        column: SourceColumn,
        taken: &mut BTreeSet<String>,
    ) {
        let name = unused(&asked.dest, taken);
        if spec.source.group_by.contains(&asked.dest) {
            self.group_by.push(name.clone());
        }
        self.names.insert(asked.dest.clone(), name.clone());
        self.table.columns.push(SourceColumn {
            name: name.clone(),
            ..column
        });
        self.outputs.push(Output { name, value });
    }
}

/// What expressions are made of.
struct Sources<'a> {
    spec: &'a PipelineSpec,
    main: &'a TableDescription,
    joined: &'a [TableDescription],
}

impl Sources<'_> {
    fn own(&self, name: &str) -> OutputValue {
        let source = &self.spec.source;
        OutputValue::Column {
            alias: source.alias.as_deref().unwrap_or(&source.table.table).to_owned(),
            column: name.to_owned(),
        }
    }

    fn joined(&self, qualifier: &str, column: &str) -> Option<&SourceColumn> {
        let position = self
            .spec
            .source
            .joins
            .iter()
            .position(|join| join.qualifier() == qualifier)?;
        self.joined.get(position)?.column(column)
    }

    /// An expression, and the digits of a sum or an extreme, which the source may not tell: of `sum(x)` as many after the
    /// point as `x` has.
    fn computed(&self, sql: &str) -> SourceColumn {
        SourceColumn {
            name: String::new(),
            source_type: String::new(),
            logical_type: self.digits(sql),
            carrier: None,
            origin: None,
            nullable: true,
            identity: None,
            histogram: Vec::new(),
        }
    }

    fn digits(&self, sql: &str) -> Option<LogicalType> {
        let (function, rest) = sql.trim().split_once('(')?;
        let TableName { schema, table: name } = TableName::parse(rest.strip_suffix(')')?.trim())?;
        let column = match schema {
            Some(qualifier) => self
                .joined(&qualifier, &name)
                .or_else(|| self.main.column(&name).filter(|_| self.is_own(&qualifier))),
            None => self.main.column(&name),
        };
        match (function.trim().to_lowercase().as_str(), column?.logical_type?) {
            ("sum", LogicalType::Decimal { scale, .. }) => {
                Some(LogicalType::Decimal { precision: 38, scale })
            }
            ("sum", LogicalType::Int64) => Some(LogicalType::Decimal {
                precision: 38,
                scale: 0,
            }),
            ("min" | "max", number @ LogicalType::Decimal { .. }) => Some(number),
            _ => None,
        }
    }

    fn is_own(&self, qualifier: &str) -> bool {
        let source = &self.spec.source;
        source.alias.as_deref().unwrap_or(&source.table.table) == qualifier
    }
}

/// The cursor that tells which rows of the main table changed. It is no column of the groups.
///
/// # Errors
/// Why changed rows cannot be told, as the end of a sentence.
pub(crate) fn cursor(
    spec: &PipelineSpec,
    delta: Option<&DeltaSpec>,
    main: &TableDescription,
) -> Result<Cursor, String> {
    let delta = delta.ok_or("no `delta` strategy is enabled")?;
    let named = delta.column.as_deref().ok_or("the strategy names no `column`")?;
    let name = spec.source_column(named);
    let column = main
        .column(name)
        .ok_or_else(|| format!("the cursor `{name}` does not exist"))?;
    let cursor_type = column.logical_type.and_then(cursor_type_of).ok_or_else(|| {
        format!(
            "the cursor `{name}` is of type `{}`, and a delta follows integers, dates and timestamps",
            column.source_type
        )
    })?;
    Ok(Cursor {
        source: column.name.clone(),
        // No column of the destination has such a name.
        dest: String::new(),
        identity: column.identity.clone(),
        cursor_type,
        unit_micros: unit_micros(&column.source_type),
        nullable: column.nullable,
        chosen: false,
        of_main_table: true,
    })
}
