//! `pintail snapshot show`.

use std::process::ExitCode;

use clap::Args;
use pintail_snapshot::Manifest;
use pintail_snapshot::manifest::{ColumnEntry, TableEntry};

use super::list::proof;
use super::place::Named;
use crate::commands::Outcome;
use crate::numbers;
use crate::terminal;

/// Show what is in a snapshot: its tables with their columns, and what stands beside them
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pintail snapshot show snap_20241211_143022 --project 123")]
pub(super) struct Arguments {
    #[command(flatten)]
    snapshot: Named,
    /// Print the manifest as it is in `metadata.json`
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let manifest = arguments.snapshot.folder()?.manifest(&arguments.snapshot.id()?)?;
    if arguments.json {
        terminal::json(&manifest)?;
    } else {
        terminal::data(people(&manifest))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn people(manifest: &Manifest) -> String {
    let mut lines = vec![
        format!("{} of project {}", manifest.snapshot_id, manifest.project_id),
        format!(
            "  taken        {} by {}, {}",
            manifest.created_at,
            manifest.created_by,
            manifest.snapshot_type.as_str()
        ),
        format!(
            "  of           {}, branch {}",
            manifest.source.address, manifest.branch
        ),
        format!("  proof        {}", proof(manifest.proof)),
    ];
    if let Some(snapshot) = manifest.source.lake_snapshot {
        let pinned = manifest.pin().map(|(pin, _)| format!(", pinned as {pin}"));
        lines.push(format!(
            "  at           snapshot {snapshot} of the lake{}",
            pinned.unwrap_or_default()
        ));
    }
    if let Some(description) = &manifest.description {
        lines.push(format!("  description  {description}"));
    }
    if let Some(parent) = &manifest.parent {
        lines.push(format!("  after        {parent}"));
    }
    for table in &manifest.tables {
        let folder = table.stored_in.as_ref().map(|folder| format!("{folder}/"));
        lines.push(format!(
            "  {}  {} · {}",
            table.name(),
            numbers::counted(table.row_count, "row"),
            match table.pinned() {
                true => "pinned".to_owned(),
                false => format!(
                    "{} · {}{}",
                    numbers::bytes(table.size_bytes),
                    folder.unwrap_or_default(),
                    table.file
                ),
            }
        ));
        lines.extend(table.schema.columns.iter().map(|column| about(column, table)));
    }
    let object = |object: &pintail_snapshot::manifest::DatabaseObject| {
        format!("  {} {}.{}", object.kind.keyword(), object.bucket, object.name)
    };
    lines.extend(manifest.objects.iter().map(object));
    lines.extend(
        manifest
            .warnings
            .iter()
            .map(|warning| format!("  careful: {warning}")),
    );
    lines.join("\n")
}

fn about(column: &ColumnEntry, table: &TableEntry) -> String {
    let mut line = format!("    {} {}", column.name, column.data_type);
    if table.schema.primary_key.contains(&column.name) {
        line.push_str(", key");
    }
    if column.generated {
        line.push_str(", computed");
    }
    if let Some(stored) = &column.stored_as {
        line.push_str(&format!(", stored as {stored}"));
    }
    line
}
