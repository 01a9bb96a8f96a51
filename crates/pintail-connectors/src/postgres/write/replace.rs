//! A full load: a side table in the place of the old one, or the rows of one in the place of the old rows.

use pintail_lake::database::{Brought, Incoming};
use pintail_lake::quote::{identifier, identifiers};
use pintail_lake::{Call, Error, Result};
use pintail_model::{ErrorKind, TableName};

use super::super::quote::literal;
use super::super::scan::{qualified, query};
use super::columns::{self, Loads};
use super::{execute, helper, number, side_by_side};

/// One row: whether a table can be swapped. None if there is no such table.
const PLAIN: &str = include_str!("plain.sql");

/// One row if a foreign key of others acts when rows are deleted: its name, and its table.
const REFERRING: &str = include_str!("referring.sql");

/// Names indexes after the table.
const INDEX_NAMES: &str = include_str!("index_names.sql");

/// Makes and fills a side table before the transaction, if the load is a large one.
pub(super) fn prepare(incoming: &Incoming<'_>, loads: &Loads) -> Result<()> {
    if incoming.found.is_some() {
        refuse_references(incoming)?;
    }
    let side = helper("side", incoming);
    make(incoming, loads, &side, &side_by_side::mark(incoming, &side))?;
    side_by_side::fill(incoming, loads, &side)?;
    give_key(incoming, loads, &side)
}

/// Makes a side table. `and` is a statement beside it.
fn make(incoming: &Incoming<'_>, loads: &Loads, side: &TableName, and: &str) -> Result<()> {
    let make = match incoming.found.filter(|_| incoming.fits) {
        // Everything that belongs to the table itself.
        Some(_) => format!(
            "create table {} (like {} including all)",
            qualified(side),
            qualified(incoming.table)
        ),
        None => format!("create table {} ({})", qualified(side), loads.definitions()),
    };
    execute(
        incoming.session,
        incoming.alias,
        "make a side table",
        &format!("{make}; {and}"),
    )
}

/// Fills a side table, unless it was filled before, and counts the rows that it is to replace.
pub(super) fn bring_in(incoming: &Incoming<'_>, loads: &Loads) -> Result<Brought> {
    let (session, alias) = (incoming.session, incoming.alias);
    let side = helper("side", incoming);
    if !side_by_side::applies(incoming, loads) {
        if incoming.found.is_some() {
            refuse_references(incoming)?;
        }
        make(incoming, loads, &side, "")?;
        if loads.direct() {
            columns::load(incoming, loads, &side)?;
        } else {
            let stage = helper("stage", incoming);
            columns::stage(incoming, loads, &stage)?;
            columns::bring_into_types(session, alias, loads, &stage, &side)?;
        }
        give_key(incoming, loads, &side)?;
    }
    let deleted = match incoming.found {
        Some(_) => {
            let count = format!("select count(*) as rows from {}", qualified(incoming.table));
            number(session, alias, "count the rows that go", &count)?
        }
        None => 0,
    };
    // Before both sides are compared: a trigger of the table may change what is inserted.
    let exchanges = incoming.found.is_some() && !is_plain(incoming)?;
    if exchanges {
        exchange_rows(incoming, &side)?;
    }
    Ok(Brought {
        inserted: incoming.rows(),
        updated: 0,
        deleted,
        superseded: 0,
        kept: match exchanges {
            true => incoming.table.clone(),
            false => side,
        },
        under_keys: false,
        keys: String::new(),
    })
}

/// Gives a new table the key of its rows. One like the table that is there has its key.
fn give_key(incoming: &Incoming<'_>, loads: &Loads, side: &TableName) -> Result<()> {
    let kept = incoming.found.is_some() && incoming.fits;
    if kept || incoming.key.is_empty() {
        return Ok(());
    }
    let is_key = |name: &str| incoming.key.iter().any(|key| key == name);
    let nullable = loads.0.iter().any(|load| is_key(&load.name) && load.nullable);
    let (table, key) = (qualified(side), identifiers(incoming.key));
    let sql = if nullable {
        format!("create unique index on {table} ({key})")
    } else {
        format!("alter table {table} add primary key ({key})")
    };
    let label = format!("give table \"{}\" its key", incoming.table);
    execute(incoming.session, incoming.alias, &label, &sql)
}

