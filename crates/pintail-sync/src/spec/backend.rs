//! The two sides of a pipeline: `source_provider` and `destination_provider`.

use pintail_config::decode::{Decoder, Fields, boolean, list, one_of, text};
use pintail_config::nearest::did_you_mean;
use pintail_config::{Datastore, Datastores, Node, Position};
use pintail_lake::relation::JoinKind;
use pintail_model::TableName;

use super::snippet::snippet;
use super::unbuilt::Collected;

/// `data_backend`: one table of one datastore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendSpec {
    /// `type`: the system, the same as in the datastores file.
    pub system: String,
    /// `datastore_name`: the datastore, by its name in the datastores file.
    pub datastore: String,
    /// `table` and `schema`: the table. Without `schema` the one of the datastore, and without that the system's.
    pub table: TableName,
    /// `alias`: the table's name in `column_map`, `filters` and `join`.
    pub alias: Option<String>,
    /// `join`: tables that add columns to the source, in order.
    pub joins: Vec<JoinSpec>,
    /// `filters`: conditions in SQL of the source, all of which a row has to meet.
    pub filters: Vec<String>,
    /// `group_by`: columns of the pipeline, by their names in the destination, by whose values rows become groups. Every
    /// other column is an aggregate then. Only of an aggregate pipeline.
    pub group_by: Vec<String>,
    /// `supports_update`: whether rows that are in the destination may be changed or removed. Default `true`. With
    /// `false` rows are only ever added.
    pub supports_update: Option<bool>,
    /// `partition_by`: columns of the destination whose values become folders, where it consists of files. Default: what
    /// the datastore says.
    pub partition_by: Option<Vec<String>>,
}

/// One entry of `join`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinSpec {
    /// `table` and `schema`. Without `schema` that of the source's own table.
    pub table: TableName,
    /// `alias`: its name in `column_map` and `on`.
    pub alias: Option<String>,
    /// `on`: the condition, in SQL.
    pub on: String,
    /// `type`: the kind of join. Default `inner`, as in SQL.
    pub kind: JoinKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

impl BackendSpec {
    /// Every name that stands for a table here: the alias or the table's own name, and those of the joins.
    pub(super) fn qualifiers(&self) -> impl Iterator<Item = &str> {
        let own = self.alias.as_deref().unwrap_or(&self.table.table);
        std::iter::once(own).chain(self.joins.iter().map(JoinSpec::qualifier))
    }
}

impl JoinSpec {
    /// Its name in conditions and expressions.
    #[must_use]
    pub fn qualifier(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.table.table)
    }
}

/// Reads `source_provider` or `destination_provider`.
pub(super) fn read_provider(
    node: &Node,
    decoder: &mut Decoder,
    side: Side,
    datastores: Option<&Datastores>,
    unbuilt: &mut Collected,
) -> Option<BackendSpec> {
    let mut fields = decoder.fields(node)?;
    let backend = fields.required("data_backend", |node, decoder| {
        read(node, decoder, side, datastores, unbuilt)
    });
    fields.finish();
    backend
}

fn read(
    node: &Node,
    decoder: &mut Decoder,
    side: Side,
    datastores: Option<&Datastores>,
    unbuilt: &mut Collected,
) -> Option<BackendSpec> {
    let mut fields = decoder.fields(node)?;
    let group_by = match side {
        Side::Source => fields.optional("group_by", list(text)).unwrap_or_default(),
        Side::Destination => {
            fields.refuse("group_by", "belongs to the source");
            Vec::new()
        }
    };
    let spec = read_fields(&mut fields, side, datastores, unbuilt);
    fields.finish();
    Some(BackendSpec { group_by, ..spec? })
}

