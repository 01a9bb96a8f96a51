//! A full load: staged rows in the place of those that are there, or of the table.

use pintail_lake::database::Brought;
use pintail_lake::{Error, Result};
use pintail_model::{ErrorKind, TableName};

use super::super::quote::{identifier, literal, table as qualified};
use super::super::server::Flavour;
use super::columns::Loads;
use super::server::{begin_anew, count, execute, number};
use super::stage::{into_view, kept_view, load, make_stage};
use super::temporary::{Helper, Helpers};
use super::upsert::list;

/// Fills the table, or one that is to take its place.
pub(super) fn bring_in(helpers: &Helpers<'_>, loads: &Loads) -> Result<Brought> {
    let incoming = helpers.incoming;
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    refuse_references(helpers)?;
    let target = if incoming.fits {
        table.clone()
    } else {
        make_side(helpers, loads)?
    };
    let into = into_view(helpers, loads, &target)?;
    let kept = kept_view(helpers, loads, &format!("{} as kept", qualified(&target)))?;
    begin_anew(session, alias)?;
    let mut deleted = 0;
    if incoming.found.is_some() {
        deleted = count(session, alias, "count the rows that go", &qualified(table))?;
    }
    if incoming.fits {
        let label = format!("replace rows of table \"{table}\"");
        execute(
            session,
            alias,
            &label,
            &format!("delete from {}", qualified(table)),
        )?;
    }
    load(helpers, loads, &into)?;
    Ok(Brought {
        inserted: incoming.rows(),
        updated: 0,
        deleted,
        superseded: 0,
        kept,
        under_keys: false,
        keys: String::new(),
    })
}

/// Puts the side table in the place of the old one, or of none. It has all rows, and they have been compared.
pub(super) fn finish(helpers: &Helpers<'_>) -> Result<()> {
    let incoming = helpers.incoming;
    let (table, side) = (qualified(incoming.table), qualified(&helpers.named(Helper::Side)));
    let away = match incoming.found {
        Some(_) => format!("{table} to {}, ", qualified(&helpers.named(Helper::Old))),
        None => String::new(),
    };
    let label = format!("replace table \"{}\"", incoming.table);
    helpers.execute(&label, &format!("rename table {away}{side} to {table}"))?;
    begin_anew(incoming.session, incoming.alias)
}

/// Adds rows to a table.
pub(super) fn append(helpers: &Helpers<'_>, loads: &Loads) -> Result<Brought> {
    let incoming = helpers.incoming;
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    let stage = make_stage(helpers, loads, Helper::Stage)?;
    let named: Vec<String> = loads
        .0
        .iter()
        .map(|load| format!("{} as {}", load.label, identifier(&load.name)))
        .collect();
    let query = format!("select {} from {}", named.join(", "), qualified(&stage));
    let kept = helpers.make_view(Helper::Kept, &query, &loads.read())?;
    begin_anew(session, alias)?;
    load(helpers, loads, &stage)?;
    let (names, labels): (Vec<&str>, Vec<&str>) = loads.pairs().into_iter().unzip();
    let sql = format!(
        "insert into {} ({}) select {} from {}",
        qualified(table),
        list(&names),
        list(&labels),
        qualified(&stage)
    );
    execute(session, alias, &format!("add rows to table \"{table}\""), &sql)?;
    Ok(Brought {
        inserted: incoming.rows(),
        updated: 0,
        deleted: 0,
        superseded: 0,
        kept,
        under_keys: false,
        keys: String::new(),
    })
}

fn make_side(helpers: &Helpers<'_>, loads: &Loads) -> Result<TableName> {
    let incoming = helpers.incoming;
    let (session, alias) = (incoming.session, incoming.alias);
    make_database(helpers)?;
    let side = helpers.named(Helper::Side);
    let flavour = Flavour::of(session, alias)?;
    let key = if incoming.key.is_empty() {
        String::new()
    } else {
        let nullable = loads
            .0
            .iter()
            .any(|load| incoming.key.contains(&load.name) && load.nullable);
        let kind = if nullable { "unique index" } else { "primary key" };
        let names: Vec<&str> = incoming.key.iter().map(String::as_str).collect();
        format!(", {kind} ({})", list(&names))
    };
    // Texts are equal if their bytes are, spaces at the end included.
    let collation = match flavour {
        Flavour::MariaDb => "utf8mb4_nopad_bin",
        Flavour::MySql => "utf8mb4_0900_bin",
    };
    let sql = format!(
        "create table {} ({}{key}) engine = InnoDB default charset = utf8mb4 collate = {collation}",
        qualified(&side),
        loads.definitions(flavour)
    );
    let label = format!("make table \"{}\"", incoming.table);
    helpers.execute(&label, &sql)?;
    Ok(side)
}

/// The database of the table, where there is none.
fn make_database(helpers: &Helpers<'_>) -> Result<()> {
    let incoming = helpers.incoming;
    let name = incoming.table.schema_or(helpers.database);
    let sql = format!(
        "select count(*) as number from information_schema.schemata where schema_name = {}",
        literal(name)
    );
    let label = "look a database up";
    if number(incoming.session, incoming.alias, label, &sql)? == Some(0) {
        let sql = format!("create database if not exists {}", identifier(name));
        helpers.execute(&format!("make database \"{name}\""), &sql)?;
    }
    Ok(())
}

/// Rows that others refer to cannot be deleted, or take the others with them.
fn refuse_references(helpers: &Helpers<'_>) -> Result<()> {
    let incoming = helpers.incoming;
    if incoming.found.is_none() {
        return Ok(());
    }
    let table = incoming.table;
    let sql = format!(
        "select count(*) as number from information_schema.referential_constraints \
         where unique_constraint_schema = {} and referenced_table_name = {}",
        literal(table.schema_or(helpers.database)),
        literal(&table.table)
    );
    let label = "look up what refers to a table";
    if number(incoming.session, incoming.alias, label, &sql)?.unwrap_or(0) == 0 {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Conflict,
        format!("cannot replace all rows of table \"{table}\": foreign keys refer to it"),
        "Load it with a delta, which deletes nothing, or drop the foreign keys.",
    ))
}
