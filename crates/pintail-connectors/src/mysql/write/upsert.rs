//! A delta: staged rows in a table of their own, and from there into the table by key.

use pintail_lake::database::{Brought, Incoming};
use pintail_lake::{Result, quote};
use pintail_model::TableName;

use super::super::quote::{identifier, table as qualified};
use super::columns::Loads;
use super::room::Room;
use super::server::{begin_anew, count, execute};
use super::stage::{kept_view, load, make_stage};
use super::temporary::{Helper, Helpers};

/// The table that takes the rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) table: &'a TableName,
    /// Whether it has a unique index on the key.
    pub(super) unique: bool,
}

impl<'a> Found<'a> {
    fn of(helpers: &Helpers<'a>) -> Self {
        let incoming = helpers.incoming;
        Self {
            table: incoming.table,
            unique: incoming
                .found
                .is_some_and(|found| is_unique(&found.key, incoming.key)),
        }
    }
}

/// Brings rows in by key. `going` are the keys of rows that go without replacement, which do so first.
pub(super) fn bring_in(
    helpers: &Helpers<'_>,
    loads: &Loads,
    (going, going_loads): (&Incoming<'_>, &Loads),
    newer: Option<&str>,
) -> Result<Brought> {
    let incoming = helpers.incoming;
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    let key = loads.key(incoming.key);
    let stage = make_stage(helpers, loads, Helper::Stage)?;
    // No table can be made any more once rows move.
    make_stage(helpers, going_loads, Helper::Gone)?;
    let found = Found::of(helpers);
    let together = joined(&stage, found, &key);
    let kept = kept_view(helpers, loads, &together)?;
    let room = Room::of(helpers, loads, found.unique)?;
    begin_anew(session, alias)?;
    let going = Helpers {
        incoming: going,
        ..*helpers
    };
    let deleted = remove(&going, going_loads)?;
    load(helpers, loads, &stage)?;
    if let Some(newer) = newer.and_then(|newer| loads.get(newer)) {
        let label = format!("look for newer rows in table \"{table}\"");
        let sql = drop_stale(&stage, found, &key, (&newer.name, &newer.label));
        execute(session, alias, &label, &sql)?;
    }
    let left = count(session, alias, "count staged rows", &qualified(&stage))?;
    let updated = count(session, alias, "count the rows that are replaced", &together)?;
    let label = format!("bring rows into table \"{table}\"");
    let pairs = loads.pairs();
    match &room {
        // The only thing that two rows of the table cannot have in common is the key: `on duplicate key` asks about all
        // unique indexes alike, and would change the row that another one found.
        None if found.unique => execute(session, alias, &label, &merge(&stage, table, &pairs, &key))?,
        Some(room) if room.is_needed(helpers, &stage, &key)? => {
            room.make(helpers, &together, &key)?;
            for sql in room.fill(&stage, table, &pairs, &key) {
                execute(session, alias, &label, &sql)?;
            }
        }
        _ => {
            for sql in update_and_insert(&stage, found, &pairs, &key) {
                let updated = execute(session, alias, &label, &sql);
                updated.map_err(|error| match &room {
                    Some(room) => room.explain(table, error),
                    None => error,
                })?;
            }
        }
    }
    Ok(Brought {
        inserted: left.saturating_sub(updated),
        updated,
        deleted,
        superseded: incoming.rows().saturating_sub(left),
        kept,
        under_keys: false,
        keys: keys(helpers, loads, &stage),
    })
}

/// Deletes the rows that have a staged key. `loads` are the columns of the key.
fn remove(helpers: &Helpers<'_>, loads: &Loads) -> Result<u64> {
    let incoming = helpers.incoming;
    if incoming.files.is_empty() {
        return Ok(0);
    }
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    let gone = helpers.named(Helper::Gone);
    load(helpers, loads, &gone)?;
    let together = joined(&gone, Found::of(helpers), &loads.key(incoming.key));
    let rows = count(session, alias, "count the rows that go", &together)?;
    let label = format!("remove rows of table \"{table}\"");
    execute(session, alias, &label, &format!("delete kept from {together}"))?;
    Ok(rows)
}

/// The keys that are left in the helping table, typed as the staged ones.
fn keys(helpers: &Helpers<'_>, loads: &Loads, stage: &TableName) -> String {
    let columns: Vec<String> = helpers
        .incoming
        .key
        .iter()
        .filter_map(|name| loads.get(name))
        .map(|load| {
            format!(
                "{}::{} as {}",
                load.label,
                load.staged,
                quote::identifier(&load.name)
            )
        })
        .collect();
    format!(
        "(select {} from {})",
        columns.join(", "),
        quote::table(helpers.incoming.alias, stage, "")
    )
}

/// Drops staged rows where the table has newer ones.
pub(super) fn drop_stale(
    stage: &TableName,
    table: Found<'_>,
    key: &[(&str, &str)],
    (name, label): (&str, &str),
) -> String {
    format!(
        "delete staged from {} where kept.{} > staged.{}",
        joined(stage, table, key),
        identifier(name),
        identifier(label)
    )
}

/// By the unique index on the key.
pub(super) fn merge(
    stage: &TableName,
    table: &TableName,
    pairs: &[(&str, &str)],
    key: &[(&str, &str)],
) -> String {
    let (names, labels): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
    let set: Vec<String> = changed(pairs, key)
        .map(|(name, _)| identifier(name))
        .map(|name| format!("{name} = values({name})"))
        .collect();
    format!(
        "insert into {} ({}) select {} from {} as staged on duplicate key update {}",
        qualified(table),
        list(&names),
        list(&labels),
        qualified(stage),
        set.join(", ")
    )
}

/// Without such an index.
fn update_and_insert(
    stage: &TableName,
    table: Found<'_>,
    pairs: &[(&str, &str)],
    key: &[(&str, &str)],
) -> [String; 2] {
    let (names, labels): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
    let set: Vec<String> = changed(pairs, key)
        .map(|(name, label)| format!("kept.{} = staged.{}", identifier(name), identifier(label)))
        .collect();
    let update = format!("update {} set {}", joined(stage, table, key), set.join(", "));
    let insert = format!(
        "insert into {} ({}) select {} from {} as staged where not exists (select 1 from {} as kept where {})",
        qualified(table.table),
        list(&names),
        list(&labels),
        qualified(stage),
        qualified(table.table),
        same_key(key)
    );
    [update, insert]
}

/// The columns that a row with the same key gets; the key itself, if there is nothing else.
fn changed<'a>(
    pairs: &'a [(&'a str, &'a str)],
    key: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let all = pairs.iter().all(|pair| key.contains(pair));
    pairs
        .iter()
        .copied()
        .filter(move |pair| all || !key.contains(pair))
}

/// Staged rows beside those of the table with their keys. Of a new table the server knows nothing: it is told which one to
/// read, and in which to look keys up.
fn joined(stage: &TableName, found: Found<'_>, key: &[(&str, &str)]) -> String {
    let staged = format!("{} as staged", qualified(stage));
    let kept = format!("{} as kept", qualified(found.table));
    let (read, looked_up) = if found.unique {
        (staged, kept)
    } else {
        (kept, staged)
    };
    format!("{read} straight_join {looked_up} on {}", same_key(key))
}

pub(super) fn same_key(key: &[(&str, &str)]) -> String {
    let same: Vec<String> = key
        .iter()
        .map(|(name, label)| format!("kept.{} = staged.{}", identifier(name), identifier(label)))
        .collect();
    same.join(" and ")
}

/// Names in backticks.
pub(super) fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| identifier(name)).collect();
    names.join(", ")
}

/// Whether the columns of an index are those of the key.
pub(super) fn is_unique(index: &[String], key: &[String]) -> bool {
    !key.is_empty() && index.len() == key.len() && index.iter().all(|name| key.contains(name))
}
