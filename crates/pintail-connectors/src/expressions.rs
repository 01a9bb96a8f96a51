//! What the engine makes of a query over tables that it reads itself, without running it.

use pintail_lake::quote::identifier;
use pintail_lake::{Call, Error, Relation, Result, Session};
use pintail_model::{ErrorKind, LogicalType};

/// The types of the expressions of a query, whose rows are `from`. `home` says what a type is kept as.
pub(crate) fn types(
    session: &Session,
    from: &str,
    relation: &Relation,
    home: fn(&str) -> Option<LogicalType>,
) -> Result<Vec<(String, Option<LogicalType>)>> {
    // The query is looked at in any case: what is wrong with it should be said before a run begins.
    let names: Vec<String> = relation.expressions().map(|(name, _)| identifier(name)).collect();
    let looked_at = match names.as_slice() {
        [] => "1 as understood".to_owned(),
        names => names.join(", "),
    };
    let sql = format!("select column_type from (describe select {looked_at} from {from} as s)");
    let rows = session
        .query(Call::new("look at the query of the source"), &sql)
        .map_err(explain)?;
    let types = rows.iter().map(|row| {
        let name = row.text(0).unwrap_or_default();
        (name.to_owned(), home(name))
    });
    Ok(types.take(names.len()).collect())
}

/// The engine's own words: it was asked about names and types, so no value is in them.
fn explain(error: Error) -> Error {
    let Error::Statement { source, .. } = &error else {
        return error;
    };
    let said = source.raw_text().lines().next().unwrap_or_default();
    let Some((_, said)) = ["Binder Error: ", "Catalog Error: ", "Parser Error: "]
        .iter()
        .find_map(|class| said.split_once(class))
    else {
        return error;
    };
    Error::refused(
        ErrorKind::Invalid,
        format!("the source does not understand its `join`, `filters` or expressions: {said}"),
        "They are SQL of the source, here DuckDB's. Columns are named with the alias of their table, as `o.status`.",
    )
}
