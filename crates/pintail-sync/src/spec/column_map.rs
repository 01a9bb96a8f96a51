//! `column_map`: which columns of the source become which of the destination.

use std::collections::BTreeMap;

use pintail_config::decode::{Decoder, boolean, list, one_of, text, whole_number};
use pintail_config::nearest::did_you_mean;
use pintail_config::{Node, Position, Value};
use pintail_model::TableName;

use super::backend::BackendSpec;
use super::column::{ColumnSource, ColumnSpec, Role, find};
use super::declared_type;
use super::snippet;

const ROLES: &[(&str, Role)] = &[
    ("unique_column", Role::UniqueColumn),
    ("partition_column", Role::PartitionColumn),
];

/// The column map while the rest of the pipeline is checked against it.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) all: Vec<ColumnSpec>,
    /// Whether some of the map could not be read.
    incomplete: bool,
    /// Whether rows are groups: then a cursor, and what changes are looked for by, are columns of the source's table.
    pub(super) grouped: bool,
    /// What other parts of the pipeline may call columns beside their names in the map, where columns have names of their own.
    references: Option<BTreeMap<String, String>>,
    own_qualifier: Option<String>,
}

impl Columns {
    /// What there is to check names against without a column map: the qualifier of the source's table.
    pub(super) fn unmapped(source: Option<&BackendSpec>) -> Self {
        let own_qualifier = source.and_then(|source| source.qualifiers().next());
        Self {
            own_qualifier: own_qualifier.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Nothing is known of the columns.
    pub(super) fn unknown() -> Self {
        Self {
            incomplete: true,
            ..Self::default()
        }
    }

    /// Columns that were put together from definitions.
    pub(super) fn staged(
        all: Vec<ColumnSpec>,
        complete: bool,
        references: BTreeMap<String, String>,
        source: &BackendSpec,
    ) -> Self {
        Self {
            incomplete: !complete,
            all,
            references: (!references.is_empty()).then_some(references),
            ..Self::unmapped(Some(source))
        }
    }

    pub(super) fn read(node: &Node, decoder: &mut Decoder, source: Option<&BackendSpec>) -> Option<Self> {
        let mut names: Vec<String> = Vec::new();
        let read = |node: &Node, decoder: &mut Decoder| read(node, decoder, source, &mut names);
        let all = list(read)(node, decoder)?;
        let complete = matches!(&node.value, Value::List(items) if items.len() == all.len());
        let partition_columns = all
            .iter()
            .filter(|column| column.roles.contains(&Role::PartitionColumn))
            .count();
        if partition_columns > 1 {
            decoder.problem(
                node.position,
                "only one column can have the role `partition_column`",
            );
        }
        Some(Self {
            incomplete: !complete,
            all,
            ..Self::unmapped(source)
        })
    }

    /// All columns, if all of them could be read.
    pub(super) fn complete(&self) -> Option<&[ColumnSpec]> {
        (!self.incomplete).then_some(self.all.as_slice())
    }

    /// Reads the name of a column elsewhere in the pipeline. The table's own alias before it is taken off.
    pub(super) fn reference(&self, node: &Node, decoder: &mut Decoder) -> Option<String> {
        let name = text(node, decoder)?;
        let bare = match TableName::parse(&name) {
            Some(TableName { schema: None, table }) => table,
            Some(TableName { schema, table }) if schema == self.own_qualifier => table,
            _ => name,
        };
        if let Some(meant) = self
            .references
            .as_ref()
            .and_then(|references| references.get(&bare))
        {
            return Some(meant.clone());
        }
        // Columns of groups are others than those of the table.
        let told = !self.grouped || self.references.is_some();
        let checkable = !self.incomplete && !self.all.is_empty() && told;
        if checkable && find(&self.all, &bare).is_none() {
            let asked = if node.hidden() { "" } else { &bare };
            let others = self.references.iter().flat_map(BTreeMap::keys);
            let names = self.all.iter().map(|column| &column.dest).chain(others);
            let hint = did_you_mean(asked, names.map(String::as_str));
            let place = match self.references {
                None => "a column of `column_map`",
                Some(_) => "a column of `backends`",
            };
            decoder.expected_with_hint(place, node, hint);
        }
        Some(bare)
    }

    /// The column named as `partition_column` and the one with that role have to be the same.
    pub(super) fn check_partition_column(&self, name: &str, at: Position, decoder: &mut Decoder) {
        let with_role = self
            .all
            .iter()
            .find(|column| column.roles.contains(&Role::PartitionColumn));
        let named = find(&self.all, name);
        if let (Some(with_role), Some(named)) = (with_role, named)
            && with_role != named
        {
            let message = format!(
                "the role `partition_column` belongs to another column, `{}`",
                with_role.dest
            );
            decoder.problem(at, message);
        }
    }
}

fn read(
    node: &Node,
    decoder: &mut Decoder,
    source: Option<&BackendSpec>,
    names: &mut Vec<String>,
) -> Option<ColumnSpec> {
    let mut fields = decoder.fields(node)?;
    let column_source = fields.required("source", |node, decoder| {
        let source = column_source(node, decoder, source)?;
        if let ColumnSource::Expression(sql) = &source {
            snippet::check(sql, node, decoder)?;
        }
        Some(source)
    });
    let dest = fields
        .optional("dest", text)
        .or_else(|| column_source.as_ref()?.bare_name().map(str::to_owned));
    let name_position = fields
        .position_of("dest")
        .or_else(|| fields.position_of("source"));
    if let (Some(dest), Some(position)) = (&dest, name_position) {
        check_unique(dest, position, names, fields.decoder());
    }
    let roles = fields.optional("roles", list(one_of_roles)).unwrap_or_default();
    let data_type = declared_type::read(&mut fields);
    let length = fields.optional("length", whole_number(1_u32..));
    let nullable = fields.optional("nullable", boolean);
    if column_source.is_some() && dest.is_none() {
        let at = fields.position();
        fields
            .decoder()
            .problem(at, "key `dest` is missing: an expression has no name of its own");
    }
    let hash_column = fields.with_default("hash_column", true, boolean);
    fields.finish();
    Some(ColumnSpec {
        source: column_source?,
        dest: dest?,
        roles: roles.into_iter().collect(),
        data_type,
        length,
        nullable,
        hash_column,
    })
}

pub(super) fn one_of_roles(node: &Node, decoder: &mut Decoder) -> Option<Role> {
    one_of("a role", ROLES)(node, decoder)
}

/// Names of columns are compared without case, because the lake does so.
fn check_unique(dest: &str, at: Position, names: &mut Vec<String>, decoder: &mut Decoder) {
    let folded = dest.to_lowercase();
    if names.contains(&folded) {
        let message = format!("two columns of the destination are named `{dest}` (case makes no difference)");
        decoder.problem(at, message);
    } else {
        names.push(folded);
    }
}

/// Reads a name, qualified or not, or else takes the text for an expression. A name with dots, brackets or
/// operators in it stands in double quotes, as in SQL.
pub(super) fn column_source(
    node: &Node,
    decoder: &mut Decoder,
    source: Option<&BackendSpec>,
) -> Option<ColumnSource> {
    let text = text(node, decoder)?;
    let quoted = text.contains('"');
    if !quoted && expression(&text) {
        return Some(ColumnSource::Expression(text));
    }
    let Some(TableName {
        schema,
        table: column,
    }) = TableName::parse(&text)
    else {
        return Some(if quoted {
            ColumnSource::Expression(text)
        } else {
            ColumnSource::Column(text)
        });
    };
    let (Some(qualifier), Some(source)) = (schema, source) else {
        return Some(ColumnSource::Column(column));
    };
    match source.qualifiers().position(|known| known == qualifier) {
        Some(0) => Some(ColumnSource::Column(column)),
        Some(_) => Some(ColumnSource::Joined { qualifier, column }),
        // Nobody gave the tables names, so the dot may be a part of the column's.
        None if source.alias.is_none() && source.joins.is_empty() && !quoted => {
            Some(ColumnSource::Column(text))
        }
        None => {
            let known: Vec<String> = source.qualifiers().map(|known| format!("`{known}`")).collect();
            let hint = "a name with a dot in it stands in double quotes".to_owned();
            decoder.expected_with_hint(
                &format!("a column of table {}", known.join(" or ")),
                node,
                Some(hint),
            );
            None
        }
    }
}

/// Whether an unquoted text is more than a name. Only signs that do not occur in the names of columns.
fn expression(text: &str) -> bool {
    let operators = [" + ", " - ", " * ", " / ", "||", "::", "(", ")", "'"];
    let folded = text.to_lowercase();
    let case = folded.starts_with("case ") && folded.ends_with(" end");
    case || operators.iter().any(|operator| text.contains(operator))
}
