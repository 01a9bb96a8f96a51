//! Where snapshots lie, and the database that they are taken of: what all commands of a snapshot take.

use std::path::{Path, PathBuf};

use clap::Args;
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::DatabaseFile;
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{ProjectFolder, ProjectId, SnapshotId};

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
}

impl Place {
    pub(super) fn folder(&self) -> Result<ProjectFolder, Diagnostic> {
        snapshots(&self.dir, &self.project)
    }
}

/// One snapshot, and where it lies.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The snapshot
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    place: Place,
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

/// A database by its path or its URL.
pub(super) fn database(address: &str) -> Result<DatabaseFile, Diagnostic> {
    let location = if address.contains(':') && !Path::new(address).exists() {
        Location::parse(address, Path::new(""))?
    } else {
        Location::parse(&format!("duckdb:{address}"), Path::new(""))?
    };
    if let Some(table) = &location.table {
        return Err(Diagnostic::new(
            ErrorKind::Invalid,
            format!("`--database` names table \"{table}\""),
        )
        .hint("Name tables with `--table`."));
    }
    Ok(registry::database_file(&location.datastore)?)
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
