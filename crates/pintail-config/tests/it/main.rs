//! What people see when they load a configuration, right or wrong.

#![cfg(test)]

mod datastores;
mod decode;
mod document;
mod location;

/// The variables of the tests.
pub(crate) fn environment(name: &str) -> Option<String> {
    match name {
        "DB_HOST" => Some("db.internal".to_owned()),
        "DB_PORT" => Some("6432".to_owned()),
        "DB_PASSWORD" => Some("hunter2".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}
