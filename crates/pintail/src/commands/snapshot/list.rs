//! `pintail snapshot list`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp;
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{Manifest, Proof, SnapshotType};
use serde_json::json;

use super::place::{Place, table_name};
use crate::commands::Outcome;
use crate::diagnostics::Diagnostic;
use crate::numbers;
use crate::terminal::{self, Palette, Tone};

/// List the snapshots of a project, oldest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pintail snapshot list --project 123
  pintail snapshot list --project 123 --table in_c_customers.customers --type pre_drop --since 2024-12-01")]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only those that have this table
    #[arg(long, value_name = "BUCKET.TABLE")]
    table: Option<String>,
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE")]
    snapshot_type: Option<Type>,
    /// Only those taken then or later: a day in UTC, or an instant like `2024-12-11T14:30:22Z`
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<Timestamp>,
    /// Only those taken before then
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
    /// Print a list of manifests as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Type {
    /// Somebody asked for it
    Manual,
    /// Taken before rows were replaced
    Auto,
    /// Taken before a table or a column went
    PreDrop,
}

impl From<Type> for SnapshotType {
    fn from(value: Type) -> Self {
        match value {
            Type::Manual => Self::Manual,
            Type::Auto => Self::Auto,
            Type::PreDrop => Self::PreDrop,
        }
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<jiff::civil::Date>().ok()?.in_tz("UTC").ok();
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| Some(day()?.timestamp()))
        .ok_or_else(|| "write a day like `2024-12-11` or an instant like `2024-12-11T14:30:22Z`".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let folder = arguments.place.folder()?;
    let table = arguments.table.as_deref().map(table_name).transpose()?;
    let (manifests, broken) = folder.manifests()?;
    let listed: Vec<&Manifest> = manifests
        .iter()
        .filter(|manifest| arguments.meant(manifest, table.as_ref()))
        .collect();
    if arguments.json {
        let broken: Vec<_> = broken
            .iter()
            .map(|(id, error)| json!({ "snapshot_id": id, "error": error.to_string() }))
            .collect();
        terminal::json(&json!({ "snapshots": listed, "unreadable": broken }))?;
    } else if listed.is_empty() && broken.is_empty() {
        let any = if manifests.is_empty() {
            "no snapshots"
        } else {
            "no such snapshots"
        };
        terminal::say(format_args!("project `{}` has {any}", folder.project()));
    } else if !listed.is_empty() {
        terminal::data(people(&listed))?;
    }
    let palette = Palette::stderr();
    for (id, error) in &broken {
        let id = palette.paint(Tone::Failed, id.as_str());
        terminal::say(format_args!("{id}  {}", Diagnostic::of_snapshot(error).line()));
    }
    match broken.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::from(ErrorKind::Data.exit_code())),
    }
}

impl Arguments {
    fn meant(&self, manifest: &Manifest, table: Option<&TableName>) -> bool {
        let has = |name: &TableName| manifest.table(name.schema_or("main"), &name.table).is_some();
        table.is_none_or(has)
            && self
                .snapshot_type
                .is_none_or(|wanted| manifest.snapshot_type == wanted.into())
            && self.since.is_none_or(|since| manifest.created_at >= since)
            && self.until.is_none_or(|until| manifest.created_at < until)
    }
}

fn people(listed: &[&Manifest]) -> String {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "snapshot",
        "taken",
        "type",
        "tables",
        "rows",
        "size",
        "proof",
        "description",
    ]);
    for manifest in listed {
        table.add_row([
            manifest.snapshot_id.to_string(),
            manifest.created_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            manifest.snapshot_type.as_str().to_owned(),
            manifest.tables.len().to_string(),
            numbers::count(manifest.rows()),
            match manifest.pin() {
                Some(_) => "pinned".to_owned(),
                None => numbers::bytes(manifest.bytes()),
            },
            proof(manifest.proof).to_owned(),
            manifest.description.clone().unwrap_or_default(),
        ]);
    }
    for index in [3, 4, 5] {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n{}", numbers::counted(listed.len() as u64, "snapshot"))
}

pub(super) fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::ReadBack => "read back",
        Proof::Unproven => "unproven",
    }
}
