//! Rows without a key: all copies of those that go are taken away, and as many as there are to be come in.

use pintail_lake::Result;
use pintail_lake::database::Brought;
use pintail_model::LogicalType;

use super::super::quote::{identifier, table as qualified};
use super::columns::{Load, Loads};
use super::server::{begin_anew, count, execute};
use super::stage::{into_view, kept_view, load, make_stage};
use super::temporary::{Helper, Helpers};

/// Takes rows away, and adds others.
pub(super) fn bring_in(helpers: &Helpers<'_>, loads: &Loads) -> Result<Brought> {
    let incoming = helpers.incoming;
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    // No table can be made any more once rows move.
    let gone = make_stage(helpers, loads, Helper::Gone)?;
    let into = into_view(helpers, loads, table)?;
    let kept = kept_view(helpers, loads, &format!("{} as kept", qualified(table)))?;
    begin_anew(session, alias)?;
    let mut deleted = 0;
    if !incoming.gone.is_empty() {
        let going = incoming.going(incoming.columns, incoming.attempt);
        let going = Helpers {
            incoming: &going,
            ..*helpers
        };
        load(&going, loads, &gone)?;
        let equal = format!(
            "{} as kept join {} as staged on {}",
            qualified(table),
            qualified(&gone),
            loads.0.iter().map(same).collect::<Vec<_>>().join(" and ")
        );
        deleted = count(session, alias, "count the rows that go", &equal)?;
        incoming.check_copies(deleted)?;
        let label = format!("remove rows of table \"{table}\"");
        execute(session, alias, &label, &format!("delete kept from {equal}"))?;
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

/// Whether a value is the staged one. A collation takes different texts for the same.
fn same(load: &Load) -> String {
    let (name, label) = (identifier(&load.name), identifier(&load.label));
    match load.staged {
        LogicalType::Text => format!("cast(kept.{name} as binary) <=> cast(staged.{label} as binary)"),
        _ => format!("kept.{name} <=> staged.{label}"),
    }
}
