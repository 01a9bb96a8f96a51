//! Where snapshots lie, and the database that they are taken of: what all commands of a snapshot take.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use pintail_config::{Datastore, Location};
use pintail_connectors::registry;
use pintail_lake::{DatabaseFile, LakeLocation};
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{ProjectFolder, ProjectId, SnapshotId};

use super::lakes::{NamedLakes, load};
use crate::diagnostics::Diagnostic;

/// Where snapshots lie.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The project whose snapshots they are: a folder below `--dir`
    #[arg(long, value_name = "PROJECT")]
    project: String,
    /// Where the snapshots of all projects lie: a folder, or a bucket as `s3://bucket/prefix`
    #[arg(long, value_name = "FOLDER", default_value = "snapshots")]
    dir: PathBuf,
    /// The datastores that name lakes [default: `datastores.yaml` here]
    #[arg(long, value_name = "FILE")]
    datastores: Option<PathBuf>,
    /// A lake in which snapshots are pinned and that needs a password: its URL, or its name in `datastores.yaml`; may be given
    /// more than once
    #[arg(long = "lake", value_name = "LAKE")]
    lakes: Vec<String>,
}

impl Place {
    pub(super) fn folder(&self) -> Result<ProjectFolder, Diagnostic> {
        self.folder_beside(None)
    }

    /// The same for a command that names a database.
    pub(super) fn folder_beside(&self, database: Option<&Database>) -> Result<ProjectFolder, Diagnostic> {
        let mut named = Vec::new();
        for lake in &self.lakes {
            match self.database(lake)? {
                Database::Lake(location) => named.push(*location),
                Database::File(_) => {
                    return Err(Diagnostic::new(
                        ErrorKind::Invalid,
                        format!("`{lake}` is no lake"),
                    ));
                }
            }
        }
        if let Some(Database::Lake(location)) = database {
            named.push((**location).clone());
        }
        let lakes = NamedLakes {
            named,
            datastores: self.datastores.clone(),
        };
        let folder = snapshots(&self.dir, &self.project)?;
        Ok(folder.with_lakes(Arc::new(lakes)))
    }

    /// A database by its path, its URL, or its name in `datastores.yaml`.
    pub(super) fn database(&self, address: &str) -> Result<Database, Diagnostic> {
        if Path::new(address).is_file() {
            return of_location(&Location::parse(&format!("duckdb:{address}"), Path::new(""))?);
        }
        if address.contains(':') {
            return of_location(&Location::parse(address, Path::new(""))?);
        }
        let datastores = load(self.datastores.as_deref())?;
        match datastores.as_ref().and_then(|known| known.get(address)) {
            Some(datastore) => of_datastore(datastore),
            None => of_location(&Location::parse(&format!("duckdb:{address}"), Path::new(""))?),
        }
    }
}

/// One snapshot, and where it lies.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The snapshot
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    pub(super) place: Place,
}

impl Named {
    pub(super) fn id(&self) -> Result<SnapshotId, Diagnostic> {
        snapshot_id(&self.id)
    }

    pub(super) fn folder(&self) -> Result<ProjectFolder, Diagnostic> {
        self.place.folder()
    }
}

/// The snapshots of a project below a folder, or in a bucket.
pub(crate) fn snapshots(dir: &Path, project: &str) -> Result<ProjectFolder, Diagnostic> {
    let project = ProjectId::parse(project)?;
    let url = dir.to_str().filter(|text| text.contains("://"));
    let Some(url) = url else {
        return Ok(ProjectFolder::new(dir, project));
    };
    let location = Location::parse(url, Path::new(""))?;
    if let Some(table) = &location.table {
        let message = format!("`--dir` names table \"{table}\"");
        return Err(Diagnostic::new(ErrorKind::Invalid, message).hint("Name tables with `--table`."));
    }
    let (bucket, prefix) = registry::bucket_folder(&location.datastore)?;
    Ok(ProjectFolder::in_bucket(&bucket, &prefix, project)?)
}

/// What snapshots are taken of, and restored to.
pub(super) enum Database {
    File(DatabaseFile),
    Lake(Box<LakeLocation>),
}

fn of_location(location: &Location) -> Result<Database, Diagnostic> {
    if let Some(table) = &location.table {
        return Err(Diagnostic::new(
            ErrorKind::Invalid,
            format!("`--database` names table \"{table}\""),
        )
        .hint("Name tables with `--table`."));
    }
    of_datastore(&location.datastore)
}

fn of_datastore(datastore: &Datastore) -> Result<Database, Diagnostic> {
    Ok(match datastore.lake() {
        Some(_) => Database::Lake(Box::new(registry::lake_location(datastore)?)),
        None => Database::File(registry::database_file(datastore)?),
    })
}

pub(super) fn snapshot_id(text: &str) -> Result<SnapshotId, Diagnostic> {
    Ok(SnapshotId::parse(text)?)
}

pub(super) fn table_name(name: &str) -> Result<TableName, Diagnostic> {
    TableName::parse(name).ok_or_else(|| {
        Diagnostic::new(ErrorKind::Invalid, format!("`{name}` is not the name of a table"))
            .hint("Write `table` or `schema.table`; a part with dots stands in double quotes.")
    })
}

pub(super) fn table_names(names: &[String]) -> Result<Vec<TableName>, Diagnostic> {
    names.iter().map(|name| table_name(name)).collect()
}

/// Whoever runs this, as far as the environment says.
pub(crate) fn somebody(given: Option<&str>) -> String {
    let known = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    given
        .map(str::to_owned)
        .or_else(known)
        .unwrap_or_else(|| "unknown".to_owned())
}
