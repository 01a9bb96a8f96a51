//! Rows without a key that go: some copies of each, told apart by where they lie.
//!
//! Rows are equal if their texts are, as Postgres writes a whole row: that tells NULL from an empty text and -0.0 from 0.0, has
//! a form for types that know no equality (`json`), and can be looked up by its hash.

use pintail_lake::Result;
use pintail_lake::commit::COPIES;
use pintail_lake::database::{DatabaseWriter, Incoming};
use pintail_lake::quote::identifier;
use pintail_model::{Column, LogicalType};

use super::super::scan::qualified;
use super::columns::{self, Loads};
use super::{execute, helper, number};

/// Deletes copies of the rows that go. Returns how many.
pub(super) fn remove(incoming: &Incoming<'_>, writer: &dyn DatabaseWriter) -> Result<u64> {
    if incoming.gone.is_empty() {
        return Ok(0);
    }
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    let word = format!("{}_gone", incoming.attempt);
    let mut staged_columns = incoming.columns.to_vec();
    staged_columns.push(Column {
        name: COPIES.to_owned(),
        logical_type: LogicalType::Int64,
        nullable: false,
        origin: None,
    });
    let going = incoming.going(&staged_columns, &word);
    let loads = Loads::of(&going, writer)?;
    let stage = helper("stage", &going);
    columns::stage(&going, &loads, &stage)?;
    let text = |side: &str| {
        let values: Vec<String> = loads
            .0
            .iter()
            .filter(|load| load.name != COPIES)
            .map(|load| value(side, &load.name, &load.native))
            .collect();
        format!("row({})::text", values.join(", "))
    };
    let found = format!(
        "select part, place from (
           select kept.tableoid as part, kept.ctid as place, staged.{COPIES} as copies,
             row_number() over (partition by staged.pintail_row) as nth
           from {} as kept
           join (select {}, row_number() over () as pintail_row from {}) as staged on {} = {}
         ) as found where nth <= copies",
        qualified(table),
        loads.named_values(),
        qualified(&stage),
        text("kept"),
        text("staged")
    );
    let count = format!("select count(*) as rows from ({found}) as found");
    let rows = number(session, alias, "count the rows that go", &count)?;
    incoming.check_copies(rows)?;
    let sql = format!(
        "delete from {} where (tableoid, ctid) in ({found}); {}",
        qualified(table),
        columns::drop_table(&stage)
    );
    let label = format!("remove rows of table \"{table}\"");
    execute(session, alias, &label, &sql)?;
    Ok(rows)
}

/// A value as it is compared. A number has as many digits as it needs, whatever it was written with.
fn value(side: &str, name: &str, native: &str) -> String {
    let value = format!("{side}.{}", identifier(name));
    match native.starts_with("numeric") && !native.ends_with("[]") {
        true => format!("pg_catalog.trim_scale({value})"),
        false => value,
    }
}
