//! The answer to a table that does not exist: which one may have been meant.

use pintail_config::nearest::nearest;
use pintail_lake::Error;
use pintail_model::{ErrorKind, TableName};

/// A `NotFound` that names the table, and the nearest of `known` if one is near.
pub(crate) fn missing_table(address: &str, wanted: &TableName, known: &[TableName]) -> Error {
    Error::Refused {
        kind: ErrorKind::NotFound,
        message: format!("cannot find table \"{wanted}\" in {address}"),
        hint: meant(wanted, known).map(|meant| format!("Did you mean `{meant}`?")),
    }
}

fn meant<'a>(wanted: &TableName, known: &'a [TableName]) -> Option<&'a TableName> {
    let same_name = || {
        known
            .iter()
            .find(|name| name.table.eq_ignore_ascii_case(&wanted.table))
    };
    let by_text = |text: &str, of: &dyn Fn(&TableName) -> String| {
        let texts: Vec<String> = known.iter().map(of).collect();
        let found = nearest(text, texts.iter().map(String::as_str))?;
        let index = texts.iter().position(|text| text == found)?;
        known.get(index)
    };
    same_name()
        .or_else(|| by_text(&wanted.to_string(), &ToString::to_string))
        .or_else(|| by_text(&wanted.table, &|name| name.table.clone()))
}
