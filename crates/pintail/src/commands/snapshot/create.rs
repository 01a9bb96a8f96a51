//! `pintail snapshot create`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use pintail_lake::{Engine, EngineSettings};
use pintail_model::{Clock, SystemClock};
use pintail_snapshot::manifest::TableEntry;
use pintail_snapshot::{COMPRESSION_LEVEL, CreateRequest, Created, Proof, SnapshotType};

use super::place::{Database, Place, snapshot_id, somebody, table_names};
use crate::commands::Outcome;
use crate::interrupt::Interrupt;
use crate::numbers;
use crate::progress::tables::TableBar;
use crate::terminal::{self, Palette, Tone};

/// Take a snapshot of tables of a DuckDB file or a lake, all in one state
///
/// Without `--table` it holds all tables, and what stands beside them: types, sequences, macros and views. Every file is
/// read back and compared before the snapshot counts. A table that did not change since the newest snapshot is not
/// written again.
///
/// Of a lake nothing is copied: its snapshot is pinned, so that `pintail lake maintain` does not expire it.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  pintail snapshot create --database shop.duckdb --project 123
  pintail snapshot create --database shop.duckdb --project 123 --table in_c_customers.customers \\
    --id before_refactoring --description 'Before major refactoring'
  pintail snapshot create --database 'ducklake:sqlite:lake.sqlite?data_path=lake' --project 123
  pintail snapshot create --database lake --project 123 --export"
)]
pub(super) struct Arguments {
    /// The database: the path or URL of a DuckDB file, or a lake by its URL or its name in `datastores.yaml`
    #[arg(long, value_name = "DATABASE")]
    database: String,
    #[command(flatten)]
    place: Place,
    /// The branch of the project
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    branch: String,
    /// Only this table; may be given more than once
    #[arg(long = "table", value_name = "BUCKET.TABLE")]
    tables: Vec<String>,
    /// The snapshot's name [default: `snap_` and the time in UTC]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Keep it until it is released, whatever its age
    #[arg(long)]
    hold: bool,
    /// Who takes it [default: $USER]
    #[arg(long, value_name = "NAME")]
    created_by: Option<String>,
    /// Do not read the files back, or what is pinned; the snapshot then says `unproven`
    #[arg(long)]
    no_readback: bool,
    /// Write files also of a lake, instead of pinning its snapshot: they outlive the lake
    #[arg(long)]
    export: bool,
    /// How hard files are compressed, 1 to 22
    #[arg(long, value_name = "LEVEL", default_value_t = COMPRESSION_LEVEL, value_parser = clap::value_parser!(u8).range(1..=22))]
    compression_level: u8,
    /// Print the manifest as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let request = CreateRequest {
        id: arguments.id.as_deref().map(snapshot_id).transpose()?,
        branch: arguments.branch.clone(),
        tables: table_names(&arguments.tables)?,
        snapshot_type: SnapshotType::Manual,
        description: arguments.description.clone(),
        created_by: somebody(arguments.created_by.as_deref()),
        hold: arguments.hold,
        read_back: !arguments.no_readback,
        compression_level: arguments.compression_level,
        export: arguments.export,
    };
    let database = arguments.place.database(&arguments.database)?;
    let folder = arguments.place.folder_beside(Some(&database))?;
    let engine = Engine::open_own(&EngineSettings::default())?;
    let stopper = engine.stopper();
    let _interrupt = Interrupt::listen("stopping; nothing of the snapshot will be visible", move || {
        stopper.stop();
    })?;
    let started_at = Instant::now();
    let bar = TableBar::new(folder.project().as_str());
    let now = SystemClock.now();
    let created = match &database {
        Database::File(file) => folder.create(&engine, file, &request, now, &bar)?,
        Database::Lake(lake) => folder.create_of_lake(&engine, lake, &request, now, &bar)?,
    };
    drop(bar);
    if arguments.json {
        terminal::json(&created.manifest)?;
    } else {
        terminal::data(people(&created, started_at.elapsed().as_secs_f64()))?;
    }
    for warning in &created.manifest.warnings {
        let palette = Palette::stderr();
        terminal::say(format_args!(
            "{} {warning}",
            palette.paint(Tone::Careful, "careful:")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn people(created: &Created, seconds: f64) -> String {
    let manifest = &created.manifest;
    let palette = Palette::stdout();
    let proof = match manifest.proof {
        Proof::ReadBack if manifest.pin().is_some() => palette.paint(Tone::Done, "read"),
        Proof::ReadBack => palette.paint(Tone::Done, "read back"),
        Proof::Unproven => palette.paint(Tone::Careful, "unproven"),
    };
    let mut lines = vec![format!(
        "{} {}  {} · {} · {} · {} · {proof}",
        palette.paint(Tone::Done, "took snapshot"),
        manifest.snapshot_id,
        numbers::counted(manifest.tables.len() as u64, "table"),
        numbers::counted(manifest.rows(), "row"),
        match manifest.pin() {
            Some((_, snapshot)) => format!("pinned at snapshot {snapshot} of the lake"),
            None => numbers::bytes(manifest.bytes()),
        },
        numbers::seconds(seconds),
    )];
    let line = |table: &TableEntry| {
        let kept = match &table.same_as {
            Some(earlier) => format!("unchanged since {earlier}"),
            None if table.pinned() => "pinned".to_owned(),
            None => numbers::bytes(table.size_bytes),
        };
        format!(
            "  {}  {} · {kept}",
            table.name(),
            numbers::counted(table.row_count, "row")
        )
    };
    lines.extend(manifest.tables.iter().map(line));
    lines.join("\n")
}
