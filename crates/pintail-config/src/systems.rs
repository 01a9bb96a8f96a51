//! The systems that a configuration may name, and what of them is built.
//!
//! This table says how a connection is written down, and what this release does with it. How a system is spoken
//! to is the business of its connector.

/// What is known of one system before it is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct System {
    /// The word in `type:`.
    pub name: &'static str,
    /// Whether this release reads from it.
    pub readable: bool,
    /// Whether this release writes to it.
    pub writable: bool,
    pub(crate) form: Form,
}

/// How the connection of a system is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The options of libpq, and `schema`.
    Libpq,
    /// `path`.
    File,
    /// `catalog`, `data_path`, `metadata_schema`, `schema`.
    Lake,
    /// Not built: any keys are taken, so that a configuration can be checked before its system arrives.
    Open,
}

/// Every system, in the order in which they are suggested.
pub const SYSTEMS: &[System] = &[
    System {
        name: "postgres",
        readable: true,
        writable: false,
        form: Form::Libpq,
    },
    System {
        name: "sqlite",
        readable: true,
        writable: false,
        form: Form::File,
    },
    System {
        name: "ducklake",
        readable: false,
        writable: true,
        form: Form::Lake,
    },
    later("mysql"),
    later("starrocks"),
    later("clickhouse"),
    later("duckdb"),
    later("s3"),
    later("minio"),
    later("files"),
];

const fn later(name: &'static str) -> System {
    System {
        name,
        readable: false,
        writable: false,
        form: Form::Open,
    }
}

/// The system of that name.
#[must_use]
pub fn system(name: &str) -> Option<&'static System> {
    SYSTEMS.iter().find(|system| system.name == name)
}

/// Every option that libpq 17 takes in a connection string, except those for replication.
/// <https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-PARAMKEYWORDS>
pub(crate) const LIBPQ_OPTIONS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "require_auth",
    "channel_binding",
    "connect_timeout",
    "client_encoding",
    "options",
    "application_name",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "gssencmode",
    "sslmode",
    "sslnegotiation",
    "sslcompression",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcertmode",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "requirepeer",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "service",
    "target_session_attrs",
    "load_balance_hosts",
];

/// Options that name a file, relative to where the connection is written down.
pub(crate) const LIBPQ_FILES: &[&str] = &[
    "passfile",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
];
