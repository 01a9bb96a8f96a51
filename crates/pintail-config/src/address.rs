//! A datastore written as an address: `Display` for people, [`Datastore::identity`] for names that are derived from it.
//! Neither shows a secret.

use std::fmt;
use std::path::Path;

use pintail_model::TableName;

use crate::datastore::{Catalogue, Connection, Datastore, Lake};
use crate::options::Options;
use crate::place::{Bucket, Files, Owner, Place};
use crate::systems::{Form, POSTGRES, ServerForm};

/// What has to be escaped in a user or database name for the URL to be read back, and what in a path.
const RESERVED_IN_PART: &str = " %/?#@:&";
const RESERVED_IN_PATH: &str = " %?#&";

impl Datastore {
    /// One text for one place, however it was written: absolute paths, the default port, no secrets and no
    /// options that only say how to get there. For names that are derived from addresses.
    #[must_use]
    pub fn identity(&self) -> String {
        let system = &self.system;
        match &self.connection {
            Connection::Server(options) => {
                format!("{system}://{}", server_identity(options, self.server_form()))
            }
            Connection::File(path) => format!("{system}:{}", absolute(path)),
            Connection::Lake(lake) => {
                let catalogue = match &lake.catalogue {
                    Catalogue::Sqlite(path) => format!("sqlite:{}", absolute(path)),
                    Catalogue::Duckdb(path) => format!("duckdb:{}", absolute(path)),
                    Catalogue::Postgres(options) => {
                        format!("postgres://{}", server_identity(options, &POSTGRES))
                    }
                };
                let schema = lake.metadata_schema.as_deref().unwrap_or_default();
                format!("{system}:{catalogue}?metadata_schema={schema}")
            }
            Connection::Files(files) => match &files.place {
                Place::Local(path) => format!("{system}:{}", absolute(path)),
                Place::Bucket(bucket) => {
                    let endpoint = bucket.options.text("endpoint").unwrap_or_default();
                    format!("{bucket}?endpoint={endpoint}")
                }
            },
        }
    }

    /// Whether `table` here and `other` over there are one and the same, as far as names tell: a table without a schema is in
    /// the one that is usual.
    #[must_use]
    pub fn shares(&self, table: &TableName, there: &Self, other: &TableName) -> bool {
        let (one, another) = (self.full_name(table), there.full_name(other));
        let named_alike = match &self.connection {
            Connection::Server(_) | Connection::Files(_) => one == another,
            Connection::File(_) | Connection::Lake(_) => {
                one.0.eq_ignore_ascii_case(another.0) && one.1.eq_ignore_ascii_case(another.1)
            }
        };
        named_alike && self.identity() == there.identity()
    }

    fn full_name<'a>(&'a self, table: &'a TableName) -> (&'a str, &'a str) {
        let usual = match &self.connection {
            Connection::Server(options) => {
                let form = self.server_form();
                form.schema.or_else(|| options.text(form.database))
            }
            Connection::File(_) | Connection::Lake(_) => Some("main"),
            Connection::Files(_) => None,
        };
        let schema = table.schema.as_deref().or(self.schema.as_deref()).or(usual);
        (schema.unwrap_or_default(), &table.table)
    }

    fn server_form(&self) -> &'static ServerForm {
        match self.known_system().map(|system| system.form) {
            Some(Form::Server(form)) => form,
            // Systems that are not built are shown in the same way.
            _ => &POSTGRES,
        }
    }
}

impl fmt::Display for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.connection {
            Connection::Server(options) => {
                write!(f, "{}://{}", self.system, address(options, self.server_form()))
            }
            Connection::File(path) => write!(f, "{}:{}", self.system, escape_path(path)),
            Connection::Lake(lake) => write!(f, "{}:{lake}", self.system),
            Connection::Files(files) => write_files(&self.system, files, f),
        }
    }
}

