//! `datastores.yaml`: the named connections of a project.
//!
//! ```yaml
//! datastores:
//!   erp:
//!     type: postgres
//!     connection: { host: db, port: 5432, user: sync, password: "${ERP_PASSWORD}", dbname: erp, schema: public }
//!   shop:
//!     type: sqlite
//!     connection: { path: shop.db }
//!   lake:
//!     type: ducklake
//!     connection: { catalog: "sqlite:lake.sqlite", data_path: lake.files/ }
//! ```
//!
//! | type | keys of `connection` |
//! |---|---|
//! | `postgres` | every option of libpq (`host`, `port`, `user`, `password`, `dbname`, `sslmode`, …) and `schema` |
//! | `mysql` | `host`, `port`, `user`, `password`, `database` (or `dbname`), `socket`, `ssl_mode`, `ssl_ca`, … and `schema` |
//! | `sqlite`, `duckdb` | `path`; for `duckdb` also `schema` |
//! | `ducklake` | `catalog` (as in a URL), `data_path`, `metadata_schema`, `schema`; for a `data_path` in a bucket the keys of `s3` with `s3_` before them |
//! | `files` | `path` (a folder or a pattern), `format` (`parquet`, `csv`, `json`), `delimiter`, `partition_by` |
//! | `s3`, `minio` | `bucket`, `prefix`, `endpoint`, `region`, `access_key_id`, `secret_access_key`, `session_token`, `url_style`, `use_ssl`, `format`, `delimiter`, `partition_by` |
//!
//! A bucket also takes the words of other tools: `access_key`, `secret_key`, `aws_access_key_id` and so on. What it
//! is not given is taken from the usual variables of AWS.
//!
//! Systems that are not built yet load with any keys, so that a file can name them before they arrive.

mod bucket;

pub use self::bucket::partition_columns;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::datastore::{Connection, Datastore, Lake, Options, resolve, resolve_files};
use crate::decode::{Decoder, Fields, Shape, mapping, one_of, scalar, shape_of, text, whole_number};
use crate::document::Document;
use crate::environment::Lookup;
use crate::location::{default_data_path, parse_catalogue};
use crate::nearest::did_you_mean;
use crate::node::Node;
use crate::problem::Problems;
use crate::systems::{Form, SYSTEMS, ServerForm, System, system};

/// All datastores of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datastores {
    /// The file they came from.
    pub file: PathBuf,
    by_name: BTreeMap<String, Datastore>,
}

impl Datastores {
    /// Loads a `datastores.yaml`.
    pub fn load(file: &Path, lookup: Lookup<'_>) -> Result<Self, Problems> {
        Self::decode(Document::read(file, lookup)?)
    }

    /// Loads from a text; `file` is its name for messages, and its folder the one of relative paths.
    pub fn parse(file: &Path, text: &str, lookup: Lookup<'_>) -> Result<Self, Problems> {
        Self::decode(Document::parse(file, text, lookup)?)
    }

    /// The datastore of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Datastore> {
        self.by_name.get(name)
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.by_name.keys().map(String::as_str)
    }

    /// What a `datastores.yaml` takes.
    #[must_use]
    pub fn shape() -> Shape {
        shape_of(|node, decoder| read(Path::new(""), node, decoder))
    }

    fn decode(document: Document) -> Result<Self, Problems> {
        let file = document.file.clone();
        let base = file.parent().map(Path::to_owned).unwrap_or_default();
        let by_name = document.decode(|node, decoder| read(&base, node, decoder))?;
        Ok(Self {
            file,
            by_name: by_name.into_iter().collect(),
        })
    }
}

fn read(base: &Path, node: &Node, decoder: &mut Decoder) -> Option<Vec<(String, Datastore)>> {
    let mut fields = decoder.fields(node)?;
    let datastores = fields.required(
        "datastores",
        mapping(|name, node, decoder| datastore(name, base, node, decoder)),
    );
    fields.finish();
    datastores
}

fn datastore(name: &str, base: &Path, node: &Node, decoder: &mut Decoder) -> Option<Datastore> {
    if decoder.probing() {
        let shapes = SYSTEMS.iter().map(|system| shape(system, base)).collect();
        decoder.takes(|| Shape::Either(shapes));
        return None;
    }
    let mut fields = decoder.fields(node)?;
    let system = fields.required("type", system_name);
    let parts = match system {
        Some(system) => fields.required("connection", |node, decoder| {
            connection(system, base, node, decoder)
        }),
        // Without the type nobody knows which keys are right.
        None => fields.required("connection", |_, _| None),
    };
    fields.finish();
    let (connection, schema) = parts?;
    Some(Datastore {
        name: name.to_owned(),
        system: system?.name.to_owned(),
        schema,
        connection,
        base: base.to_owned(),
    })
}

