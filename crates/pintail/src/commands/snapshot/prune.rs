//! `pintail snapshot prune`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use pintail_model::{Clock, SystemClock};
use pintail_snapshot::{Prune, Pruned, SnapshotId};

use super::place::Place;
use crate::commands::Outcome;
use crate::confirm::confirmed;
use crate::terminal::{self, Palette, Tone};
use crate::{ages, numbers};

/// Let snapshots go whose time is over: they are marked, stay whole for a while, and are removed by a later call
///
/// The last good snapshot of a table never goes, and neither does one that is held. `explain` says why one is kept.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  pintail snapshot prune --project 123 --dry-run
  pintail snapshot prune --project 123 --yes"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// How long a snapshot that is marked stays
    #[arg(long, value_name = "AGE", default_value = "1d", value_parser = ages::parse)]
    grace: Duration,
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let folder = arguments.place.folder()?;
    let asked = |dry_run| Prune {
        grace: arguments.grace,
        dry_run,
        ..Prune::default()
    };
    let planned = folder.prune(asked(true), SystemClock.now())?;
    if arguments.dry_run {
        return arguments.show(&planned);
    }
    let going = planned.marked.len() + planned.swept.len();
    let question = format!(
        "mark {} and remove {}?",
        numbers::counted(planned.marked.len() as u64, "snapshot"),
        numbers::counted(planned.swept.len() as u64, "marked one")
    );
    if going > 0 && !arguments.yes && !confirmed("pruning snapshots", &question)? {
        terminal::say("nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    arguments.show(&folder.prune(asked(false), SystemClock.now())?)
}

impl Arguments {
    fn show(&self, pruned: &Pruned) -> Outcome {
        if self.json {
            terminal::json(pruned)?;
            return Ok(ExitCode::SUCCESS);
        }
        let palette = Palette::stdout();
        let head = match self.dry_run {
            true => palette.paint(Tone::Careful, "would prune"),
            false => palette.paint(Tone::Done, "pruned"),
        };
        let mut lines = vec![format!(
            "{head}  {} marked · {} removed · {} kept",
            numbers::count(pruned.marked.len() as u64),
            numbers::count(pruned.swept.len() as u64),
            numbers::count(pruned.kept)
        )];
        let line = |what: &str, id: &SnapshotId| format!("  {what}  {id}");
        lines.extend(pruned.marked.iter().map(|id| line("marked ", id)));
        lines.extend(pruned.swept.iter().map(|id| line("removed", id)));
        lines.extend(
            pruned
                .waiting
                .iter()
                .map(|(id, until)| format!("{}  goes after {until}", line("waits  ", id))),
        );
        lines.extend(pruned.unreadable.iter().map(|id| {
            let left = line("left   ", id);
            format!("{left}  its manifest cannot be used")
        }));
        if pruned.pins_released > 0 {
            let pins = numbers::counted(pruned.pins_released, "pin");
            lines.push(format!("  let go of {pins} in lakes"));
        }
        lines.extend(pruned.pins_left.iter().map(|left| {
            format!(
                "{}  its pin is left for the next prune: {}",
                line("left   ", &left.snapshot),
                left.why
            )
        }));
        if pruned.given_up > 0 {
            let given_up = numbers::counted(pruned.given_up, "snapshot");
            lines.push(format!("  and {given_up} that was never finished"));
        }
        terminal::data(lines.join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
