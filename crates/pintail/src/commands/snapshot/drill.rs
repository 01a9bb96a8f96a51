//! `pintail snapshot drill`.

use std::process::ExitCode;

use clap::Args;
use pintail_model::error::EXIT_PARITY_MISMATCH;
use pintail_model::{Clock, ErrorKind, SystemClock};
use pintail_snapshot::Drilled;
use serde_json::json;

use super::place::Place;
use super::restore::engine_for;
use crate::commands::Outcome;
use crate::diagnostics::Diagnostic;
use crate::interrupt::Interrupt;
use crate::numbers;
use crate::progress::tables::TableBar;
use crate::terminal::{self, Palette, Tone};

/// Restore snapshots that are chosen by chance into a database that is thrown away, and compare
///
/// The exit code is 7 if one of them cannot be restored, or is not what it was.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  pintail snapshot drill --count 3 --project 123"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// How many snapshots
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let folder = arguments.place.folder()?;
    let mut ids = folder.ids()?;
    if ids.is_empty() {
        let message = format!("project `{}` has no snapshots", folder.project());
        return Err(Diagnostic::new(ErrorKind::NotFound, message));
    }
    fastrand::shuffle(&mut ids);
    ids.truncate(usize::try_from(arguments.count).unwrap_or(usize::MAX));
    let scratch = tempfile::Builder::new()
        .prefix("pintail-drill-")
        .tempdir()
        .map_err(|error| {
            Diagnostic::new(
                ErrorKind::Unavailable,
                "cannot make a folder for the scratch database",
            )
            .cause(error.to_string())
        })?;
    let mut index_bytes = 0;
    for id in &ids {
        // One that cannot be read is what the report says of it.
        let manifest = folder.manifest(id);
        index_bytes = index_bytes.max(manifest.map_or(0, |manifest| manifest.index_bytes()));
    }
    let engine = engine_for(index_bytes)?;
    let stopper = engine.stopper();
    let _interrupt = Interrupt::listen("stopping", move || stopper.stop())?;
    let mut drilled = Vec::new();
    for id in &ids {
        let bar = TableBar::new(id.as_str());
        let file = scratch.path().join("scratch.duckdb");
        drilled.push(folder.drill(&engine, id, &file, SystemClock.now(), &bar)?);
        if engine.stopped() {
            return Err(Diagnostic::new(ErrorKind::Cancelled, "the drill was stopped"));
        }
    }
    let failed = drilled.iter().filter(|drilled| !drilled.proven).count();
    if arguments.json {
        terminal::json(&json!({ "proven": failed == 0, "snapshots": drilled }))?;
    } else {
        let lines: Vec<String> = drilled.iter().map(line).collect();
        terminal::data(lines.join("\n"))?;
    }
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_PARITY_MISMATCH),
    })
}

fn line(drilled: &Drilled) -> String {
    let palette = Palette::stdout();
    let mut lines = vec![match drilled.proven {
        true => format!(
            "{}  {}  {} · {} · {}",
            palette.paint(Tone::Done, "proven"),
            drilled.snapshot,
            numbers::counted(drilled.tables, "table"),
            numbers::counted(drilled.rows, "row"),
            numbers::seconds(drilled.seconds)
        ),
        false => format!("{}  {}", palette.paint(Tone::Failed, "failed"), drilled.snapshot),
    }];
    lines.extend(drilled.problems.iter().map(|problem| format!("  {problem}")));
    lines.join("\n")
}
