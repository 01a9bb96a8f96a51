//! Lists as texts that Postgres reads as arrays.
//! <https://www.postgresql.org/docs/17/arrays.html#ARRAYS-IO>

use pintail_model::Element;

/// The array literal of a list, in the engine's SQL. A list among lists that is NULL has no place in an array: the
/// statement fails.
pub(super) fn literal(list: &str, element: Element, depth: u8) -> String {
    format!(
        "case when {list} is not null then {} end",
        braces(list, element, depth)
    )
}

fn braces(list: &str, element: Element, depth: u8) -> String {
    // Each level needs a name of its own.
    let item = format!("item{depth}");
    let written = if depth > 1 {
        format!(
            "case when {item} is null then error('an array cannot hold NULL in place of an array') else {} end",
            braces(&item, element, depth - 1)
        )
    } else {
        format!(
            "case when {item} is null then 'NULL' else {} end",
            quoted(&item, element)
        )
    };
    format!("'{{' || array_to_string(list_transform({list}, lambda {item} : {written}), ',') || '}}'")
}

fn quoted(item: &str, element: Element) -> String {
    match element {
        Element::Bytes => format!("'\"\\\\x' || hex({item}) || '\"'"),
        _ => format!("'\"' || replace(replace({item}::varchar, '\\', '\\\\'), '\"', '\\\"') || '\"'"),
    }
}
