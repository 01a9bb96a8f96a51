//! Room for unique values: rows that exchange one are taken away together, and come in again.
//!
//! An upsert works row by row, and the first of two rows that exchange a value meets the other one. So where a table has
//! further unique indexes, and the upsert meets such a row, the server takes it back and has all rows under staged keys go and
//! come in again, by one statement: a foreign key that refers to them and does nothing by itself is checked at its end, and
//! finds them. Values of columns that are not staged come in again, too.
//!
//! A foreign key that would delete or change the rows which refer to them, or does not wait for the end, leaves no room.

use pintail_lake::database::Incoming;
use pintail_lake::quote::{self, identifier, identifiers};
use pintail_lake::{Call, Error, FaultClass, Result};
use pintail_model::{ErrorKind, TableName};

use super::super::quote::literal;
use super::super::scan::{qualified, query};
use super::execute;

const ROOM: &str = include_str!("room.sql");

/// What a table says of rows that make room for each other.
pub(super) struct Room {
    /// Indexes that keep rows apart.
    indexes: i64,
    /// The foreign key that leaves no room, and its table.
    referring: Option<(String, String)>,
    /// Columns that staged rows do not have, quoted; empty if there are none.
    others: String,
    others_of_kept: String,
}

impl Room {
    pub(super) fn of(incoming: &Incoming<'_>, names: &[&str]) -> Result<Self> {
        let table = incoming.table;
        let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
        let sql = ROOM
            .replace("/* schema */", &literal(table.schema_or(super::SCHEMA)))
            .replace("/* table */", &literal(&table.table))
            .replace("/* names */", &names.join(", "));
        let label = "look up what keeps rows of a table apart";
        let sql = format!("from {}", query(incoming.alias, sql.trim_end()));
        let found = incoming.session.query(Call::new(label), &sql)?;
        let row = found.first();
        let text = |index| row.and_then(|row| row.text(index)).map(str::to_owned);
        Ok(Self {
            indexes: row.and_then(|row| row.integer(0)).unwrap_or(0),
            referring: text(1).zip(text(2)),
            others: text(3).unwrap_or_default(),
            others_of_kept: text(4).unwrap_or_default(),
        })
    }

    /// Brings the rows of `stage` in by `upsert`, and makes room if that takes it. `keyed` says that one of the indexes is on
    /// the key.
    pub(super) fn bring_in(
        &self,
        incoming: &Incoming<'_>,
        stage: &TableName,
        names: &[&str],
        upsert: &str,
        keyed: bool,
    ) -> Result<()> {
        let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
        let label = format!("bring rows into table \"{table}\"");
        if self.indexes <= i64::from(keyed) {
            return execute(session, alias, &label, upsert);
        }
        if let Some((name, of_table)) = &self.referring {
            return execute(session, alias, &label, upsert).map_err(|error| match &error {
                Error::Statement { source, .. } if source.class == FaultClass::Constraint => {
                    tracing::warn!(%table, %error, "rows were refused");
                    no_room(table, name, of_table)
                }
                _ => error,
            });
        }
        let body = format!(
            "#variable_conflict use_column\nbegin {upsert}; exception when unique_violation or exclusion_violation then {}; end",
            self.exchange(table, stage, names, incoming.key)
        );
        execute(session, alias, &label, &format!("do {}", literal(&body)))
    }

    /// Takes rows away and brings them in again. No row comes in before all of them are gone, since each asks for their number.
    fn exchange(&self, table: &TableName, stage: &TableName, names: &[&str], key: &[String]) -> String {
        let same = quote::same_key(key);
        let of_staged: Vec<String> = names
            .iter()
            .map(|name| format!("staged.{}", identifier(name)))
            .collect();
        let (table, stage, names) = (qualified(table), qualified(stage), identifiers(names));
        let (mut all, mut again) = (names.clone(), of_staged.join(", "));
        if !self.others.is_empty() {
            all = format!("{all}, {}", self.others);
            again = format!("{again}, {}", self.others_of_kept);
        }
        format!(
            "with gone as (delete from {table} as kept using {stage} as staged where {same} returning kept.*), \
             room as (select count(*) as rows from gone), \
             again as (insert into {table} ({all}) overriding system value select {again} \
             from room cross join {stage} as staged join gone as kept on {same} where room.rows >= 0) \
             insert into {table} ({names}) select {} from room cross join {stage} as staged \
             where room.rows >= 0 and not exists (select from gone as kept where {same})",
            of_staged.join(", ")
        )
    }
}

fn no_room(table: &TableName, name: &str, of_table: &str) -> Error {
    Error::refused(
        ErrorKind::Data,
        format!(
            "cannot write to table \"{table}\": a row breaks a constraint of the table, and rows cannot make room for each \
             other, because the foreign key `{name}` of table \"{of_table}\" refers to them"
        ),
        "Where rows exchange a unique value, declare it `deferrable initially immediate`, which is checked once all of them \
         are in, or let the foreign key do nothing by itself (`on delete no action`).",
    )
}
