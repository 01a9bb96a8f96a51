//! A column: what it is read from, what it becomes, and what it is for.

use std::collections::BTreeSet;

use super::declared_type::DeclaredType;

/// One entry of `column_map`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// `source`: what is read.
    pub source: ColumnSource,
    /// `dest`: the column's name in the destination. Default: its name in the source.
    pub dest: String,
    /// `roles`: what the column is for.
    pub roles: BTreeSet<Role>,
    /// `data_type`, with `precision` and `scale`: what it has to be. Default: what the source says. A type that the
    /// source's values do not fit without loss is an error.
    pub data_type: Option<DeclaredType>,
    /// `length`: letters at most, of a text. A lake stores texts of any length; read so that files load.
    pub length: Option<u32>,
    /// `nullable`: whether NULL may stand in it. Default: as in the source.
    pub nullable: Option<bool>,
    /// `hash_column`: whether a change of it alone makes a hash strategy write the row. Default `true`. A column of the key
    /// always does.
    pub hash_column: bool,
}

/// What a column is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnSource {
    /// A column of the source's table: `id`, or `o.id` where `o` is the table's alias.
    Column(String),
    /// A column of a joined table: `c.name`.
    Joined {
        /// The joined table's alias.
        qualifier: String,
        /// Its column.
        column: String,
    },
    /// Anything else, in SQL of the source: `lower(email)`.
    Expression(String),
    /// The hash of the other columns that are compared, computed on the way. Its column is named by `hash_key`.
    RowHash,
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `unique_column`: a part of the key by which rows are recognised. Default: the primary key of the source.
    UniqueColumn,
    /// `partition_column`: the column whose ranges partition a full load. At most one.
    PartitionColumn,
}

impl ColumnSource {
    /// The name, if this is a plain column of the source's own table.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Column(name) => Some(name),
            Self::Joined { .. } | Self::Expression(_) | Self::RowHash => None,
        }
    }

    /// The name of the column, of whichever table it is.
    pub(super) fn bare_name(&self) -> Option<&str> {
        match self {
            Self::Column(name) | Self::Joined { column: name, .. } => Some(name),
            Self::Expression(_) | Self::RowHash => None,
        }
    }
}

/// The column that `name` means: by its name in the source, or else in the destination.
pub(super) fn find<'a>(columns: &'a [ColumnSpec], name: &str) -> Option<&'a ColumnSpec> {
    let by_source = columns.iter().find(|column| column.source.column() == Some(name));
    by_source.or_else(|| columns.iter().find(|column| column.dest == name))
}
