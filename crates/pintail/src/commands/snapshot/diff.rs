//! `pintail snapshot diff`.

use std::process::ExitCode;

use clap::Args;
use pintail_lake::{Engine, EngineSettings};
use pintail_model::ErrorKind;
use pintail_snapshot::{Against, DiffRequest, Difference, TableChange, TableDifference};

use super::place::{Database, Named, snapshot_id, table_names};
use crate::commands::Outcome;
use crate::diagnostics::Diagnostic;
use crate::interrupt::Interrupt;
use crate::numbers;
use crate::terminal;

/// Compare a snapshot with another one, or with the database as it is now, and change neither
///
/// Says what happened since the snapshot: rows that came, went and changed. A restore would undo just that.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  pintail snapshot diff snap_20241211_143022 --project 123 --database shop.duckdb
  pintail snapshot diff snap_20241211_143022 --project 123 --against snap_20241212_143022 --rows 10"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    snapshot: Named,
    /// With this snapshot, or with `live`, the database
    #[arg(long, value_name = "ID", default_value = "live")]
    against: String,
    /// The database, where it is compared with `live`: the path or URL of a DuckDB file, or a lake by its URL or its name in
    /// `datastores.yaml`
    #[arg(long, value_name = "DATABASE", required_if_eq("against", "live"))]
    database: Option<String>,
    /// Only this table; may be given more than once
    #[arg(long = "table", value_name = "BUCKET.TABLE")]
    tables: Vec<String>,
    /// Name the keys of so many rows of each table
    #[arg(long, value_name = "N", default_value_t = 0)]
    rows: u64,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let id = arguments.snapshot.id()?;
    let place = &arguments.snapshot.place;
    let address = arguments.database.as_deref();
    let database = address.map(|address| place.database(address)).transpose()?;
    let folder = place.folder_beside(database.as_ref())?;
    let against = match (arguments.against.as_str(), database) {
        ("live", Some(Database::File(file))) => Against::Live(file),
        ("live", Some(Database::Lake(lake))) => Against::LiveLake(lake),
        ("live", None) => {
            return Err(
                Diagnostic::new(ErrorKind::Invalid, "`live` is compared with a database")
                    .hint("Name it with `--database`."),
            );
        }
        (other, _) => Against::Snapshot(snapshot_id(other)?),
    };
    let request = DiffRequest {
        against,
        tables: table_names(&arguments.tables)?,
        rows: arguments.rows,
    };
    let engine = Engine::open(&EngineSettings::default())?;
    let stopper = engine.stopper();
    let _interrupt = Interrupt::listen("stopping", move || stopper.stop())?;
    let difference = folder.diff(&engine, &id, &request)?;
    if arguments.json {
        terminal::json(&difference)?;
    } else {
        terminal::data(people(&difference))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn people(difference: &Difference) -> String {
    let mut lines = vec![format!(
        "{} of {}, and since then in {}",
        difference.snapshot, difference.taken_at, difference.against
    )];
    for table in &difference.tables {
        lines.push(format!("  {}  {}", table.table, change(table)));
        lines.extend(table.rows.iter().map(|row| {
            let key: Vec<&str> = row
                .key
                .iter()
                .map(|value| value.as_deref().unwrap_or("NULL"))
                .collect();
            format!("    {}  {}", row.change, key.join(", "))
        }));
    }
    lines.join("\n")
}

fn change(table: &TableDifference) -> String {
    match &table.change {
        TableChange::Same => "same".to_owned(),
        TableChange::Added => "came, and is not in the snapshot".to_owned(),
        TableChange::Removed => "is gone".to_owned(),
        TableChange::Columns { now, before } => {
            let listed = |columns: &[String]| match columns {
                [] => "none".to_owned(),
                columns => columns.join(", "),
            };
            format!("has other columns: {} instead of {}", listed(now), listed(before))
        }
        TableChange::Rows {
            added,
            removed,
            changed,
        } => format!(
            "{} added · {} removed · {} changed",
            numbers::count(*added),
            numbers::count(*removed),
            numbers::count(*changed)
        ),
    }
}
