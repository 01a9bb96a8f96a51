//! Documents (`jsonb`) in binary COPY.
//!
//! The engine writes rows in binary as long as it knows how to write every column so, and otherwise all of them as text,
//! which costs both sides about twice as much. A `jsonb` it does not know, although there is little to it: a byte with the
//! version of the format, and the document as text. That is a text to the engine, if it takes the column for one.
//!
//! ```text
//! a table like the real one, `jsonb` as `text` ─▶ the engine looks at it ─▶ the real one takes its name ─▶ COPY ─▶ names back
//! ```
//!
//! An engine that looked again would send the byte as part of a text, which the server refuses.

use pintail_lake::quote::{self, identifier};
use pintail_lake::{Call, Result};
use pintail_model::TableName;

use super::super::scan::qualified;
use super::columns::Loads;
use super::{Incoming, execute, helper, side_by_side};

/// The version of the format: it is the only one since there is `jsonb`.
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/jsonb.c> (`jsonb_recv`)
const VERSION: &str = "chr(1)";

/// A document as the server reads it from a binary COPY, in the engine's SQL.
pub(super) fn in_binary(name: &str) -> String {
    format!("{VERSION} || {}::varchar", identifier(name))
}

/// Has `copy` fill `table` under the name of a table in which documents are texts.
pub(super) fn shown_as_texts(
    incoming: &Incoming<'_>,
    loads: &Loads,
    table: &TableName,
    copy: impl FnOnce(&TableName) -> Result<()>,
) -> Result<()> {
    let (session, alias) = (incoming.session, incoming.alias);
    let shown = helper("load", incoming);
    let as_text: Vec<String> = loads
        .documents()
        .map(|name| format!("alter column {} type text using null", identifier(name)))
        .collect();
    let make = format!(
        "create table {0} (like {1}); alter table {0} {2}; {3}",
        qualified(&shown),
        qualified(table),
        as_text.join(", "),
        side_by_side::mark(incoming, &shown)
    );
    execute(session, alias, "make a table to be shown to the engine", &make)?;
    let look = format!("from {} limit 0", quote::table(alias, &shown, super::SCHEMA));
    session.query(Call::new("look at the columns of a table"), &look)?;
    let put = format!("drop table {}; {}", qualified(&shown), rename(table, &shown));
    execute(session, alias, "put the real table in its place", &put)?;
    copy(&shown)?;
    execute(
        session,
        alias,
        "give the real table its name",
        &rename(&shown, table),
    )
}

fn rename(table: &TableName, to: &TableName) -> String {
    format!(
        "alter table {} rename to {}",
        qualified(table),
        identifier(&to.table)
    )
}
