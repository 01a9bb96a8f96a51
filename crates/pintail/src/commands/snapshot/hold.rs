//! `pintail snapshot hold`, `release` and `delete`: what is decided about one snapshot.

use std::process::ExitCode;

use clap::Args;
use pintail_model::{Clock, SystemClock};
use pintail_snapshot::{Hold, Record, SnapshotId};
use serde_json::json;

use super::place::{Named, somebody};
use crate::commands::Outcome;
use crate::confirm::confirmed;
use crate::terminal;

/// Keep a snapshot whatever its age, until it is released
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  pintail snapshot hold snap_20241211_143022 --project 123 --reason 'audit 2024'"
)]
pub(super) struct HoldArguments {
    #[command(flatten)]
    snapshot: Named,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who holds it [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Let go of a snapshot that is held
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pintail snapshot release snap_20241211_143022 --project 123")]
pub(super) struct ReleaseArguments {
    #[command(flatten)]
    snapshot: Named,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Mark a snapshot to go: it stays whole until the next `prune` after a day, and `hold` keeps it until then
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pintail snapshot delete snap_20241211_143022 --project 123 --yes")]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    snapshot: Named,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn hold(arguments: &HoldArguments) -> Outcome {
    let id = arguments.snapshot.id()?;
    let hold = Hold {
        since: SystemClock.now(),
        by: somebody(arguments.by.as_deref()),
        reason: arguments.reason.clone(),
    };
    let record = arguments.snapshot.folder()?.hold(&id, hold)?;
    show("held", &id, &record, arguments.json)
}

pub(super) fn release(arguments: &ReleaseArguments) -> Outcome {
    let id = arguments.snapshot.id()?;
    let record = arguments.snapshot.folder()?.release(&id)?;
    show("released", &id, &record, arguments.json)
}

pub(super) fn delete(arguments: &DeleteArguments) -> Outcome {
    let id = arguments.snapshot.id()?;
    let folder = arguments.snapshot.folder()?;
    let question = format!("mark snapshot `{id}` of project `{}` to go?", folder.project());
    if !arguments.yes && !confirmed("deleting a snapshot", &question)? {
        terminal::say("nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let record = folder.delete(&id, SystemClock.now())?;
    show("marked to go", &id, &record, arguments.json)
}

fn show(done: &str, id: &SnapshotId, record: &Record, as_json: bool) -> Outcome {
    if as_json {
        terminal::json(&json!({ "snapshot_id": id, "hold": record.hold, "deleted_at": record.deleted_at }))?;
    } else {
        terminal::data(format_args!("{done}  {id}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