impl fmt::Display for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let catalogue = self.catalogue.to_string();
        let joint = if catalogue.contains('?') { '&' } else { '?' };
        write!(f, "{catalogue}{joint}data_path=")?;
        match &self.data_path {
            Place::Local(path) => f.write_str(&escape_path(path)),
            Place::Bucket(bucket) => {
                f.write_str(&escaped(bucket))?;
                write_parameters(&bucket.parameters(Owner::DataPath), '&', f)
            }
        }
    }
}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", escape_path(path)),
            Self::Duckdb(path) => write!(f, "duckdb:{}", escape_path(path)),
            Self::Postgres(options) => write!(f, "postgres://{}", address(options, &POSTGRES)),
        }
    }
}

fn write_files(system: &str, files: &Files, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut parameters = match &files.place {
        Place::Local(path) => {
            write!(f, "{system}:{}", escape_path(path))?;
            Vec::new()
        }
        Place::Bucket(bucket) => {
            let address = escaped(bucket);
            write!(f, "{system}{}", address.trim_start_matches("s3"))?;
            bucket.parameters(Owner::Datastore)
        }
    };
    if let Some(format) = files.format {
        parameters.push(("format", format.word()));
    }
    let delimiter = files.delimiter.map(String::from);
    if let Some(delimiter) = &delimiter {
        parameters.push(("delimiter", delimiter));
    }
    let partition_by = files.partition_by.join(",");
    if !partition_by.is_empty() {
        parameters.push(("partition_by", &partition_by));
    }
    write_parameters(&parameters, '?', f)
}

fn write_parameters(parameters: &[(&str, &str)], first: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut joint = first;
    for (name, value) in parameters {
        write!(f, "{joint}{name}={}", escape(value, RESERVED_IN_PATH))?;
        joint = '&';
    }
    Ok(())
}

/// Escapes only what has to be: `größe.db` stays readable.
fn escape(text: &str, reserved: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if reserved.contains(letter) || letter.is_ascii_control() {
            escaped.push_str(&format!("%{:02X}", u32::from(letter)));
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

fn escape_path(path: &Path) -> String {
    escape(&path.to_string_lossy(), RESERVED_IN_PATH)
}

fn escaped(bucket: &Bucket) -> String {
    escape(&bucket.to_string(), RESERVED_IN_PATH)
}

/// `user@host:port/dbname`, with a socket in the query where the system expects it.
fn address(options: &Options, form: &ServerForm) -> String {
    let text = |name| options.text(name).unwrap_or_default();
    let mut address = String::new();
    if !text("user").is_empty() {
        address = format!("{}@", escape(text("user"), RESERVED_IN_PART));
    }
    // libpq takes the folder of a socket for a host, MySQL has a word of its own for the file.
    let socket = ["socket", "host"]
        .into_iter()
        .map(|name| (name, text(name)))
        .find(|(_, path)| path.starts_with('/'));
    if socket.is_none() {
        let mut ports = text("port").split(',');
        let hosts: Vec<String> = text("host")
            .split(',')
            .map(|host| {
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.to_owned()
                };
                match ports.next() {
                    Some(port) if !port.is_empty() => format!("{host}:{port}"),
                    _ => host,
                }
            })
            .collect();
        address.push_str(&hosts.join(","));
    }
    let database = text(form.database);
    if !database.is_empty() {
        address = format!("{address}/{}", escape(database, RESERVED_IN_PART));
    }
    if let Some((name, path)) = socket {
        let port = if text("port").is_empty() {
            String::new()
        } else {
            format!("&port={}", text("port"))
        };
        let slash = if database.is_empty() { "/" } else { "" };
        address = format!("{address}{slash}?{name}={}{port}", escape(path, RESERVED_IN_PATH));
    }
    address
}

fn server_identity(options: &Options, form: &ServerForm) -> String {
    let text = |name| options.text(name).unwrap_or_default();
    let port = if text("port").is_empty() {
        form.port
    } else {
        text("port")
    };
    format!(
        "{}@{}{}:{port}/{}",
        text("user"),
        text("host"),
        text("socket"),
        text(form.database)
    )
}

fn absolute(path: &Path) -> String {
    // Fails only where the current folder is gone or the path is empty; the path as written is then the best
    // name there is.
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .to_string_lossy()
        .into_owned()
}
