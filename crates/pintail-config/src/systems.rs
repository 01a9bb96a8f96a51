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
    /// The options of a server, and `schema`.
    Server(&'static ServerForm),
    /// `path`.
    File,
    /// `path` and `schema`.
    Database,
    /// `catalog`, `data_path`, `metadata_schema`, `schema`, and for a bucket its options with `s3_` before them.
    Lake,
    /// `path`, `format`, `delimiter` and `partition_by`.
    Folder,
    /// `bucket`, `prefix`, `format`, `delimiter`, `partition_by` and the options of a bucket.
    Bucket(Endpoint),
    /// Not built: any keys are taken, so that a configuration can be checked before its system arrives.
    Open,
}

/// Whether an object store has an address of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Amazon's, unless another is named.
    Known,
    /// It has to be named.
    Required,
}

/// How a server is addressed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerForm {
    /// What a URL begins with.
    pub(crate) scheme: &'static str,
    /// The option that names the database.
    pub(crate) database: &'static str,
    /// The schema that is meant if none is named, unless it is the database.
    pub(crate) schema: Option<&'static str>,
    /// The port that is meant if none is named.
    pub(crate) port: &'static str,
    /// Whether an address may name several hosts, as libpq tries them one after the other.
    pub(crate) many_hosts: bool,
    /// Other words for options that other tools have, and ours; in a file only.
    pub(crate) synonyms: &'static [(&'static str, &'static str)],
    /// Every option.
    pub(crate) options: &'static [&'static str],
    /// Options that name a file, relative to where the connection is written down.
    pub(crate) files: &'static [&'static str],
}

/// Postgres, in the words of libpq.
pub(crate) const POSTGRES: ServerForm = ServerForm {
    scheme: "postgres",
    database: "dbname",
    schema: Some("public"),
    port: "5432",
    many_hosts: true,
    synonyms: &[],
    options: LIBPQ_OPTIONS,
    files: LIBPQ_FILES,
};

/// MySQL and MariaDB, in the words of DuckDB's scanner.
/// <https://duckdb.org/docs/stable/core_extensions/mysql#configuration>
pub(crate) const MYSQL: ServerForm = ServerForm {
    scheme: "mysql",
    database: "database",
    schema: None,
    port: "3306",
    many_hosts: false,
    synonyms: &[("dbname", "database")],
    options: &[
        "host",
        "port",
        "user",
        "password",
        "database",
        "socket",
        "compression",
        "ssl_mode",
        "ssl_ca",
        "ssl_capath",
        "ssl_cert",
        "ssl_cipher",
        "ssl_crl",
        "ssl_crlpath",
        "ssl_key",
    ],
    files: &[
        "socket",
        "ssl_ca",
        "ssl_capath",
        "ssl_cert",
        "ssl_crl",
        "ssl_crlpath",
        "ssl_key",
    ],
};

/// Every system, in the order in which they are suggested.
pub const SYSTEMS: &[System] = &[
    System {
        name: "postgres",
        readable: true,
        writable: true,
        form: Form::Server(&POSTGRES),
    },
    System {
        name: "mysql",
        readable: true,
        writable: true,
        form: Form::Server(&MYSQL),
    },
    System {
        name: "sqlite",
        readable: true,
        writable: true,
        form: Form::File,
    },
    System {
        name: "duckdb",
        readable: true,
        writable: true,
        form: Form::Database,
    },
    System {
        name: "ducklake",
        readable: true,
        writable: true,
        form: Form::Lake,
    },
    System {
        name: "files",
        readable: true,
        writable: true,
        form: Form::Folder,
    },
    System {
        name: "s3",
        readable: true,
        writable: true,
        form: Form::Bucket(Endpoint::Known),
    },
    System {
        name: "minio",
        readable: true,
        writable: true,
        form: Form::Bucket(Endpoint::Required),
    },
    later("starrocks"),
    later("clickhouse"),
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

/// The names of the systems for which `fits` holds, for a sentence: "`postgres` and `sqlite`".
#[must_use]
pub fn listed(fits: impl Fn(&System) -> bool) -> String {
    let names: Vec<String> = SYSTEMS
        .iter()
        .filter(|system| fits(system))
        .map(|system| format!("`{}`", system.name))
        .collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// Every option that libpq 17 takes in a connection string, except those for replication.
/// <https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-PARAMKEYWORDS>
const LIBPQ_OPTIONS: &[&str] = &[
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
const LIBPQ_FILES: &[&str] = &[
    "passfile",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
];
