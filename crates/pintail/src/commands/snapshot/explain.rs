//! `pintail snapshot explain`.

use std::process::ExitCode;

use clap::Args;
use pintail_model::{Clock, SystemClock};
use pintail_snapshot::{Explained, SnapshotId};

use super::place::Named;
use crate::commands::Outcome;
use crate::terminal;

/// Say why a snapshot is still kept, when it goes, and what refers to it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pintail snapshot explain snap_20241211_143022 --project 123")]
pub(super) struct Arguments {
    #[command(flatten)]
    snapshot: Named,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let id = arguments.snapshot.id()?;
    let explained = arguments.snapshot.folder()?.explain(&id, SystemClock.now())?;
    if arguments.json {
        terminal::json(&explained)?;
    } else {
        terminal::data(people(&explained))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn people(explained: &Explained) -> String {
    let fate = &explained.fate;
    let mut lines = vec![fate.snapshot.to_string()];
    lines.extend(fate.kept_by.iter().map(|reason| format!("  {reason}")));
    lines.push(match (fate.deleted_at, fate.goes_at) {
        (Some(at), _) => {
            format!("  marked to go at {at}: a `prune` after its grace removes it, `hold` keeps it")
        }
        (None, Some(at)) => format!("  goes with the first `prune` after {at}"),
        (None, None) => "  does not go by its age".to_owned(),
    });
    let listed = |ids: &[SnapshotId]| {
        let ids: Vec<&str> = ids.iter().map(SnapshotId::as_str).collect();
        ids.join(", ")
    };
    if let Some(pin) = &explained.pin {
        lines.push(format!(
            "  keeps snapshot {} of {} from expiring, by pin {}",
            pin.lake_snapshot, pin.lake, pin.pin
        ));
    }
    if !explained.shares_files_with.is_empty() {
        lines.push(format!(
            "  shares files with {}",
            listed(&explained.shares_files_with)
        ));
    }
    if !explained.followed_by.is_empty() {
        lines.push(format!("  followed by {}", listed(&explained.followed_by)));
    }
    lines.join("\n")
}
