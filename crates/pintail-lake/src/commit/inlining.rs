//! Keeps rows and deletes of our tables out of the catalogue, whoever writes them.
//!
//! Our engines inline nothing. Another program that deletes one row of a table writes that delete into the catalogue,
//! unless the table says otherwise, and DuckLake has open faults where such a delete meets delete files. So the table
//! says otherwise. It can do so only when it is there: between the commit that makes it and this option, a stranger's
//! small delete would be inlined still.

use pintail_model::TableName;

use super::lease::Lease;
use crate::error::Result;
use crate::lake::{ALIAS, Lake};
use crate::metadata;
use crate::quote;
use crate::session::Call;

/// A table that a commit went into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The commit made it.
    Made,
    /// It was there, under this number.
    Found(i64),
}

/// The option of DuckLake that says how many rows of a statement are kept in the catalogue.
const LIMIT: &str = "data_inlining_row_limit";

/// Turns inlining off for a table, unless it has a limit of its own. A failure changes nothing about what is committed:
/// it is logged, and the next commit of another attachment tries again.
pub(super) fn refuse(lake: &Lake, table: &TableName, target: Target, lease: &Lease) {
    // Whose lease was passed over may be writing to the catalogue.
    if lease.passed_over() {
        return;
    }
    if let Err(error) = refuse_once(lake, table, target) {
        tracing::warn!(%table, %error, "other programs may inline rows of this table");
    }
}

fn refuse_once(lake: &Lake, table: &TableName, target: Target) -> Result<()> {
    let session = lake.session()?;
    if let Target::Found(table_id) = target
        && (!lake.first_commit_to(table_id) || metadata::table_option(lake, &session, table_id, LIMIT)?)
    {
        return Ok(());
    }
    let sql = format!(
        "call {ALIAS}.set_option('{LIMIT}', 0, schema => {}, table_name => {})",
        quote::literal(table.schema_or("main")),
        quote::literal(&table.table)
    );
    session.batch(
        Call::new("keep rows of a table out of the catalogue").protected(),
        &sql,
    )
}
