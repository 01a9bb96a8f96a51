//! A delta: staged rows in a table of their own, and from there into the table by key.

use pintail_lake::Result;
use pintail_lake::database::{Brought, DatabaseWriter, Incoming};
use pintail_lake::quote::{self, identifier, identifiers};
use pintail_model::TableName;

use super::super::scan::{qualified, query};
use super::columns::{self, Loads};
use super::room::Room;
use super::{execute, helper, number};

/// Rows of the table under the keys of the staged rows: what is compared.
const VIEW: &str = "kept";

pub(super) fn bring_in(incoming: &Incoming<'_>, loads: &Loads, newer: Option<&str>) -> Result<Brought> {
    let (session, alias, table, key) = (incoming.session, incoming.alias, incoming.table, incoming.key);
    let stage = helper("stage", incoming);
    columns::stage(incoming, loads, &stage)?;
    let mut typed = stage.clone();
    if !loads.direct() {
        // Values as the table has them, so that keys and cursors can be compared.
        typed = helper("typed", incoming);
        let sql = format!(
            "create unlogged table {} as select {} from {}; {}",
            qualified(&typed),
            loads.named_values(),
            qualified(&stage),
            columns::drop_table(&stage)
        );
        let label = format!("bring rows of table \"{table}\" into their types");
        execute(session, alias, &label, &sql)?;
    }
    execute(
        session,
        alias,
        "look at staged rows",
        &format!("analyze {}", qualified(&typed)),
    )?;
    let staged = incoming.rows();
    if let Some(newer) = newer {
        let label = format!("look for newer rows in table \"{table}\"");
        execute(session, alias, &label, &drop_stale(&typed, table, key, newer))?;
    }
    let count = format!("select count(*) as rows from {}", qualified(&typed));
    let left = number(session, alias, "count staged rows", &count)?;
    let same = quote::same_key(key);
    let count = format!(
        "select count(*) as rows from {} as kept join {} as staged on {same}",
        qualified(table),
        qualified(&typed)
    );
    let updated = number(session, alias, "count the rows that are replaced", &count)?;
    let names = loads.names();
    let keyed = incoming.found.is_some_and(|found| same_columns(&found.key, key));
    let sql = if keyed {
        merge(&typed, table, &names, key)
    } else {
        update_and_insert(&typed, table, &names, key)
    };
    Room::of(incoming, &names)?.bring_in(incoming, &typed, &names, &sql, keyed)?;
    let view = helper(VIEW, incoming);
    let sql = format!(
        "create view {} as select kept.* from {} as kept where exists (select from {} as staged where {same})",
        qualified(&view),
        qualified(table),
        qualified(&typed)
    );
    execute(session, alias, "look at the rows that were brought in", &sql)?;
    let keys = format!("select {} from {}", identifiers(key), qualified(&typed));
    Ok(Brought {
        inserted: left.saturating_sub(updated),
        updated,
        deleted: 0,
        superseded: staged.saturating_sub(left),
        kept: view,
        under_keys: false,
        keys: query(alias, &keys),
    })
}

/// Deletes the rows that go without replacement. Returns how many.
pub(super) fn remove(incoming: &Incoming<'_>, writer: &dyn DatabaseWriter) -> Result<u64> {
    if incoming.gone.is_empty() {
        return Ok(0);
    }
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    let (key_columns, word) = (incoming.key_columns(), format!("{}_gone", incoming.attempt));
    let going = incoming.going(&key_columns, &word);
    let loads = Loads::of(&going, writer)?;
    let stage = helper("stage", &going);
    columns::stage(&going, &loads, &stage)?;
    let typed = format!("(select {} from {})", loads.named_values(), qualified(&stage));
    let same = quote::same_key(incoming.key);
    let count = format!(
        "select count(*) as rows from {} as kept join {typed} as staged on {same}",
        qualified(table)
    );
    let rows = number(session, alias, "count the rows that go", &count)?;
    let sql = format!(
        "delete from {} as kept using {typed} as staged where {same}; {}",
        qualified(table),
        columns::drop_table(&stage)
    );
    let label = format!("remove rows of table \"{table}\"");
    execute(session, alias, &label, &sql)?;
    Ok(rows)
}

/// Takes helping tables away.
pub(super) fn finish(incoming: &Incoming<'_>) -> Result<()> {
    let sql = format!(
        "drop view {}; drop table if exists {}, {}",
        qualified(&helper(VIEW, incoming)),
        qualified(&helper("stage", incoming)),
        qualified(&helper("typed", incoming))
    );
    execute(incoming.session, incoming.alias, "take helping tables away", &sql)
}

/// Drops staged rows where the table has newer ones.
pub(super) fn drop_stale(stage: &TableName, table: &TableName, key: &[String], newer: &str) -> String {
    let newer = identifier(newer);
    format!(
        "delete from {} as staged using {} as kept where {} and kept.{newer} > staged.{newer}",
        qualified(stage),
        qualified(table),
        quote::same_key(key)
    )
}

/// By the unique constraint on the key.
pub(super) fn merge(stage: &TableName, table: &TableName, names: &[&str], key: &[String]) -> String {
    let others: Vec<String> = names
        .iter()
        .filter(|name| key.iter().all(|key| key != *name))
        .map(|name| identifier(name))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let action = if others.is_empty() {
        "nothing".to_owned()
    } else {
        format!("update set {}", others.join(", "))
    };
    format!(
        "insert into {} ({names}) select {names} from {} on conflict ({}) do {action}",
        qualified(table),
        qualified(stage),
        identifiers(key),
        names = identifiers(names)
    )
}

/// Without such a constraint.
fn update_and_insert(stage: &TableName, table: &TableName, names: &[&str], key: &[String]) -> String {
    let same = quote::same_key(key);
    let others: Vec<String> = names
        .iter()
        .filter(|name| key.iter().all(|key| key != *name))
        .map(|name| identifier(name))
        .map(|name| format!("{name} = staged.{name}"))
        .collect();
    let (table, stage, all) = (qualified(table), qualified(stage), identifiers(names));
    let update = if others.is_empty() {
        String::new()
    } else {
        format!(
            "update {table} as kept set {} from {stage} as staged where {same}; ",
            others.join(", ")
        )
    };
    format!(
        "{update}insert into {table} ({all}) select {all} from {stage} as staged \
         where not exists (select from {table} as kept where {same})"
    )
}

fn same_columns(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|name| other.contains(name))
}
