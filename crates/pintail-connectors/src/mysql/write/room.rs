//! Room for unique values: rows that exchange one are taken away together, and come in again.
//!
//! MySQL looks at a unique index row by row, and the first of two rows that exchange a value meets the other one. So where a table
//! has further unique indexes, staged rows are looked up by these, too, before any of them comes in. If one meets a row with
//! another key, all rows under staged keys go and come in again; what they have in columns that are not staged is kept in a
//! helping table meanwhile.
//!
//! A foreign key that refers to the table leaves no room: InnoDB looks at it at once. Indexes over expressions are not looked at.

use std::collections::BTreeMap;

use pintail_lake::{Error, FaultClass, Result};
use pintail_model::{ErrorKind, TableName};

use super::super::catalog::rows;
use super::super::quote::{identifier, literal, plain_text, table as qualified};
use super::columns::Loads;
use super::server::{count, execute};
use super::temporary::{Helper, Helpers};
use super::upsert::{list, same_key};

/// What a table with further unique indexes says of rows that make room for each other.
pub(super) struct Room {
    /// How a staged row is looked up by each of these indexes.
    lookups: Vec<String>,
    /// The foreign key that leaves no room, and its table.
    referring: Option<(String, String)>,
    /// The table of what rows have in `others`, which are columns that are not staged.
    away: TableName,
    others: Vec<String>,
}

impl Room {
    /// `None` if nothing but the key keeps rows of the table apart. `keyed` says that there is a unique index on the key. What is
    /// needed to make room is made: it cannot be any more once rows move.
    pub(super) fn of(helpers: &Helpers<'_>, loads: &Loads, keyed: bool) -> Result<Option<Self>> {
        let indexes = unique_indexes(helpers)?;
        if indexes.len() <= usize::from(keyed) {
            return Ok(None);
        }
        let key = &helpers.incoming.key;
        let is_key = |index: &Vec<Part>| {
            let named = |part: &Part| part.column.as_ref().is_some_and(|name| key.contains(name));
            index.len() == key.len() && index.iter().all(|part| named(part) && part.letters.is_none())
        };
        let lookups = indexes.iter().filter(|index| !is_key(index));
        let room = Self {
            lookups: lookups.filter_map(|index| lookup(index, loads)).collect(),
            referring: referring(helpers)?,
            away: helpers.named(Helper::Away),
            others: others(helpers)?,
        };
        if room.referring.is_none() && !room.others.is_empty() {
            let columns: Vec<&str> = key.iter().chain(&room.others).map(String::as_str).collect();
            let sql = format!(
                "create table {} engine = InnoDB select {} from {} where false",
                qualified(&room.away),
                list(&columns),
                qualified(helpers.incoming.table)
            );
            helpers.execute("make a table for rows that are away", &sql)?;
        }
        Ok(Some(room))
    }

