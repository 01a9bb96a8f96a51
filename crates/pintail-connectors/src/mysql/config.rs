//! From a datastore to a connection of DuckDB's scanner.

use pintail_config::{Datastore, Options};
use pintail_lake::connector::Attachment;
use pintail_lake::extension::MYSQL;
use pintail_lake::quote;
use pintail_model::Secret;

/// How the scanner delivers values. These hold for the whole engine, and are the same for every MySQL in it.
const SETTINGS: &[&str] = &[
    // A `tinyint(1)` holds -128 to 127, of which a boolean would leave two.
    "set global mysql_tinyint1_as_boolean = false",
    "set global mysql_bit1_as_boolean = true",
    // DuckDB's TIME has no sign and ends after 24 hours: -01:00 would arrive as 01:00.
    "set global mysql_time_as_time = false",
    "set global mysql_incomplete_dates_as_nulls = false",
    // A `timestamp` arrives as the wall clock of the session shows it.
    "set global mysql_session_time_zone = '+00:00'",
    // MySQL's maximum of a text, and its order, are not the engine's.
    "set global mysql_aggregate_pushdown_enabled = false",
    "set global mysql_order_pushdown_enabled = false",
];

/// Used where the datastore does not say otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    // The scanner would ask for it, and then the server compresses on the thread that reads: in a network of today that
    // takes four times as long as sending the rows as they are.
    ("compression", "disabled"),
];

/// How one server is reached.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// A connection string without the password.
    options: Secret,
    password: Option<Secret>,
    /// Everything that must not be shown.
    secrets: Vec<Secret>,
}

impl Connection {
    pub(super) fn of(datastore: &Datastore) -> Self {
        let none = Options::default();
        let options = datastore.options().unwrap_or(&none);
        let secrets = options
            .iter()
            .filter_map(|(name, _)| options.secret(name).cloned())
            .collect();
        let defaults = DEFAULTS
            .iter()
            .filter(|(name, _)| options.iter().all(|(given, _)| given != *name));
        let parts: Vec<String> = options
            .iter()
            .filter(|(name, _)| *name != "password")
            .map(|(name, setting)| (name, setting.expose()))
            .chain(defaults.copied())
            .map(|(name, value)| format!("{name}={}", connection_value(value)))
            .collect();
        Self {
            options: Secret::new(parts.join(" ")),
            password: options.secret("password").cloned(),
            secrets,
        }
    }

    /// The password travels in a secret of the engine: DuckDB repeats the connection string in its errors and in
    /// `duckdb_databases()`, but never a secret. There is always one, so that no secret that the user happens to have
    /// stored for DuckDB itself is picked up.
    pub(super) fn attachment(&self, alias: &str) -> Attachment {
        let name = quote::identifier(&format!("pintail_{alias}"));
        let password = self
            .password
            .as_ref()
            .map(|password| format!(", password {}", quote::literal(password.expose())))
            .unwrap_or_default();
        let secret = format!("create or replace temporary secret {name} (type mysql{password})");
        let attach = format!(
            "attach {} as {} (type mysql, read_only, secret {name})",
            quote::literal(self.options.expose()),
            quote::identifier(alias),
        );
        let settings = SETTINGS.iter().map(|setting| Secret::new((*setting).to_owned()));
        Attachment {
            extensions: vec![MYSQL],
            statements: settings
                .chain([Secret::new(secret), Secret::new(attach)])
                .collect(),
            secrets: self.secrets.clone(),
        }
    }
}

/// A value of a connection string: `a"b` becomes `"a\"b"`.
fn connection_value(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