/// What a datastore of one system takes: its type decides which keys its connection has.
fn shape(system: &'static System, base: &Path) -> Shape {
    shape_of(|node, decoder| {
        let mut fields = decoder.fields(node)?;
        fields.required("type", one_of("a system", &[(system.name, ())]));
        fields.required("connection", |node, decoder| {
            connection(system, base, node, decoder)
        });
        fields.finish();
        Some(())
    })
}

/// Reads the word of `type:`.
pub fn system_name(node: &Node, decoder: &mut Decoder) -> Option<&'static System> {
    if decoder.takes(|| Shape::Words(SYSTEMS.iter().map(|system| system.name).collect())) {
        return None;
    }
    let word = text(node, decoder)?;
    let found = system(&word);
    if found.is_none() {
        let asked = if node.hidden() { "" } else { &word };
        let hint = did_you_mean(asked, SYSTEMS.iter().map(|system| system.name));
        decoder.expected_with_hint("a system", node, hint);
    }
    found
}

type Parts = (Connection, Option<String>);

fn connection(system: &System, base: &Path, node: &Node, decoder: &mut Decoder) -> Option<Parts> {
    if system.form == Form::Open {
        let options = mapping(|_, node, decoder| scalar(node, decoder))(node, decoder)?;
        return Some((Connection::Server(options.into_iter().collect()), None));
    }
    let mut fields = decoder.fields(node)?;
    let parts = match system.form {
        Form::Server(form) => Some(server(form, base, &mut fields)),
        Form::File => {
            let path = fields.required("path", text);
            path.map(|path| (Connection::File(resolve(base, &path)), None))
        }
        Form::Database => {
            let path = fields.required("path", text);
            let schema = fields.optional("schema", text);
            path.map(|path| (Connection::File(resolve(base, &path)), schema))
        }
        Form::Folder => bucket::folder(base, &mut fields),
        Form::Bucket(endpoint) => bucket::bucket(endpoint, &mut fields),
        Form::Lake | Form::Open => lake(base, &mut fields),
    };
    fields.finish();
    parts
}

fn server(form: &ServerForm, base: &Path, fields: &mut Fields<'_, '_>) -> Parts {
    let mut options = Options::default();
    for name in form.options {
        let value = match *name {
            "port" => fields.optional("port", ports),
            "connect_timeout" => fields
                .optional(name, whole_number(0_u32..))
                .map(|seconds| seconds.to_string()),
            name => fields.optional(name, scalar),
        };
        if let Some(value) = value {
            options.insert(*name, value);
        }
    }
    for (word, name) in form.synonyms {
        if let Some(value) = fields.optional(word, scalar) {
            options.insert(*name, value);
        }
    }
    let schema = fields.optional("schema", text);
    (Connection::Server(resolve_files(&options, form, base)), schema)
}

/// One port, or several with commas as there are hosts.
fn ports(node: &Node, decoder: &mut Decoder) -> Option<String> {
    let text = scalar(node, decoder)?;
    let valid = text
        .split(',')
        .all(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !valid {
        decoder.expected("a port from 1 to 65535", node);
    }
    valid.then_some(text)
}

fn lake(base: &Path, fields: &mut Fields<'_, '_>) -> Option<Parts> {
    let catalogue = fields.required("catalog", |node, decoder| {
        let catalogue = text(node, decoder)?;
        parse_catalogue(&catalogue, base)
            .map_err(|reason| decoder.problem_with_hint(node.position, reason.message, reason.hint))
            .ok()
    });
    let data_path = bucket::data_path(base, fields);
    let metadata_schema = fields.optional("metadata_schema", text);
    let schema = fields.optional("schema", text);
    let catalogue = catalogue?;
    let Some(data_path) = data_path.or_else(|| default_data_path(&catalogue)) else {
        let at = fields.position();
        fields.decoder().problem(
            at,
            "key `data_path` is missing: a catalogue in Postgres has no folder beside it",
        );
        return None;
    };
    Some((
        Connection::Lake(Lake {
            catalogue,
            data_path,
            metadata_schema,
        }),
        schema,
    ))
}