/// Reads what both shapes of a configuration say of a table.
pub(super) fn read_fields(
    fields: &mut Fields<'_, '_>,
    side: Side,
    datastores: Option<&Datastores>,
    unbuilt: &mut Collected,
) -> Option<BackendSpec> {
    let name = fields.required("datastore_name", |node, decoder| {
        let name = text(node, decoder)?;
        check_exists(&name, node, decoder, datastores);
        Some(name)
    });
    let datastore = name.as_deref().and_then(|name| datastores?.get(name));
    let system = fields.required("type", |node, decoder| {
        let system = pintail_config::datastores::system_name(node, decoder)?;
        if let Some(datastore) = datastore {
            if datastore.system == system.name {
                note_unbuilt(datastore, side, node.position, unbuilt);
            } else {
                let message = format!("datastore `{}` is of type `{}`", datastore.name, datastore.system);
                decoder.problem_with_hint(
                    node.position,
                    message,
                    Some(format!("write `type: {}`", datastore.system)),
                );
            }
        }
        Some(system.name.to_owned())
    });
    let table = read_table(fields);
    let alias = fields.optional("alias", text);
    let (mut joins, mut filters) = (Vec::new(), Vec::new());
    let (mut supports_update, mut partition_by) = (None, None);
    match side {
        Side::Source => {
            joins = fields.optional("join", list(read_join)).unwrap_or_default();
            filters = fields.optional("filters", list(snippet)).unwrap_or_default();
            for key in ["supports_update", "partition_by"] {
                fields.refuse(key, "belongs to the destination");
            }
        }
        Side::Destination => {
            for key in ["join", "filters"] {
                fields.refuse(key, "belongs to the source");
            }
            supports_update = fields.optional("supports_update", boolean);
            partition_by = read_partition_by(fields, datastore);
        }
    }
    let mut table = table?;
    if table.schema.is_none() {
        table.schema = datastore.and_then(|datastore| datastore.schema.clone());
    }
    for join in &mut joins {
        let schema = &mut join.table.schema;
        *schema = schema.take().or_else(|| table.schema.clone());
    }
    Some(BackendSpec {
        system: system?,
        datastore: name?,
        table,
        alias,
        joins,
        filters,
        group_by: Vec::new(),
        supports_update,
        partition_by,
    })
}

/// `partition_by`, which only files have.
fn read_partition_by(fields: &mut Fields<'_, '_>, datastore: Option<&Datastore>) -> Option<Vec<String>> {
    if datastore.is_some_and(|datastore| datastore.files().is_none()) {
        fields.refuse("partition_by", "belongs to a destination of files");
        return None;
    }
    fields.optional("partition_by", pintail_config::datastores::partition_columns)
}

/// `table` and `schema`. With a `schema` the table's name is taken as it stands, dots included.
fn read_table(fields: &mut Fields<'_, '_>) -> Option<TableName> {
    let schema = fields.optional("schema", text);
    fields.required("table", |node, decoder| {
        let table = text(node, decoder)?;
        match schema {
            Some(schema) => Some(TableName::new(schema, table)),
            None => TableName::parse(&table).or_else(|| {
                decoder.expected("a table like `orders` or `sales.orders`", node);
                None
            }),
        }
    })
}

fn read_join(node: &Node, decoder: &mut Decoder) -> Option<JoinSpec> {
    const KINDS: &[(&str, JoinKind)] = &[
        ("inner", JoinKind::Inner),
        ("left", JoinKind::Left),
        ("right", JoinKind::Right),
        ("full", JoinKind::Full),
    ];
    let mut fields = decoder.fields(node)?;
    let table = read_table(&mut fields);
    let alias = fields.optional("alias", text);
    let on = fields.required("on", snippet);
    let kind = fields.with_default("type", JoinKind::Inner, one_of("a kind of join", KINDS));
    fields.finish();
    Some(JoinSpec {
        table: table?,
        alias,
        on: on?,
        kind,
    })
}

fn check_exists(name: &str, node: &Node, decoder: &mut Decoder, datastores: Option<&Datastores>) {
    let Some(datastores) = datastores.filter(|datastores| datastores.get(name).is_none()) else {
        return;
    };
    let asked = if node.hidden() { "" } else { name };
    let what = format!("a datastore of `{}`", datastores.file.display());
    decoder.expected_with_hint(&what, node, did_you_mean(asked, datastores.names()));
}

/// Notes that a system cannot do what a side asks of it.
fn note_unbuilt(datastore: &Datastore, side: Side, position: Position, unbuilt: &mut Collected) {
    let what = match side {
        Side::Source => datastore.not_built_as_source(),
        Side::Destination => datastore.not_built_as_destination(),
    };
    if let Some(what) = what {
        unbuilt.pipeline(what, position);
    }
}
