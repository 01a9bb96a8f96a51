//! From a datastore to a connection of libpq.

use std::net::SocketAddr;

use pintail_config::{Datastore, Options};
use pintail_lake::connector::{Attachment, Endpoint};
use pintail_lake::extension::POSTGRES;
use pintail_lake::location::Catalogue;
use pintail_lake::quote::{self, connection_value};
use pintail_model::Secret;

/// Used where the datastore does not say otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    // Shows up in `pg_stat_activity`.
    ("application_name", "pintail"),
    // Seconds. libpq itself would wait as long as the system does, which is minutes for a firewall that says nothing.
    ("connect_timeout", "10"),
];

/// Used whatever the datastore says. The server converts to UTF-8, or refuses what is not text; without it, text of a
/// database in another encoding would arrive as other letters.
const FIXED: &[(&str, &str)] = &[("client_encoding", "UTF8")];

/// How one Postgres database is reached.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// Options of libpq without the password.
    options: Secret,
    password: Option<Secret>,
    /// Everything that must not be shown.
    secrets: Vec<Secret>,
    endpoint: Option<Endpoint>,
}

/// The catalogue of a lake: a Postgres database that is reached as a source is.
pub(crate) fn catalogue(options: &Options, address: String, metadata_schema: String) -> Catalogue {
    // The lake adds settings of its own to these, and libpq takes one list.
    const APART: &str = "options";
    let connection = Connection::new(options, &[APART]);
    let given = options.iter().find(|(name, _)| *name == APART);
    Catalogue::Postgres {
        connection: connection.options,
        options: given.map_or_else(String::new, |(_, setting)| setting.expose().to_owned()),
        password: connection.password,
        secrets: connection.secrets,
        address,
        metadata_schema,
    }
}

/// The one place that options of libpq name, if it is reached over TCP.
fn endpoint(options: &Options) -> Option<Endpoint> {
    let given = |wanted: &str| {
        let mut found = options.iter().filter(|(name, _)| *name == wanted);
        found.next().map(|(_, setting)| setting.expose().to_owned())
    };
    let host = given("hostaddr").or_else(|| given("host"))?;
    let port = given("port").unwrap_or_else(|| "5432".to_owned());
    let socket = host.is_empty() || host.starts_with(['/', '@']);
    if socket || host.contains(',') {
        return None;
    }
    Some(Endpoint {
        host,
        port: port.parse().ok()?,
    })
}

impl Connection {
    pub(super) fn of(datastore: &Datastore) -> Self {
        let none = Options::default();
        Self::new(datastore.options().unwrap_or(&none), &[])
    }

    /// Reads `options`, but for those that are handed over `apart`.
    fn new(options: &Options, apart: &[&str]) -> Self {
        let password = options.secret("password").cloned();
        let secrets = options
            .iter()
            .filter_map(|(name, _)| options.secret(name).cloned())
            .collect();
        let defaults = DEFAULTS
            .iter()
            .filter(|(name, _)| options.iter().all(|(given, _)| given != *name));
        let given = options
            .iter()
            .map(|(name, setting)| (name, setting.expose()))
            .filter(|(name, _)| *name != "password" && !apart.contains(name))
            .filter(|(name, _)| FIXED.iter().all(|(fixed, _)| fixed != name));
        let parts: Vec<String> = given
            .chain(defaults.copied())
            .chain(FIXED.iter().copied())
            .map(|(name, value)| format!("{name}={}", connection_value(value)))
            .collect();
        Self {
            options: Secret::new(parts.join(" ")),
            password,
            secrets,
            endpoint: endpoint(options),
        }
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, &'static str> {
        self.endpoint
            .clone()
            .ok_or("no single `host` and `port` is given")
    }

    /// The attachment whose connections go to `relay`. The host keeps its name, by which certificates are checked.
    pub(super) fn attachment_through(&self, alias: &str, relay: SocketAddr) -> Attachment {
        // Of an option that is given twice, libpq takes the last.
        let options = format!(
            "{} hostaddr={} port={}",
            self.options.expose(),
            connection_value(&relay.ip().to_string()),
            connection_value(&relay.port().to_string())
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
        self.attach(alias, "read_only")
    }

    /// The attachment of a destination. Each statement sees what was committed before it began: whoever waited for a
    /// lock sees what its holder did.
    pub(super) fn writing(&self, alias: &str) -> Attachment {
        self.attach(alias, "isolation_level 'read committed'")
    }

    fn attach(&self, alias: &str, how: &str) -> Attachment {
        let name = quote::identifier(&format!("pintail_{alias}"));
        let password = self
            .password
            .as_ref()
            .map(|password| format!(", password {}", quote::literal(password.expose())))
            .unwrap_or_default();
        let secret = format!("create or replace temporary secret {name} (type postgres{password})");
        let attach = format!(
            "attach {} as {} (type postgres, {how}, secret {name})",
            quote::literal(self.options.expose()),
            quote::identifier(alias),
        );
        Attachment {
            extensions: vec![POSTGRES],
            statements: vec![Secret::new(secret), Secret::new(attach)],
            secrets: self.secrets.clone(),
        }
    }
}
