//! Where a lake lies: its catalogue and its data path.

use std::path::PathBuf;

use pintail_model::Secret;
use pintail_storage::BucketSettings;

use crate::extension::{DUCKLAKE, Extension, HTTPFS, POSTGRES, SQLITE};

/// The database that holds a lake's metadata. Kinds differ in who may commit: see [`crate::commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Catalogue {
    /// A SQLite file: one committer at a time, any number of readers in any number of processes.
    Sqlite(PathBuf),
    /// A DuckDB file: one process, any number of its threads.
    DuckDb(PathBuf),
    /// A schema of a PostgreSQL database: any number of processes.
    Postgres {
        /// libpq connection string (`host=… user=…`), without `password` and without `options`.
        connection: Secret,
        /// libpq's `options` (`-c …`): settings of the server's session. Pintail adds its own.
        options: String,
        /// The password. It is handed over apart from the connection string, which DuckDB shows.
        password: Option<Secret>,
        /// What must never be shown: the password, and secret parts of the connection string.
        secrets: Vec<Secret>,
        /// The address without secrets, for people.
        address: String,
        /// The schema that holds the metadata tables.
        metadata_schema: String,
    },
}

/// A lake: a catalogue and a folder for its data files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeLocation {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// The folder that holds the data files, absolute; or `s3://bucket/prefix`.
    pub data_path: PathBuf,
    /// How the bucket is reached, if the data files lie in one.
    pub bucket: Option<BucketSettings>,
}

impl LakeLocation {
    /// The address without secrets, in the form that the command line takes.
    #[must_use]
    pub fn address(&self) -> String {
        let catalogue = match &self.catalogue {
            Catalogue::Sqlite(path) => format!("sqlite:{}", path.display()),
            Catalogue::DuckDb(path) => format!("duckdb:{}", path.display()),
            Catalogue::Postgres { address, .. } => address.clone(),
        };
        format!("ducklake:{catalogue}?data_path={}", self.data_path.display())
    }

    /// The address, with everything that tells two lakes apart. No secrets.
    #[must_use]
    pub fn identity(&self) -> String {
        match &self.catalogue {
            Catalogue::Postgres { metadata_schema, .. } if metadata_schema != "public" => {
                format!("{}&metadata_schema={metadata_schema}", self.address())
            }
            _ => self.address(),
        }
    }

    /// The extensions that an engine needs for this lake.
    #[must_use]
    pub fn extensions(&self) -> Vec<Extension> {
        let catalogue = match self.catalogue {
            Catalogue::Sqlite(_) => Some(SQLITE),
            Catalogue::DuckDb(_) => None,
            Catalogue::Postgres { .. } => Some(POSTGRES),
        };
        let store = self.bucket.as_ref().map(|_| HTTPFS);
        std::iter::once(DUCKLAKE).chain(catalogue).chain(store).collect()
    }
}
