//! `backends`: tables of datastores with definitions of their columns.

use std::collections::BTreeSet;

use pintail_config::decode::{Decoder, boolean, list, text, whole_number};
use pintail_config::{Datastores, Node, Position};

use crate::spec::backend::{self, BackendSpec, Side};
use crate::spec::column::Role;
use crate::spec::column_map::one_of_roles;
use crate::spec::declared_type::{self, DeclaredType};
use crate::spec::unbuilt::Collected;

/// One entry of `backends`.
pub(super) struct Backend {
    pub(super) name: String,
    pub(super) position: Position,
    pub(super) spec: BackendSpec,
    pub(super) columns: Vec<Definition>,
}

/// The definition of a column, of a backend or of what a stage reads.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    /// `name`: its name in the pipeline.
    pub(super) name: String,
    pub(super) position: Position,
    /// `expr` or `data_field`: its name in the table, or an expression.
    pub(super) expr: Option<Node>,
    pub(super) data_type: Option<DeclaredType>,
    pub(super) length: Option<u32>,
    pub(super) nullable: Option<bool>,
    pub(super) roles: BTreeSet<Role>,
    /// `hash_column`: whether a change of it alone counts.
    pub(super) hash_column: bool,
    /// `hash_key`: whether it holds the hash of the row.
    pub(super) hash_key: bool,
    /// `virtual`: whether the table has no such column.
    pub(super) virtual_: bool,
}

/// Reads one backend; `side` says by its name what it is for.
pub(super) fn backend(
    node: &Node,
    decoder: &mut Decoder,
    side: &dyn Fn(&str) -> Side,
    datastores: Option<&Datastores>,
    unbuilt: &mut Collected,
) -> Option<Backend> {
    let mut fields = decoder.fields(node)?;
    let name = fields.required("name", text);
    let mut spec = None;
    if fields.decoder().probing() {
        // It takes the keys of both sides.
        backend::read_fields(&mut fields, Side::Destination, datastores, unbuilt);
        backend::read_fields(&mut fields, Side::Source, datastores, unbuilt);
    } else {
        let side = side(name.as_deref().unwrap_or_default());
        spec = backend::read_fields(&mut fields, side, datastores, unbuilt);
    }
    let columns = fields.optional("columns", list(definition)).unwrap_or_default();
    let position = fields.position();
    fields.finish();
    Some(Backend {
        name: name?,
        position,
        spec: spec?,
        columns,
    })
}

/// Reads the definition of a column.
pub(super) fn definition(node: &Node, decoder: &mut Decoder) -> Option<Definition> {
    let mut fields = decoder.fields(node)?;
    let name = fields.required("name", text);
    let keep = |node: &Node, decoder: &mut Decoder| text(node, decoder).map(|_| node.clone());
    let expr = fields.optional("expr", keep);
    let field = fields.optional("data_field", keep);
    if let (Some(_), Some(field)) = (&expr, &field) {
        let message = "`expr` and `data_field` both say what the column is read from";
        fields.decoder().problem(field.position, message);
    }
    let data_type = declared_type::read(&mut fields);
    let length = fields.optional("length", whole_number(1_u32..));
    let nullable = fields.optional("nullable", boolean);
    let mut roles: BTreeSet<Role> = fields
        .optional("roles", list(one_of_roles))
        .unwrap_or_default()
        .into_iter()
        .collect();
    for (key, role) in [
        ("unique_column", Role::UniqueColumn),
        ("partition_column", Role::PartitionColumn),
    ] {
        if fields.with_default(key, false, boolean) {
            roles.insert(role);
        }
    }
    let hash_column = fields.with_default("hash_column", true, boolean);
    let hash_key = fields.with_default("hash_key", false, boolean);
    let virtual_ = fields.with_default("virtual", false, boolean);
    let position = fields.position();
    fields.finish();
    Some(Definition {
        name: name?,
        position,
        expr: expr.or(field),
        data_type,
        length,
        nullable,
        roles,
        hash_column,
        hash_key,
        virtual_,
    })
}
