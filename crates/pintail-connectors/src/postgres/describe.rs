//! A table, as the catalogue describes it.

use std::collections::{BTreeMap, BTreeSet};

use pintail_lake::connector::{SourceColumn, TableDescription};
use pintail_lake::{Error, Result, Session};
use pintail_model::LogicalType;
use pintail_model::{ErrorKind, TableName};

use super::catalog::{self, Attribute, IndexColumn};
use super::statistics::histograms;
use super::types::home;
use crate::missing::missing_table;

pub(super) fn describe(
    session: &Session,
    alias: &str,
    address: &str,
    table: &TableName,
) -> Result<TableDescription> {
    let Some(relation) = catalog::relation(session, alias, table)? else {
        return Err(missing_table(
            address,
            table,
            &catalog::known_tables(session, alias)?,
        ));
    };
    let attributes = catalog::attributes(session, alias, &relation)?;
    refuse_equal_names(&relation.name, &attributes)?;
    let storage = catalog::storage(session, alias, &relation)?;
    let indexes = catalog::index_columns(session, alias, &relation)?;
    // Rows of another server are of one state as long as one session reads them: their table is not to be cut.
    let mut histograms = match &storage.identity {
        Some(_) => histograms(session, alias, &relation.name, &storage, &attributes)?,
        None => BTreeMap::new(),
    };
    let columns = attributes
        .into_iter()
        .map(|attribute| SourceColumn {
            logical_type: home(&attribute.base_type, attribute.dimensions),
            carrier: Some(LogicalType::Text),
            origin: None,
            identity: Some(attribute.number.to_string()),
            histogram: histograms.remove(&attribute.name).unwrap_or_default(),
            name: attribute.name,
            source_type: attribute.source_type,
            nullable: attribute.nullable,
        })
        .collect();
    Ok(TableDescription {
        name: relation.name,
        identity: Some(relation.oid.to_string()),
        columns,
        key: key(&indexes),
        rows: storage.rows,
        pages: storage.pages,
        bytes: storage.bytes,
        storage_identity: storage.identity,
        indexed: leading(&indexes),
    })
}

/// The engine does not tell names apart by case: of `id` and `ID` it would read the first, in silence.
fn refuse_equal_names(table: &TableName, attributes: &[Attribute]) -> Result<()> {
    let mut seen = BTreeSet::new();
    let twin = attributes
        .iter()
        .find(|attribute| !seen.insert(attribute.name.to_lowercase()));
    match twin {
        None => Ok(()),
        Some(twin) => Err(Error::refused(
            ErrorKind::Invalid,
            format!(
                "cannot read table \"{table}\": column `{}` differs from another one only in case",
                twin.name
            ),
            "Read it through a view that gives one of them another name.",
        )),
    }
}

/// The primary key, or else the unique constraint of the fewest columns. Indexes come in that order.
fn key(indexes: &[IndexColumn]) -> Vec<String> {
    let Some(first) = indexes
        .iter()
        .find(|column| column.primary)
        .or_else(|| indexes.iter().find(|column| column.unique))
    else {
        return Vec::new();
    };
    indexes
        .iter()
        .filter(|column| column.index == first.index)
        .map(|column| column.column.clone())
        .collect()
}

/// Columns that stand first in an index.
fn leading(indexes: &[IndexColumn]) -> Vec<String> {
    let first = indexes.iter().filter(|column| column.position == 1);
    let names: BTreeSet<&str> = first.map(|column| column.column.as_str()).collect();
    names.into_iter().map(str::to_owned).collect()
}