/// Puts the side table in the place of the old one, unless its rows are in the table already.
pub(super) fn finish(incoming: &Incoming<'_>, brought: &Brought) -> Result<()> {
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    if brought.kept == *table {
        return Ok(());
    }
    let schema = table.schema_or(super::SCHEMA);
    let label = format!("replace table \"{table}\"");
    let away = match incoming.found {
        Some(_) => format!("drop table {}; ", qualified(table)),
        None => format!("create schema if not exists {}; ", identifier(schema)),
    };
    let side = &brought.kept;
    let sql = format!(
        "{away}comment on table {0} is null; alter table {0} set schema {1}; alter table {2} rename to {3}",
        qualified(side),
        identifier(schema),
        qualified(&TableName::new(schema, &side.table)),
        identifier(&table.table)
    );
    execute(session, alias, &label, &sql)?;
    let names = INDEX_NAMES
        .replace("/* qualified */", &literal(&qualified(table)))
        .replace("/* side */", &literal(&side.table))
        .replace("/* table */", &literal(&table.table))
        .replace("/* schema */", &literal(schema));
    execute(session, alias, &label, &names)
}

/// Rows that all go and come again would take rows of other tables with them, which do not come again.
fn refuse_references(incoming: &Incoming<'_>) -> Result<()> {
    let table = incoming.table;
    let sql = REFERRING
        .replace("/* schema */", &literal(table.schema_or(super::SCHEMA)))
        .replace("/* table */", &literal(&table.table));
    let label = "look up which foreign keys refer to a table";
    let sql = format!("from {}", query(incoming.alias, sql.trim_end()));
    let found = incoming.session.query(Call::new(label), &sql)?;
    let Some((name, referring)) = found.first().and_then(|row| Some((row.text(0)?, row.text(1)?))) else {
        return Ok(());
    };
    Err(Error::refused(
        ErrorKind::Conflict,
        format!(
            "cannot replace all rows of table \"{table}\": the foreign key `{name}` of table \"{referring}\" would delete \
             or change the rows that refer to them"
        ),
        "Load it with a `delta` or `hash` strategy, which leave rows in place that stay, or let the foreign key do nothing \
         by itself (`on delete no action deferrable initially deferred`).",
    ))
}

fn is_plain(incoming: &Incoming<'_>) -> Result<bool> {
    let table = incoming.table;
    let sql = PLAIN
        .replace("/* schema */", &literal(table.schema_or(super::SCHEMA)))
        .replace("/* table */", &literal(&table.table));
    let sql = format!(
        "select plain::int from ({}) as found",
        sql.trim_end().trim_end_matches(';')
    );
    Ok(number(
        incoming.session,
        incoming.alias,
        "look up what refers to a table",
        &sql,
    )? == 1)
}

/// Rows of the side table in the place of those of a table that others refer to. Its definition stays, if it fits; if not,
/// Postgres says who is in the way.
fn exchange_rows(incoming: &Incoming<'_>, side: &TableName) -> Result<()> {
    let label = format!("replace the rows of table \"{}\"", incoming.table);
    let (table, helper) = (qualified(incoming.table), qualified(side));
    if !incoming.fits {
        let names = identifier(&incoming.table.table);
        let schema = identifier(incoming.table.schema_or(super::SCHEMA));
        let moved = qualified(&TableName::new(
            incoming.table.schema_or(super::SCHEMA),
            &side.table,
        ));
        let sql = format!(
            "drop table {table}; alter table {helper} set schema {schema}; alter table {moved} rename to {names}"
        );
        return execute(incoming.session, incoming.alias, &label, &sql);
    }
    let names: Vec<&str> = incoming
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let names = identifiers(&names);
    let sql = format!(
        "delete from {table}; insert into {table} ({names}) select {names} from {helper}; drop table {helper}"
    );
    execute(incoming.session, incoming.alias, &label, &sql)
}

/// Adds rows to a table.
pub(super) fn append(incoming: &Incoming<'_>, loads: &Loads) -> Result<Brought> {
    let (session, alias) = (incoming.session, incoming.alias);
    let stage = helper("stage", incoming);
    columns::stage(incoming, loads, &stage)?;
    let table = qualified(incoming.table);
    let sql = format!(
        "insert into {table} ({}) select {} from {}",
        identifiers(&loads.names()),
        loads.values(),
        qualified(&stage)
    );
    let label = format!("add rows to table \"{}\"", incoming.table);
    execute(session, alias, &label, &sql)?;
    Ok(Brought {
        inserted: incoming.rows(),
        updated: 0,
        deleted: 0,
        superseded: 0,
        kept: stage,
        under_keys: false,
        keys: String::new(),
    })
}

/// Takes the table of staged rows away.
pub(super) fn finish_append(incoming: &Incoming<'_>) -> Result<()> {
    let sql = columns::drop_table(&helper("stage", incoming));
    execute(incoming.session, incoming.alias, "take helping tables away", &sql)
}
