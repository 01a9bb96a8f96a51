//! Loading: files to checked values, with errors that point at line and column. Nothing here knows what a
//! pipeline is; see `pintail-sync` for that.
//!
//! - [`document`]: a YAML file becomes a tree of [`Node`]s, each with its position.
//! - [`environment`]: `${VAR}` and `${VAR:-default}` in any value.
//! - [`decode`]: typed readers that collect every mistake.
//! - [`problem`]: what a mistake looks like to a person.
//! - [`datastore`]: named connections; [`datastores`] loads them from `datastores.yaml`.
//! - [`place`]: files, on this machine or in a bucket.
//! - [`global`]: what all pipelines of a project share, from `global_config.yaml`.
//! - [`location`]: the same connections as URLs.
//! - [`secrecy`]: what is never shown.

mod address;
pub mod datastore;
pub mod datastores;
pub mod decode;
pub mod document;
pub mod environment;
pub mod global;
pub mod location;
pub mod nearest;
pub mod node;
mod options;
mod path;
pub mod place;
pub mod problem;
pub mod secrecy;
pub mod systems;
pub mod units;
mod written;

pub use datastore::{Catalogue, Connection, Datastore, Lake, Options};
pub use datastores::Datastores;
pub use document::Document;
pub use environment::Lookup;
pub use global::GlobalConfig;
pub use location::{Location, LocationError};
pub use node::{Node, Value};
pub use place::{Bucket, FileFormat, Files, Place};
pub use problem::{Position, Problem, Problems};
