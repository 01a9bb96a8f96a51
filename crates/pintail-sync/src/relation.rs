//! The source of a pipeline laid out as a relation: its table as it is, or a query that joins, filters, computes and
//! groups.
//!
//! Columns of the main table keep their names, `name` of the table `c` becomes `c.name`, and an expression has its name
//! in the destination. Everything after this names columns so, and need not know where they come from. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pintail_lake::Relation;
use pintail_lake::connector::{SourceColumn, TableDescription};
use pintail_lake::relation::{Join, JoinKind, Output, OutputValue, Query};
use pintail_model::checksum;

use crate::grouping;
use crate::origin;
use crate::spec::{ColumnSource, ColumnSpec, PipelineSpec};

/// A source, laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// What is read.
    pub relation: Relation,
    /// What is known of it: every column that can be had, under its name in the relation. Columns that the relation
    /// does not have yet can be asked for, but are not read.
    pub table: TableDescription,
    /// The main table, where the rows of the relation are groups.
    pub main: Option<TableDescription>,
    /// Names of columns in the relation, by their names in the destination.
    names: BTreeMap<String, String>,
}

impl Layout {
    /// Lays out `main` and the tables that are joined to it, in the order of the pipeline.
    #[must_use]
    pub fn new(spec: &PipelineSpec, main: TableDescription, joined: Vec<TableDescription>) -> Self {
        let mut layout = Self {
            relation: (&main.name).into(),
            table: main,
            main: None,
            names: BTreeMap::new(),
        };
        let source = &spec.source;
        if !source.group_by.is_empty() {
            layout.group(spec, joined);
            return layout;
        }
        let plain =
            |column: &ColumnSpec| matches!(column.source, ColumnSource::Column(_) | ColumnSource::RowHash);
        if source.joins.is_empty() && source.filters.is_empty() && spec.columns.iter().all(plain) {
            return layout;
        }
        layout.widen(spec, joined);
        layout
    }

    /// The name of a mapped column in the relation.
    #[must_use]
    pub fn name_of<'a>(&'a self, column: &'a ColumnSpec) -> &'a str {
        match (self.names.get(&column.dest), &column.source) {
            (Some(name), _) | (None, ColumnSource::Column(name)) => name,
            (None, _) => &column.dest,
        }
    }

    /// Whether a mapped column of a joined table exists.
    #[must_use]
    pub fn knows(&self, column: &ColumnSpec) -> bool {
        self.names.contains_key(&column.dest)
    }

    /// Tells the expressions what the source said of their types.
    pub fn learn(&mut self, types: Vec<(String, Option<pintail_model::LogicalType>)>) {
        let names: Vec<String> = self
            .relation
            .expressions()
            .map(|(name, _)| name.to_owned())
            .collect();
        for (name, (source_type, logical_type)) in names.iter().zip(types) {
            if let Some(column) = self.table.columns.iter_mut().find(|column| column.name == *name) {
                column.source_type = source_type;
                column.logical_type = logical_type.or(column.logical_type);
                column.carrier = Some(pintail_model::LogicalType::Text);
            }
        }
    }

    /// One text for what is read: a watermark says nothing about rows that another query gives.
    #[must_use]
    pub fn identity(&self, place: &str) -> String {
        let table = format!("{place} {}", self.relation.table);
        let name = match &self.relation.query {
            None => table,
            Some(query) => {
                let hash = checksum::bytes_word(meaning(query).as_bytes());
                format!("{table}{QUERY}{hash:016x}")
            }
        };
        origin::text(&name, self.table.identity.as_deref())
    }

    /// Makes a query of the relation.
    fn widen(&mut self, spec: &PipelineSpec, joined: Vec<TableDescription>) {
        let source = &spec.source;
        let own = source.alias.as_deref().unwrap_or(&source.table.table);
        let (optional, main_optional) = optional_tables(spec);
        let mut outputs = Vec::new();
        for name in self.own_names(spec) {
            let value = OutputValue::Column {
                alias: own.to_owned(),
                column: name.clone(),
            };
            outputs.push(Output { name, value });
        }
        let mut taken: BTreeSet<String> = self
            .table
            .columns
            .iter()
            .map(|column| column.name.to_lowercase())
            .collect();
        if main_optional {
            // A row that has no partner in the main table has neither its place nor its key.
            self.table.pages = None;
            self.table.key = Vec::new();
            self.table
                .columns
                .iter_mut()
                .for_each(|column| column.nullable = true);
        }
        for (join, described) in source.joins.iter().zip(&joined) {
            for column in described.columns.iter().filter(|_| !spec.columns.is_empty()) {
                let name = unused(&format!("{}.{}", join.qualifier(), column.name), &mut taken);
                let asked = spec.columns.iter().filter(|asked| {
                    matches!(&asked.source, ColumnSource::Joined { qualifier, column: wanted }
                        if qualifier == join.qualifier() && *wanted == column.name)
                });
                let mut used = false;
                for asked in asked {
                    self.names.insert(asked.dest.clone(), name.clone());
                    used = true;
                }
                if used {
                    let value = OutputValue::Column {
                        alias: join.qualifier().to_owned(),
                        column: column.name.clone(),
                    };
                    let name = name.clone();
                    outputs.push(Output { name, value });
                }
                self.table.columns.push(SourceColumn {
                    name,
                    nullable: column.nullable || optional.contains(join.qualifier()),
                    // How the rows of the relation lie to its values, the joined table does not know.
                    histogram: Vec::new(),
                    ..column.clone()
                });
            }
        }
        for asked in &spec.columns {
            let ColumnSource::Expression(sql) = &asked.source else {
                continue;
            };
            let name = unused(&asked.dest, &mut taken);
            self.names.insert(asked.dest.clone(), name.clone());
            let value = OutputValue::Expression(sql.clone());
            outputs.push(Output {
                name: name.clone(),
                value,
            });
            self.table.columns.push(SourceColumn {
                name,
                source_type: String::new(),
                logical_type: None,
                carrier: None,
                origin: None,
                nullable: true,
                identity: None,
                histogram: Vec::new(),
            });
        }
        self.relation.query = Some(query(spec, joined, outputs, Vec::new()));
    }

