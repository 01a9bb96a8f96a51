//! Quoting for SQL that Postgres reads.

/// A text literal, whatever `standard_conforming_strings` says: with a backslash in it, it is an `E''` literal.
pub(super) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// A value of a connection string of libpq.
pub(super) fn connection_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
