//! Two sides of a table, compared by one join.

use pintail_lake::quote::{identifier, identifiers};
use pintail_lake::{Call, Engine, Session};

use super::{RowDifference, TableChange, TableDifference};
use crate::error::Result;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::manifest::{ColumnEntry, TableEntry};
use crate::place::Fetched;
use crate::table_file::TableFile;

/// One side of a table.
pub(super) struct Side {
    pub(super) entry_name: String,
    pub(super) columns: Vec<ColumnEntry>,
    pub(super) primary_key: Vec<String>,
    pub(super) rows: Rows,
}

/// Where the rows of a side are.
pub(super) enum Rows {
    /// In a relation of the engine, as this query says.
    Live(String),
    /// In the file of a snapshot, which is fetched when it is compared.
    Kept(SnapshotId, Box<TableEntry>),
}

impl Rows {
    /// A query for them, which holds as long as what was fetched.
    fn fetch(&self, with: &Comparison<'_>) -> Result<(String, Option<Fetched>)> {
        match self {
            Self::Live(query) => Ok((query.clone(), None)),
            Self::Kept(id, entry) => {
                let fetched = with.folder.fetch(with.engine, id, entry)?;
                let file = TableFile::of(&entry.name(), &entry.schema.columns)?;
                Ok((file.hashed_file(fetched.path()), Some(fetched)))
            }
        }
    }
}

/// Two sides, compared table by table.
pub(super) struct Comparison<'a> {
    pub(super) folder: &'a ProjectFolder,
    pub(super) engine: &'a Engine,
    pub(super) session: &'a Session,
    /// Keys that are named of each table.
    pub(super) limit: u64,
}

impl Comparison<'_> {
    pub(super) fn tables(&self, before: Vec<Side>, mut after: Vec<Side>) -> Result<Vec<TableDifference>> {
        let mut tables = Vec::new();
        for side in before {
            let same_name = |other: &Side| other.entry_name.eq_ignore_ascii_case(&side.entry_name);
            let (change, rows) = match after.iter().position(same_name) {
                None => (TableChange::Removed, Vec::new()),
                Some(index) => self.table(&side, &after.remove(index))?,
            };
            tables.push(TableDifference {
                table: side.entry_name,
                change,
                rows,
            });
        }
        tables.extend(after.into_iter().map(|side| TableDifference {
            table: side.entry_name,
            change: TableChange::Added,
            rows: Vec::new(),
        }));
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        Ok(tables)
    }

    fn table(&self, before: &Side, after: &Side) -> Result<(TableChange, Vec<RowDifference>)> {
        let shape = |column: &ColumnEntry| (column.name.clone(), column.data_type.clone(), column.generated);
        let told = |own: &Side, other: &Side| -> Vec<String> {
            let has =
                |column: &&ColumnEntry| !other.columns.iter().any(|known| shape(known) == shape(column));
            let shown = |column: &ColumnEntry| format!("{} {}", column.name, column.data_type);
            own.columns.iter().filter(has).map(shown).collect()
        };
        let (gone, came) = (told(before, after), told(after, before));
        if !gone.is_empty() || !came.is_empty() {
            let change = TableChange::Columns {
                now: came,
                before: gone,
            };
            return Ok((change, Vec::new()));
        }
        let label = format!("compare table \"{}\"", before.entry_name);
        let (rows_before, _before) = before.rows.fetch(self)?;
        let (rows_after, _after) = after.rows.fetch(self)?;
        let joined = joined(before, after, &rows_before, &rows_after);
        let counts = self.session.query(
            Call::new(&label),
            &format!("select change, sum(times)::bigint from ({joined}) as differences group by change"),
        )?;
        let count = |change: &str| {
            let row = counts.iter().find(|row| row.text(0) == Some(change));
            let number = row.and_then(|row| row.integer(1)).unwrap_or(0);
            u64::try_from(number).unwrap_or(0)
        };
        let (added, removed, changed) = (count("added"), count("removed"), count("changed"));
        if added + removed + changed == 0 {
            return Ok((TableChange::Same, Vec::new()));
        }
        let mut rows = Vec::new();
        if self.limit > 0 {
            let sql = format!(
                "select * exclude (times) from ({joined}) as differences order by all limit {}",
                self.limit
            );
            for mut row in self.session.table(Call::new(&label), &sql)?.rows {
                let change = row.remove(0).unwrap_or_default();
                rows.push(RowDifference { change, key: row });
            }
        }
        let change = TableChange::Rows {
            added,
            removed,
            changed,
        };
        Ok((change, rows))
    }
}

/// The rows that differ: what happened, to how many, and their keys.
fn joined(before: &Side, after: &Side, rows_before: &str, rows_after: &str) -> String {
    let key = &before.primary_key;
    if !key.is_empty() && *key == after.primary_key {
        let on: Vec<String> = key
            .iter()
            .map(|column| format!("b.{0} is not distinct from a.{0}", identifier(column)))
            .collect();
        let keys: Vec<String> = key
            .iter()
            .map(|column| format!("coalesce(b.{0}, a.{0}) as {0}", identifier(column)))
            .collect();
        let hash = identifier(TableFile::ROW_HASH);
        return format!(
            "select case when b.{hash} is null then 'added' when a.{hash} is null then 'removed' else 'changed' end
               as change, 1 as times, {}
             from ({}) as b full join ({}) as a on {}
             where b.{hash} is distinct from a.{hash}",
            keys.join(", "),
            rows_before,
            rows_after,
            on.join(" and ")
        );
    }
    // Rows without a key are as many as they are: counted by their hash, which one row stands for.
    let columns: Vec<&str> = before
        .columns
        .iter()
        .filter(|column| !column.generated)
        .map(|column| column.name.as_str())
        .collect();
    let shown: Vec<String> = columns
        .iter()
        .map(|column| format!("any_value({0}) as {0}", identifier(column)))
        .collect();
    let hash = identifier(TableFile::ROW_HASH);
    let names = identifiers(&columns);
    format!(
        "select if(balance > 0, 'added', 'removed') as change, abs(balance) as times, {names}
         from (
           select sum(side) as balance, {}
           from (select *, -1 as side from ({}) union all by name select *, 1 as side from ({}))
           group by {hash}
         )
         where balance <> 0",
        shown.join(", "),
        rows_before,
        rows_after
    )
}