    /// Makes a query of groups of the relation.
    fn group(&mut self, spec: &PipelineSpec, joined: Vec<TableDescription>) {
        let grouped = grouping::lay_out(spec, &self.table, &joined);
        self.main = Some(std::mem::replace(&mut self.table, grouped.table));
        self.names = grouped.names;
        self.relation.query = Some(query(spec, joined, grouped.outputs, grouped.group_by));
    }

    /// Columns of the main table that are read, or that ranges may name; those that do not exist are left to be
    /// complained about.
    fn own_names(&self, spec: &PipelineSpec) -> Vec<String> {
        let mut wanted: BTreeSet<&str> = self.table.key.iter().map(String::as_str).collect();
        wanted.extend(spec.columns.iter().filter_map(|column| column.source.column()));
        wanted.extend(
            spec.partition_column
                .as_deref()
                .map(|name| spec.source_column(name)),
        );
        let declared = spec
            .strategies
            .iter()
            .flat_map(|strategy| &strategy.primary_partitions);
        wanted.extend(declared.map(|partition| spec.source_column(&partition.column)));
        let all = spec.columns.is_empty();
        self.table
            .columns
            .iter()
            .map(|column| column.name.clone())
            .filter(|name| all || wanted.contains(name.as_str()))
            .collect()
    }
}

/// The query of a pipeline over the tables that it joins.
fn query(
    spec: &PipelineSpec,
    joined: Vec<TableDescription>,
    outputs: Vec<Output>,
    group_by: Vec<String>,
) -> Query {
    let source = &spec.source;
    let join = |(join, described): (&crate::spec::JoinSpec, TableDescription)| Join {
        table: described.name,
        alias: join.qualifier().to_owned(),
        on: join.on.clone(),
        kind: join.kind,
    };
    Query {
        alias: source.alias.as_deref().unwrap_or(&source.table.table).to_owned(),
        joins: source.joins.iter().zip(joined).map(join).collect(),
        filters: source.filters.clone(),
        outputs,
        group_by,
    }
}

/// What a query means, without the names that it gives.
fn meaning(query: &Query) -> String {
    if !query.group_by.is_empty() {
        let values: Vec<(&OutputValue, bool)> = query
            .outputs
            .iter()
            .map(|output| (&output.value, query.group_by.contains(&output.name)))
            .collect();
        return format!("{:?}", (&query.joins, &query.filters, values));
    }
    let expressions: Vec<&OutputValue> = query
        .outputs
        .iter()
        .map(|output| &output.value)
        .filter(|value| match value {
            OutputValue::Expression(_) => true,
            OutputValue::Column { alias, .. } => *alias != query.alias,
        })
        .collect();
    format!("{:?}", (&query.joins, &query.filters, expressions))
}

const QUERY: &str = " query ";

/// A source without what is said about its query.
#[must_use]
pub(crate) fn table_of(identity: &str) -> &str {
    let name = origin::name(identity);
    name.rsplit_once(QUERY).map_or(name, |(table, _)| table)
}

/// The joined tables whose columns may be NULL for want of a partner, and whether those of the main table may.
pub(crate) fn optional_tables(spec: &PipelineSpec) -> (BTreeSet<&str>, bool) {
    let (mut optional, mut before, mut main) = (BTreeSet::new(), Vec::new(), false);
    for join in &spec.source.joins {
        if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
            main = true;
            optional.extend(before.iter().copied());
        }
        if matches!(join.kind, JoinKind::Left | JoinKind::Full) {
            optional.insert(join.qualifier());
        }
        before.push(join.qualifier());
    }
    (optional, main)
}

/// Bytes that every system takes for a name.
const NAME_BYTES_MAX: usize = 63;

/// `wish`, or a name like it that is not taken.
pub(crate) fn unused(wish: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = wish.to_owned();
    let mut number = taken.len();
    while name.len() > NAME_BYTES_MAX || !taken.insert(name.to_lowercase()) {
        name = format!("c{number}");
        number += 1;
    }
    name
}
