//! What Postgres makes of a query, without running it.

use pintail_lake::{Error, Relation, Result, Session};
use pintail_model::{ErrorKind, LogicalType, Range};

use super::catalog::rows;
use super::scan::from;
use super::types::home;
use pintail_lake::quote::identifier;

/// The types of the expressions of a query. `pg_typeof` does not look at values: of no row it gives the type too. A condition
/// that is never true leaves nothing to plan, where a limit would have workers started and code compiled for nothing.
pub(super) fn types(
    session: &Session,
    alias: &str,
    relation: &Relation,
) -> Result<Vec<(String, Option<LogicalType>)>> {
    let from = from(relation, &Range::Whole);
    let types: Vec<String> = relation
        .expressions()
        .map(|(name, _)| {
            format!(
                "pg_catalog.pg_typeof((select {} from {from} where false))::text as {0}",
                identifier(name)
            )
        })
        .collect();
    // The query is looked at in any case: what is wrong with it should be said before a run begins.
    let sql = match types.as_slice() {
        [] => format!("select 1 as understood from {from} where false"),
        types => format!("select {}", types.join(", ")),
    };
    let found = rows(session, alias, "look at the query of the source", &sql).map_err(explain)?;
    let type_of = |index| {
        let name = found.first().and_then(|row| row.text(index)).unwrap_or_default();
        (name.to_owned(), home(name, 0))
    };
    Ok((0..types.len()).map(type_of).collect())
}

/// Postgres' own words: it was asked about names and types, so no value is in them.
fn explain(error: Error) -> Error {
    let Error::Statement { source, .. } = &error else {
        return error;
    };
    let Some((_, said)) = source.raw_text().rsplit_once("ERROR:") else {
        return error;
    };
    let said = said.lines().next().unwrap_or_default().trim();
    Error::refused(
        ErrorKind::Invalid,
        format!("the source does not understand its `join`, `filters` or expressions: {said}"),
        "They are SQL of the source. Columns are named with the alias of their table, as `o.status`.",
    )
}
