//! From a datastore to its connector: the only place that tells systems apart by name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pintail_config::{Catalogue as Given, Datastore, Place};
use pintail_lake::connector::Connector;
use pintail_lake::database::DatabaseWriter;
use pintail_lake::location::{Catalogue, LakeLocation};
use pintail_lake::{DatabaseFile, DatabasePlace, DestinationPlace, Error, Result};
use pintail_model::{ErrorKind, TableName};
use pintail_storage::BucketSettings;

use crate::duckdb::{DuckDbDestination, DuckDbSource};
use crate::ducklake::LakeSource;
use crate::files::{self, FilesPlace, FilesSource};
use crate::mysql::{MySqlDestination, MySqlSource};
use crate::postgres::{self, PostgresDestination, PostgresSource};
use crate::sqlite::{SqliteDestination, SqliteSource};

/// Systems that tables can be read from.
pub const SOURCES: &[&str] = &[
    "postgres", "mysql", "sqlite", "duckdb", "ducklake", "files", "s3", "minio",
];

/// Systems that tables can be written to.
pub const DESTINATIONS: &[&str] = &[
    "ducklake", "postgres", "mysql", "sqlite", "duckdb", "files", "s3", "minio",
];

/// The schema of a Postgres catalogue's own tables, unless the lake names another.
const METADATA_SCHEMA: &str = "public";

/// The connector that reads `datastore`.
///
/// # Errors
/// `Invalid` for a system that is not built, with the list of those that are.
pub fn source(datastore: &Datastore) -> Result<Box<dyn Connector>> {
    match datastore.system.as_str() {
        "postgres" => Ok(Box::new(PostgresSource::new(datastore))),
        "mysql" => Ok(Box::new(MySqlSource::new(datastore))),
        "sqlite" => Ok(Box::new(SqliteSource::new(datastore))),
        "duckdb" => Ok(Box::new(DuckDbSource::new(datastore))),
        "ducklake" => Ok(Box::new(LakeSource::new(datastore, lake_location(datastore)?))),
        "files" => Ok(Box::new(FilesSource::new("files", datastore))),
        "s3" => Ok(Box::new(FilesSource::new("s3", datastore))),
        "minio" => Ok(Box::new(FilesSource::new("minio", datastore))),
        other => Err(Error::refused(
            ErrorKind::Invalid,
            format!(
                "cannot read from datastore `{}`: a source of type `{other}` is not built yet",
                datastore.name
            ),
            format!("Tables can be read from {}.", listed(SOURCES)),
        )),
    }
}

/// The table that a datastore is by itself, a file or a pattern for files: it needs no name, and has one for its copy.
/// `None` for a place that holds tables.
#[must_use]
pub fn only_table(datastore: &Datastore) -> Option<TableName> {
    files::only_table(&datastore.files()?.place)
}

/// The place that `datastore` names, to be written to. What is on its way to a database is staged below the local folder
/// `stage`.
///
/// # Errors
/// `Invalid` for a system that is not built, or for a place that cannot be written to.
pub fn destination(datastore: &Datastore, stage: &Path) -> Result<Box<dyn DestinationPlace>> {
    let database = |writer: Arc<dyn DatabaseWriter>| -> Result<Box<dyn DestinationPlace>> {
        Ok(Box::new(DatabasePlace::new(writer, absolute(stage)?)))
    };
    match datastore.system.as_str() {
        "postgres" => database(Arc::new(PostgresDestination::new(datastore))),
        "mysql" => database(Arc::new(MySqlDestination::new(datastore)?)),
        "sqlite" => database(Arc::new(SqliteDestination::new(datastore))),
        "duckdb" => database(Arc::new(DuckDbDestination::new(datastore))),
        "ducklake" => Ok(Box::new(lake_location(datastore)?)),
        "files" | "s3" | "minio" => Ok(Box::new(FilesPlace::new(datastore)?)),
        other => Err(Error::refused(
            ErrorKind::Invalid,
            format!(
                "cannot write to datastore `{}`: a destination of type `{other}` is not built yet",
                datastore.name
            ),
            format!("Tables can be written to {}.", listed(DESTINATIONS)),
        )),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|source| Error::File {
        action: "find",
        path: path.to_path_buf(),
        source,
    })
}

/// The DuckDB file that `datastore` is.
///
/// # Errors
/// `Invalid` for a datastore of another system.
pub fn database_file(datastore: &Datastore) -> Result<DatabaseFile> {
    match (datastore.system.as_str(), datastore.path()) {
        ("duckdb", Some(path)) => Ok(DatabaseFile {
            path: path.to_path_buf(),
            address: datastore.to_string(),
        }),
        (other, _) => Err(Error::refused(
            ErrorKind::Invalid,
            format!(
                "`{}` is of type `{other}`, and snapshots are taken of DuckDB files and lakes",
                datastore.name
            ),
            "Write the path of the file, `duckdb:<path>`, or the address of a lake.",
        )),
    }
}

/// The bucket that `datastore` names, and where keys in it begin: for files that are no tables.
///
/// # Errors
/// `Invalid` for a datastore of another system, and for one that says how tables are read.
pub fn bucket_folder(datastore: &Datastore) -> Result<(BucketSettings, String)> {
    let refused = |what: &str, hint: &str| {
        let message = format!("`{}` {what}", datastore.name);
        Err(Error::refused(ErrorKind::Invalid, message, hint))
    };
    const FORM: &str = "Write the path of a folder, or `s3://bucket/prefix`.";
    let Some(files) = datastore.files() else {
        return refused("is no place for files", FORM);
    };
    let Place::Bucket(bucket) = &files.place else {
        return refused("is no bucket", FORM);
    };
    if bucket.prefix.contains(['*', '?', '[']) {
        return refused("is a pattern, and no folder of a bucket", FORM);
    }
    if files.format.is_some() || files.delimiter.is_some() || !files.partition_by.is_empty() {
        return refused(
            "says how tables are read, and names none",
            "Leave `format`, `delimiter` and `partition_by` out.",
        );
    }
    Ok((crate::bucket::settings(bucket), bucket.prefix.clone()))
}

/// Where the lake lies that `datastore` names.
///
/// # Errors
/// `Invalid` for a datastore that is no lake.
pub fn lake_location(datastore: &Datastore) -> Result<LakeLocation> {
    let Some(lake) = datastore.lake() else {
        return Err(Error::refused(
            ErrorKind::Invalid,
            format!(
                "cannot write to datastore `{}`: a destination of type `{}` is not built yet",
                datastore.name, datastore.system
            ),
            "Tables can be written to `ducklake`.",
        ));
    };
    let catalogue = match &lake.catalogue {
        Given::Sqlite(path) => Catalogue::Sqlite(absolute(path)?),
        Given::Duckdb(path) => Catalogue::DuckDb(absolute(path)?),
        Given::Postgres(options) => postgres::catalogue(
            options,
            lake.catalogue.to_string(),
            lake.metadata_schema
                .clone()
                .unwrap_or_else(|| METADATA_SCHEMA.to_owned()),
        ),
    };
    let (data_path, bucket) = match &lake.data_path {
        Place::Local(path) => (absolute(path)?, None),
        Place::Bucket(bucket) => {
            let address = bucket.to_string();
            (
                address.trim_end_matches('/').into(),
                Some(crate::bucket::settings(bucket)),
            )
        }
    };
    Ok(LakeLocation {
        catalogue,
        data_path,
        bucket,
    })
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
