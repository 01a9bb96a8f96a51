//! The one form of addresses on a command line.
//!
//! | address | what it names |
//! |---|---|
//! | `postgres://user:password@host:port/dbname?sslmode=require` | a Postgres database; `postgresql://` is the same |
//! | `mysql://user:password@host:port/database?ssl_mode=required` | a MySQL or MariaDB database; `mariadb://` is the same |
//! | `sqlite:path`, `sqlite:///absolute/path` | a SQLite file |
//! | `duckdb:path`, `duckdb:///absolute/path` | a DuckDB file |
//! | `ducklake:sqlite:path?data_path=folder` | a lake whose catalogue is a SQLite file |
//! | `ducklake:duckdb:path?data_path=folder` | a lake whose catalogue is a DuckDB file |
//! | `ducklake:postgres://…/dbname?data_path=folder` | a lake whose catalogue is a Postgres database |
//! | `ducklake:…?data_path=s3://bucket/prefix&s3_region=…` | a lake whose files lie in a bucket |
//! | `files:folder/`, `files:folder/*.parquet` | a folder whose entries are tables, or files that are one table |
//! | `s3://bucket/prefix/?region=…&endpoint=…` | the same in a bucket; `minio://` is the same and needs `endpoint` |
//!
//! Pintail takes its own keys `table`, `schema`, `format`, `delimiter`, `partition_by`, `data_path` and `metadata_schema` out of the
//! query; the rest belongs to the system. Everything is percent-decoded. The Postgres form is the one of libpq: IPv6 in brackets,
//! several hosts with commas, a socket as `postgres:///dbname?host=/folder`; MySQL has a socket as
//! `mysql:///database?socket=/file`.
//!
//! A bucket takes `endpoint` (`http://host:port` of a server other than Amazon's), `region`, `access_key_id`,
//! `secret_access_key`, `session_token`, `url_style` (`path` or `vhost`) and `use_ssl`; behind `ducklake:` each with
//! `s3_` before it. What is not given is taken from the usual variables of AWS (`AWS_ACCESS_KEY_ID`, …) when the
//! bucket is first needed.
//!
//! Without `data_path`, the files of a lake with a catalogue in a file lie beside it: `lake.sqlite` has
//! `lake.files/`. A catalogue in Postgres has no such place, so there it has to be said.
//!
//! A location never shows its password, and neither does the error about a malformed one.

mod bucket;
mod query;
mod server;

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use pintail_model::{ErrorKind, TableName};

use crate::datastore::{Catalogue, Connection, Datastore, Lake, resolve, resolve_files};
use crate::location::bucket::{parse_bucket, parse_folder, refuse_options, take_options};
use crate::location::query::Query;
use crate::location::server::parse_server;
use crate::nearest::nearest;
use crate::place::{Owner, Place};
use crate::secrecy::redact;
use crate::systems::{MYSQL, POSTGRES, SYSTEMS, listed, system};

/// Every form, for those who wrote none of them.
const FORMS: &str = "the forms are `postgres://…`, `mysql://…`, `sqlite:<path>`, `duckdb:<path>`, \
                     `ducklake:<catalogue>`, `files:<path>` and `s3://<bucket>/…`";

/// A datastore, and perhaps a table in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The datastore; its name is the address without secrets.
    pub datastore: Datastore,
    /// The table, if the address names one; with the schema, if it names that too.
    pub table: Option<TableName>,
}

impl Location {
    /// Reads an address; relative paths are relative to `base`.
    pub fn parse(address: &str, base: &Path) -> Result<Self, LocationError> {
        parse(address, base).map_err(|reason| LocationError {
            location: redact(address),
            message: reason.message,
            hint: reason.hint,
        })
    }

    /// The schema of tables that are named without one.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.datastore.schema.as_deref()
    }

    /// `table` as this location means it: in the location's schema, if it names none itself.
    #[must_use]
    pub fn qualify(&self, table: TableName) -> TableName {
        TableName {
            schema: table.schema.or_else(|| self.datastore.schema.clone()),
            ..table
        }
    }
}

impl fmt::Display for Location {
    /// The address without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.datastore.fmt(f)
    }
}

