//! Names that MySQL takes.

use pintail_lake::{Error, Result};
use pintail_model::{ErrorKind, TableName};

/// Letters of a name at most.
const LETTERS_MAX: usize = 64;

/// Why MySQL takes no such name; `None` if it does.
pub(super) fn refused(name: &str) -> Option<String> {
    if name.chars().count() > LETTERS_MAX {
        return Some(format!("MySQL takes names of {LETTERS_MAX} letters at most"));
    }
    if name.is_empty() || name.ends_with(' ') {
        return Some("MySQL takes no name that is empty or ends with a space".to_owned());
    }
    let odd = |letter| letter == '\0' || letter > '\u{ffff}';
    name.contains(odd)
        .then(|| "MySQL takes no letters beyond U+FFFF in names".to_owned())
}

/// Refuses a table that cannot exist.
pub(super) fn check_table(table: &TableName) -> Result<()> {
    let names = table.schema.iter().chain([&table.table]);
    match names.filter_map(|name| refused(name)).next() {
        None => Ok(()),
        Some(reason) => Err(Error::refused(
            ErrorKind::Invalid,
            format!("there can be no table \"{table}\": {reason}"),
            "Choose another name.",
        )),
    }
}
