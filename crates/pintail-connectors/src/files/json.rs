//! What stands in JSON files: one object a line, or a list of objects.
//!
//! JSON says of each value what it is, so all of them are looked at once, and a column gets the type that fits all of
//! its values. Nothing is taken for a date.
//!
//! | values of a column | type |
//! |---|---|
//! | whole numbers | `bigint` |
//! | numbers | `double`: JSON's numbers are doubles to most programs, and to the engine's reader too |
//! | `true` and `false` | `boolean` |
//! | texts | `varchar` |
//! | objects, lists, or of several kinds | `json` |
//! | nothing but `null` | `varchar` |
//!
//! `null` and a missing key are NULL.

use pintail_lake::quote::literal;
use pintail_lake::{Call, Result, Session};

/// The columns of files as a struct of the engine: `{'id': 'BIGINT', …}`.
pub(super) fn columns(session: &Session, names: &str) -> Result<String> {
    let sql = format!(
        "select name, string_agg(distinct json_type(json -> name), ' ' order by json_type(json -> name)), min(place)
         from (select json, unnest(json_keys(json)) as name, generate_subscripts(json_keys(json), 1) as place
               from read_json_objects({names}, format = 'auto'))
         group by name
         order by 3, 1"
    );
    let rows = session.query(Call::new("look through JSON files"), &sql)?;
    let column = |row: &pintail_lake::Row| {
        let name = literal(row.text(0).unwrap_or_default());
        format!("{name}: '{}'", fitting(row.text(1).unwrap_or_default()))
    };
    let columns: Vec<String> = rows.iter().map(column).collect();
    Ok(format!("{{{}}}", columns.join(", ")))
}

/// The type that fits all kinds of values.
fn fitting(kinds: &str) -> &'static str {
    let all = |known: &[&str]| {
        kinds
            .split(' ')
            .all(|kind| kind == "NULL" || known.contains(&kind))
    };
    if all(&["VARCHAR"]) {
        "VARCHAR"
    } else if all(&["BIGINT", "UBIGINT"]) {
        "BIGINT"
    } else if all(&["DOUBLE", "BIGINT", "UBIGINT"]) {
        "DOUBLE"
    } else if all(&["BOOLEAN"]) {
        "BOOLEAN"
    } else {
        "JSON"
    }
}