/// An address that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the location `{location}`: {message}")]
pub struct LocationError {
    /// The address without secrets.
    pub location: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl LocationError {
    /// A wrong address is always the reader's to change.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// What is wrong, before it is known with which address. Never quotes a part that could belong to a password.
#[derive(Debug)]
pub(crate) struct Reason {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Reason {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn parse(address: &str, base: &Path) -> Result<Location, Reason> {
    let (scheme, rest) = split_scheme(address)?;
    let (body, mut query) = Query::split(rest)?;
    let mut table = query
        .take("table")?
        .map(|table| parse_table(&table))
        .transpose()?;
    let schema = query.take("schema")?;
    let (system, connection) = match scheme {
        "postgres" | "postgresql" => {
            let options = parse_server(body, query, &POSTGRES)?;
            (
                "postgres",
                Connection::Server(resolve_files(&options, &POSTGRES, base)),
            )
        }
        "mysql" | "mariadb" => {
            let options = parse_server(body, query, &MYSQL)?;
            ("mysql", Connection::Server(resolve_files(&options, &MYSQL, base)))
        }
        "sqlite" => {
            query.finish(&["table"])?;
            ("sqlite", Connection::File(parse_path(body, base)?))
        }
        "duckdb" => {
            query.finish(&["table", "schema"])?;
            ("duckdb", Connection::File(parse_path(body, base)?))
        }
        "ducklake" => ("ducklake", Connection::Lake(parse_lake(body, query, base)?)),
        "files" => ("files", Connection::Files(parse_folder(body, query, base)?)),
        "s3" => ("s3", Connection::Files(parse_bucket(body, query)?)),
        "minio" => {
            let files = parse_bucket(body, query)?;
            if files.endpoint().is_none() {
                return Err(
                    Reason::new("`endpoint` is missing: MinIO has no address of its own")
                        .hint("add `?endpoint=http://host:9000`"),
                );
            }
            ("minio", Connection::Files(files))
        }
        other => return Err(unknown_scheme(other)),
    };
    if let Some(table) = &mut table
        && table.schema.is_none()
    {
        table.schema.clone_from(&schema);
    }
    let mut datastore = Datastore {
        name: String::new(),
        system: system.to_owned(),
        schema,
        connection,
        base: base.to_owned(),
    };
    datastore.name = datastore.to_string();
    Ok(Location { datastore, table })
}

/// The catalogue of a lake, as it is written behind `ducklake:` and in `catalog:`.
pub(crate) fn parse_catalogue(text: &str, base: &Path) -> Result<Catalogue, Reason> {
    let (body, query) = Query::split(text)?;
    catalogue(body, query, base)
}

/// Where the files of a lake lie if nobody says so.
pub(crate) fn default_data_path(catalogue: &Catalogue) -> Option<Place> {
    match catalogue {
        Catalogue::Sqlite(path) | Catalogue::Duckdb(path) => Some(Place::Local(path.with_extension("files"))),
        Catalogue::Postgres(_) => None,
    }
}

fn parse_lake(body: &str, mut query: Query, base: &Path) -> Result<Lake, Reason> {
    let mut data_path = query
        .take("data_path")?
        .map(|path| Place::parse(&path, base))
        .transpose()?;
    match &mut data_path {
        Some(Place::Bucket(bucket)) => take_options(&mut query, Owner::DataPath, bucket)?,
        _ => refuse_options(&query)?,
    }
    let metadata_schema = query.take("metadata_schema")?;
    let catalogue = catalogue(body, query, base)?;
    let data_path = data_path
        .or_else(|| default_data_path(&catalogue))
        .ok_or_else(|| {
            Reason::new("`data_path` is missing: a catalogue in Postgres has no folder beside it")
                .hint("add `?data_path=<folder>`")
        })?;
    Ok(Lake {
        catalogue,
        data_path,
        metadata_schema,
    })
}

fn catalogue(body: &str, query: Query, base: &Path) -> Result<Catalogue, Reason> {
    match body.split_once(':') {
        Some(("sqlite", path)) => {
            query.finish(&["table", "schema", "data_path", "metadata_schema"])?;
            Ok(Catalogue::Sqlite(parse_path(path, base)?))
        }
        Some(("duckdb", path)) => {
            query.finish(&["table", "schema", "data_path", "metadata_schema"])?;
            Ok(Catalogue::Duckdb(parse_path(path, base)?))
        }
        Some(("postgres" | "postgresql", rest)) => Ok(Catalogue::Postgres(resolve_files(
            &parse_server(rest, query, &POSTGRES)?,
            &POSTGRES,
            base,
        ))),
        _ => Err(Reason::new(
            "the catalogue of a lake is `sqlite:<path>`, `duckdb:<path>` or `postgres://…`",
        )),
    }
}

fn split_scheme(address: &str) -> Result<(&str, &str), Reason> {
    let is_scheme = |scheme: &str| {
        scheme.len() > 1
            && scheme
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    };
    address
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
        .ok_or_else(|| {
            let reason = Reason::new("it does not begin with a system");
            match Path::new(address)
                .extension()
                .and_then(|extension| extension.to_str())
            {
                Some("db" | "sqlite" | "sqlite3") => {
                    reason.hint("a SQLite file is written as `sqlite:<path>`")
                }
                Some("duckdb") => reason.hint("a DuckDB file is written as `duckdb:<path>`"),
                Some("parquet" | "csv" | "json") => reason.hint("files are written as `files:<path>`"),
                _ => reason.hint(FORMS),
            }
        })
}

fn unknown_scheme(scheme: &str) -> Reason {
    if system(scheme).is_some() {
        return Reason::new(format!("`{scheme}` is not built yet")).hint(format!(
            "this release reads from {} and writes to {}",
            listed(|system| system.readable),
            listed(|system| system.writable)
        ));
    }
    // What stands before the first colon may be a user name, but never a password.
    let reason = Reason::new(format!("`{scheme}` is not a system"));
    match nearest(scheme, SYSTEMS.iter().map(|system| system.name)) {
        Some(meant) => reason.hint(format!("did you mean `{meant}`?")),
        None => reason.hint(FORMS),
    }
}

/// `path`, `//` + absolute path.
fn parse_path(text: &str, base: &Path) -> Result<PathBuf, Reason> {
    let path = match text.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(_) => {
            return Err(Reason::new("a path after `//` has to be absolute")
                .hint("write `folder/file` or `///folder/file` behind the colon"));
        }
        None => text,
    };
    if path.is_empty() {
        return Err(Reason::new("the path is empty"));
    }
    Ok(resolve(base, &decode(path)?))
}

fn parse_table(text: &str) -> Result<TableName, Reason> {
    TableName::parse(text).ok_or_else(|| {
        Reason::new("`table` is not a table name")
            .hint("the forms are `table`, `schema.table` and `\"odd.name\"`")
    })
}

/// Percent-decoding; a `%` that begins no escape stands for itself.
fn decode(text: &str) -> Result<String, Reason> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Reason::new("a percent-escape is not UTF-8"))
}