    /// Whether a staged row meets one with another key, which a foreign key does not hold.
    pub(super) fn is_needed(
        &self,
        helpers: &Helpers<'_>,
        stage: &TableName,
        key: &[(&str, &str)],
    ) -> Result<bool> {
        if self.referring.is_some() {
            return Ok(false);
        }
        let incoming = helpers.incoming;
        for lookup in &self.lookups {
            let met = format!(
                "{} as staged straight_join {} as kept on {lookup} where not ({})",
                qualified(stage),
                qualified(incoming.table),
                same_key(key)
            );
            let label = "look for rows that exchange unique values";
            if count(incoming.session, incoming.alias, label, &met)? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the rows under staged keys away. `together` are these, as `kept`, beside staged ones.
    pub(super) fn make(&self, helpers: &Helpers<'_>, together: &str, key: &[(&str, &str)]) -> Result<()> {
        let incoming = helpers.incoming;
        let label = format!("make room for rows of table \"{}\"", incoming.table);
        let run = |sql: &str| execute(incoming.session, incoming.alias, &label, sql);
        if !self.others.is_empty() {
            let names = key.iter().map(|(name, _)| *name);
            let columns: Vec<String> = names
                .chain(self.others.iter().map(String::as_str))
                .map(|name| format!("kept.{}", identifier(name)))
                .collect();
            run(&format!(
                "insert into {} select {} from {together}",
                qualified(&self.away),
                columns.join(", ")
            ))?;
        }
        run(&format!("delete kept from {together}"))
    }

    /// The statements that bring all staged rows in, after those under their keys are gone.
    pub(super) fn fill(
        &self,
        stage: &TableName,
        table: &TableName,
        pairs: &[(&str, &str)],
        key: &[(&str, &str)],
    ) -> Vec<String> {
        let (names, labels): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        let of_staged: Vec<String> = labels
            .iter()
            .map(|label| format!("staged.{}", identifier(label)))
            .collect();
        let new = format!(
            "insert into {} ({}) select {} from {} as staged",
            qualified(table),
            list(&names),
            of_staged.join(", "),
            qualified(stage)
        );
        if self.others.is_empty() {
            return vec![new];
        }
        let (away, same) = (qualified(&self.away), same_key(key));
        let others = self
            .others
            .iter()
            .map(|name| format!("kept.{}", identifier(name)));
        let values: Vec<String> = of_staged.into_iter().chain(others).collect();
        let all: Vec<&str> = names
            .into_iter()
            .chain(self.others.iter().map(String::as_str))
            .collect();
        let again = format!(
            "insert into {} ({}) select {} from {} as staged join {away} as kept on {same}",
            qualified(table),
            list(&all),
            values.join(", "),
            qualified(stage)
        );
        vec![
            again,
            format!("{new} where not exists (select 1 from {away} as kept where {same})"),
        ]
    }

    /// What a row that was refused has to do with the foreign key.
    pub(super) fn explain(&self, table: &TableName, error: Error) -> Error {
        let (Error::Statement { source, .. }, Some((name, of_table))) = (&error, &self.referring) else {
            return error;
        };
        if source.class != FaultClass::Constraint {
            return error;
        }
        tracing::warn!(%table, %error, "rows were refused");
        Error::refused(
            ErrorKind::Data,
            format!(
                "cannot write to table \"{table}\": a row breaks a constraint of the table, and rows cannot make room for \
                 each other, because the foreign key `{name}` of table \"{of_table}\" refers to them"
            ),
            "Rows that exchange a unique value have to be away for a moment, which InnoDB does not allow where others refer \
             to them: drop the unique index of the destination, or the foreign key.",
        )
    }
}

/// A column of an index, and how many letters of it count.
struct Part {
    /// `None` for an expression.
    column: Option<String>,
    letters: Option<i64>,
}

fn unique_indexes(helpers: &Helpers<'_>) -> Result<Vec<Vec<Part>>> {
    let incoming = helpers.incoming;
    let sql = format!(
        "select {} as name, {} as col, cast(sub_part as signed) as letters from information_schema.statistics \
         where non_unique = 0 and {} order by index_name, seq_in_index",
        plain_text("index_name"),
        plain_text("column_name"),
        this_table(helpers, "table_schema", "table_name")
    );
    let label = "look up the unique indexes of a table";
    let mut indexes: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    for row in rows(incoming.session, incoming.alias, label, &sql)? {
        let part = Part {
            column: row.text(1).map(str::to_owned),
            letters: row.integer(2),
        };
        let name = row.text(0).unwrap_or_default().to_owned();
        indexes.entry(name).or_default().push(part);
    }
    Ok(indexes.into_values().collect())
}

/// The condition under which a staged row and one of the table meet in an index, as far as staged columns can tell. `None` if they
/// cannot.
fn lookup(index: &[Part], loads: &Loads) -> Option<String> {
    let mut conditions = Vec::new();
    for part in index {
        let name = part.column.as_deref()?;
        let Some(load) = loads.get(name) else {
            continue;
        };
        let (kept, staged) = (identifier(&load.name), identifier(&load.label));
        conditions.push(match part.letters {
            Some(letters) => format!("left(kept.{kept}, {letters}) = left(staged.{staged}, {letters})"),
            None => format!("kept.{kept} = staged.{staged}"),
        });
    }
    (!conditions.is_empty()).then(|| conditions.join(" and "))
}

fn referring(helpers: &Helpers<'_>) -> Result<Option<(String, String)>> {
    let incoming = helpers.incoming;
    let sql = format!(
        "select {} as name, {} as of_table from information_schema.key_column_usage where {} limit 1",
        plain_text("constraint_name"),
        plain_text("table_name"),
        this_table(helpers, "referenced_table_schema", "referenced_table_name")
    );
    let label = "look up which foreign keys refer to a table";
    let found = rows(incoming.session, incoming.alias, label, &sql)?;
    Ok(found
        .first()
        .and_then(|row| Some((row.text(0)?.to_owned(), row.text(1)?.to_owned()))))
}

/// Columns of the table that are not staged and have values of their own.
fn others(helpers: &Helpers<'_>) -> Result<Vec<String>> {
    let incoming = helpers.incoming;
    let sql = format!(
        "select {} as name from information_schema.columns where {} and coalesce(generation_expression, '') = '' \
         order by ordinal_position",
        plain_text("column_name"),
        this_table(helpers, "table_schema", "table_name")
    );
    let label = "look up the columns of a table";
    let found = rows(incoming.session, incoming.alias, label, &sql)?;
    let is_staged = |name: &str| incoming.columns.iter().any(|column| column.name == name);
    Ok(found
        .iter()
        .filter_map(|row| row.text(0))
        .filter(|name| !is_staged(name))
        .map(str::to_owned)
        .collect())
}

fn this_table(helpers: &Helpers<'_>, schema: &str, name: &str) -> String {
    let table = helpers.incoming.table;
    format!(
        "{schema} = {} and {name} = {}",
        literal(table.schema_or(helpers.database)),
        literal(&table.table)
    )
}
