//! A table, as the catalogue describes it.

use std::collections::BTreeSet;

use pintail_lake::connector::{SourceColumn, TableDescription};
use pintail_lake::{Error, Result, Session};
use pintail_model::{ErrorKind, LogicalType, TableName};

use super::catalog::{self, IndexColumn, Relation};
use super::server::Flavour;
use super::statistics::histogram;
use super::types::home;
use crate::missing::missing_table;

/// What a table is described for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    /// Nobody cuts it into parts, and what the engine remembers of other tables stays: it may be in use.
    Write,
}

/// Describes `table`, which was asked for as `asked`.
pub(super) fn describe(
    session: &Session,
    alias: &str,
    (address, purpose): (&str, Purpose),
    asked: &TableName,
    table: &TableName,
) -> Result<TableDescription> {
    let namesakes = catalog::namesakes(session, alias, table)?;
    let relation = match namesakes.contains(table) {
        true => catalog::relation(session, alias, table)?,
        false => None,
    };
    let Some(relation) = relation else {
        if purpose == Purpose::Write {
            refuse_namesakes(table, &namesakes, purpose)?;
        }
        return Err(missing_table(
            address,
            asked,
            &catalog::known_tables(session, alias)?,
        ));
    };
    refuse_namesakes(table, &namesakes, purpose)?;
    refuse_without_transactions(table, &relation, purpose)?;
    let flavour = Flavour::of(session, alias)?;
    let indexes = catalog::index_columns(session, alias, table)?;
    let indexed = leading(&indexes);
    let mut columns = Vec::new();
    for fact in catalog::columns(session, alias, flavour, table)? {
        let logical_type = home(&fact.source_type);
        let histogram = match logical_type {
            Some(logical_type) if purpose == Purpose::Read && indexed.contains(&fact.name) => {
                histogram(session, alias, table, &fact.name, logical_type, relation.rows)?
            }
            _ => Vec::new(),
        };
        columns.push(SourceColumn {
            // Text of MySQL becomes the same value of its type again, whatever a type is.
            carrier: logical_type.is_none().then_some(LogicalType::Text),
            origin: None,
            logical_type,
            identity: None,
            histogram,
            name: fact.name,
            source_type: fact.source_type,
            nullable: fact.nullable,
        });
    }
    Ok(TableDescription {
        name: table.clone(),
        identity: None,
        columns,
        key: key(&indexes),
        rows: relation.rows,
        pages: None,
        bytes: relation.bytes,
        storage_identity: None,
        indexed,
    })
}

/// The engine does not tell names apart by case: of `orders` and `Orders` it would read the same, in silence.
fn refuse_namesakes(table: &TableName, namesakes: &[TableName], purpose: Purpose) -> Result<()> {
    let Some(twin) = namesakes.iter().find(|other| *other != table) else {
        return Ok(());
    };
    let (tried, hint) = match purpose {
        Purpose::Read => ("read", "Read it through a view of another name."),
        Purpose::Write => ("write to", "Write to a table of another name."),
    };
    Err(Error::refused(
        ErrorKind::Invalid,
        format!("cannot {tried} table \"{table}\": its name differs from \"{twin}\" only in case"),
        hint,
    ))
}

fn refuse_without_transactions(table: &TableName, relation: &Relation, purpose: Purpose) -> Result<()> {
    match (&relation.engine, purpose) {
        (Some(engine), Purpose::Read) if !relation.transactional => Err(Error::refused(
            ErrorKind::Invalid,
            format!("cannot read table \"{table}\" in one state: its engine {engine} has no snapshots"),
            "Move it to InnoDB, or read it through a view while nobody writes.",
        )),
        (Some(engine), Purpose::Write) if !relation.transactional => Err(Error::refused(
            ErrorKind::Invalid,
            format!("cannot write to table \"{table}\": its engine {engine} has no transactions"),
            "Move it to InnoDB with `alter table … engine = InnoDB`.",
        )),
        (None, Purpose::Write) => Err(Error::refused(
            ErrorKind::Invalid,
            format!("cannot write to table \"{table}\": it is a view"),
            "Name the table behind it, or another one.",
        )),
        _ => Ok(()),
    }
}

/// The primary key, or else the unique index of the fewest columns. Indexes come in that order.
pub(super) fn key(indexes: &[IndexColumn]) -> Vec<String> {
    let of = |index: &str| -> Vec<&IndexColumn> {
        indexes.iter().filter(|column| column.index == index).collect()
    };
    let identifying = indexes
        .iter()
        .map(|column| of(&column.index))
        .find(|columns| columns.iter().all(|column| column.identifies));
    identifying
        .unwrap_or_default()
        .into_iter()
        .filter_map(|column| column.column.clone())
        .collect()
}

/// Columns that stand first in an index.
fn leading(indexes: &[IndexColumn]) -> Vec<String> {
    let first = indexes.iter().filter(|column| column.position == 1);
    let names: BTreeSet<&str> = first.filter_map(|column| column.column.as_deref()).collect();
    names.into_iter().map(str::to_owned).collect()
}
