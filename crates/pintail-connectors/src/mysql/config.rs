//! From a datastore to a connection of DuckDB's scanner.

use std::net::SocketAddr;

use pintail_config::{Datastore, Options};
use pintail_lake::connector::{Attachment, Endpoint};
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
    /// The same without the place.
    options_elsewhere: Secret,
    password: Option<Secret>,
    /// Everything that must not be shown.
    secrets: Vec<Secret>,
    endpoint: Result<Endpoint, &'static str>,
}

/// The port of a server that names none.
const PORT: u16 = 3306;

/// The one place that `options` name, if it may be reached by way of another one.
///
/// The client library takes `localhost` for a socket. Of a server that listens at 127.0.0.1, as a relay does, it checks
/// no certificate, whatever was asked for: what is encrypted *and* proven must not go through a relay.
fn endpoint(options: &Options) -> Result<Endpoint, &'static str> {
    if options.text("socket").is_some() {
        return Err("it is reached by a `socket`");
    }
    let host = match options.text("host") {
        None | Some("") => return Err("no `host` is given"),
        Some("localhost") => return Err("`localhost` may be a socket: `host: 127.0.0.1` is not"),
        Some(host) => host,
    };
    let proven = options.text("ssl_mode").is_some_and(|mode| {
        let unproven = ["disabled", "preferred"];
        !unproven.contains(&mode.to_ascii_lowercase().as_str())
    });
    if proven {
        return Err(
            "its `ssl_mode` asks for a proof of who answers, which is not to be had on the way through a cap",
        );
    }
    let port = options.text("port").map_or(Ok(PORT), str::parse);
    Ok(Endpoint {
        host: host.to_owned(),
        port: port.map_err(|_| "its `port` is no number")?,
    })
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
        let given = options.iter().map(|(name, setting)| (name, setting.expose()));
        let all: Vec<(&str, &str)> = given.chain(defaults.copied()).collect();
        let without = |left_out: &[&str]| {
            let kept = all.iter().filter(|(name, _)| !left_out.contains(name));
            let parts: Vec<String> = kept
                .map(|(name, value)| format!("{name}={}", connection_value(value)))
                .collect();
            Secret::new(parts.join(" "))
        };
        Self {
            options: without(&["password"]),
            options_elsewhere: without(&["password", "host", "port"]),
            password: options.secret("password").cloned(),
            secrets,
            endpoint: endpoint(options),
        }
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, &'static str> {
        self.endpoint.clone()
    }

    /// The attachment whose connections go to `relay`.
    pub(super) fn attachment_through(&self, alias: &str, relay: SocketAddr) -> Attachment {
        let options = format!(
            "host={} port={} {}",
            relay.ip(),
            relay.port(),
            self.options_elsewhere.expose()
        );
        Self {
            options: Secret::new(options),
            ..self.clone()
        }
        .attachment(alias)
    }

    /// The password travels in a secret of the engine: DuckDB repeats the connection string in its errors and in
    /// `duckdb_databases()`, but never a secret. There is always one, so that no secret that the user happens to have
    /// stored for DuckDB itself is picked up.
    pub(super) fn attachment(&self, alias: &str) -> Attachment {
        self.attach(alias, "read_only, ")
    }

    /// The attachment of a destination.
    pub(super) fn writing(&self, alias: &str) -> Attachment {
        self.attach(alias, "")
    }

    fn attach(&self, alias: &str, how: &str) -> Attachment {
        let name = quote::identifier(&format!("pintail_{alias}"));
        let password = self
            .password
            .as_ref()
            .map(|password| format!(", password {}", quote::literal(password.expose())))
            .unwrap_or_default();
        let secret = format!("create or replace temporary secret {name} (type mysql{password})");
        let attach = format!(
            "attach {} as {} (type mysql, {how}secret {name})",
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

/// The attachment with a pool of so many connections, which keeps the size that it was made with. How connections are
/// taken from it is looked up each time, for all pools of the engine alike.
pub(super) fn capped(attachment: Attachment, connections: u32) -> Attachment {
    let before = [
        format!("set global mysql_pool_size = {connections}"),
        "set global mysql_pool_acquire_mode = 'wait'".to_owned(),
    ];
    let after = "reset global mysql_pool_size".to_owned();
    Attachment {
        statements: before
            .into_iter()
            .map(Secret::new)
            .chain(attachment.statements)
            .chain([Secret::new(after)])
            .collect(),
        ..attachment
    }
}

/// A value of a connection string: `a"b` becomes `"a\"b"`.
fn connection_value(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
