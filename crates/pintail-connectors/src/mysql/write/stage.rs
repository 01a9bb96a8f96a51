//! Staged rows on their way: where the engine writes them, and where they are read again.

use pintail_lake::{Call, Error, Result, quote};
use pintail_model::{ErrorKind, TableName};

use super::super::quote::{identifier, table as qualified};
use super::columns::Loads;
use super::temporary::{Helper, Helpers, make_known};

/// A view through which the engine writes into a table.
pub(super) fn into_view(helpers: &Helpers<'_>, loads: &Loads, target: &TableName) -> Result<TableName> {
    let columns: Vec<String> = loads
        .0
        .iter()
        .map(|load| format!("{} as {}", identifier(&load.name), load.label))
        .collect();
    let query = format!("select {} from {}", columns.join(", "), qualified(target));
    helpers.make_view(Helper::Into, &query, &loads.written())
}

/// A view of the rows that are to be read again: those of `kept` in a FROM.
pub(super) fn kept_view(helpers: &Helpers<'_>, loads: &Loads, from: &str) -> Result<TableName> {
    let columns: Vec<String> = loads
        .0
        .iter()
        .map(|load| identifier(&load.name))
        .map(|name| format!("kept.{name} as {name}"))
        .collect();
    let query = format!("select {} from {from}", columns.join(", "));
    helpers.make_view(Helper::Kept, &query, &loads.read())
}

/// Makes a table of staged rows, of the types that the table's columns have.
pub(super) fn make_stage(helpers: &Helpers<'_>, loads: &Loads, helper: Helper) -> Result<TableName> {
    let incoming = helpers.incoming;
    let stage = helpers.named(helper);
    let columns: Vec<String> = loads
        .0
        .iter()
        .map(|load| format!("{} as {}", identifier(&load.name), load.label))
        .collect();
    let index = match loads.index(incoming.key) {
        Some(index) => format!("(index ({index}))"),
        None => String::new(),
    };
    let sql = format!(
        "create table {} {index} engine = InnoDB select {} from {} where false",
        qualified(&stage),
        columns.join(", "),
        qualified(incoming.table)
    );
    helpers.execute("make a table for staged rows", &sql)?;
    make_known(incoming.session, incoming.alias, &stage, &loads.written())?;
    Ok(stage)
}

/// Has the engine write the staged rows.
pub(super) fn load(helpers: &Helpers<'_>, loads: &Loads, into: &TableName) -> Result<()> {
    let incoming = helpers.incoming;
    if incoming.files.is_empty() {
        return Ok(());
    }
    let (_, labels): (Vec<&str>, Vec<&str>) = loads.pairs().into_iter().unzip();
    let label = format!("copy rows into table \"{}\"", incoming.table);
    let sql = format!(
        "insert into {} ({}) select {} from {}",
        quote::table(incoming.alias, into, ""),
        labels.join(", "),
        loads.values(),
        incoming.staged()
    );
    let copied = incoming.session.execute(Call::new(&label), &sql)?;
    if copied == incoming.rows() {
        return Ok(());
    }
    Err(Error::Refused {
        kind: ErrorKind::Internal,
        message: format!(
            "{} rows were staged for table \"{}\", and {copied} were copied",
            incoming.rows(),
            incoming.table
        ),
        hint: None,
    })
}
