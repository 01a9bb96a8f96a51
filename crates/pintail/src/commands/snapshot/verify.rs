//! `pintail snapshot verify`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use pintail_model::ErrorKind;
use pintail_model::error::EXIT_PARITY_MISMATCH;
use pintail_snapshot::{ProjectFolder, SnapshotId, Verified};
use serde_json::json;

use super::place::{Place, snapshot_id};
use crate::commands::Outcome;
use crate::diagnostics::Diagnostic;
use crate::numbers;
use crate::progress::tables::TableBar;
use crate::terminal::{self, Palette, Tone};

/// Read the files of snapshots and say which are not what was written
///
/// Names each file that was changed, cut off, exchanged, added or removed, down to a single bit. The exit code is 7 then.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  pintail snapshot verify snap_20241211_143022 --project 123
  pintail snapshot verify --all --project 123
  pintail snapshot verify --sample 10% --project 123"
)]
pub(super) struct Arguments {
    /// The snapshots
    #[arg(value_name = "ID", required_unless_present_any = ["all", "sample"], conflicts_with_all = ["all", "sample"])]
    ids: Vec<String>,
    /// All snapshots of the project
    #[arg(long, conflicts_with = "sample")]
    all: bool,
    /// So many percent of the snapshots, chosen by chance
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    sample: Option<u8>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<u8>();
    number
        .ok()
        .filter(|percent| (1..=100).contains(percent))
        .ok_or_else(|| "write a share like `10%`".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let folder = arguments.place.folder()?;
    let ids = arguments.chosen(&folder)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let started_at = Instant::now();
    let bar = TableBar::new(folder.project().as_str());
    let verified = folder.verify(&ids, threads, &bar)?;
    drop(bar);
    let seconds = started_at.elapsed().as_secs_f64();
    if arguments.json {
        terminal::json(&json!({
            "sound": verified.findings.is_empty(),
            "snapshots": verified.snapshots,
            "files": verified.files,
            "bytes": verified.bytes,
            "seconds": seconds,
            "findings": verified.findings,
        }))?;
    } else {
        terminal::data(people(&verified, seconds))?;
    }
    match verified.findings.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::from(EXIT_PARITY_MISMATCH)),
    }
}

impl Arguments {
    fn chosen(&self, folder: &ProjectFolder) -> Result<Vec<SnapshotId>, Diagnostic> {
        if !self.ids.is_empty() {
            return self.ids.iter().map(|id| snapshot_id(id)).collect();
        }
        let mut ids = folder.ids()?;
        if ids.is_empty() {
            let message = format!("project `{}` has no snapshots", folder.project());
            return Err(Diagnostic::new(ErrorKind::NotFound, message));
        }
        if let Some(percent) = self.sample {
            fastrand::shuffle(&mut ids);
            ids.truncate((ids.len() * usize::from(percent)).div_ceil(100));
            ids.sort();
        }
        Ok(ids)
    }
}

fn people(verified: &Verified, seconds: f64) -> String {
    let palette = Palette::stdout();
    let counts = format!(
        "{} · {} · {} read · {}",
        numbers::counted(verified.snapshots.len() as u64, "snapshot"),
        numbers::counted(verified.files, "file"),
        numbers::bytes(verified.bytes),
        numbers::seconds(seconds)
    );
    if verified.findings.is_empty() {
        return format!("{}  {counts}", palette.paint(Tone::Done, "sound"));
    }
    let found = numbers::counted(verified.findings.len() as u64, "finding");
    let mut lines = vec![format!("{}  {counts}", palette.paint(Tone::Failed, &found))];
    let line = |finding: &pintail_snapshot::Finding| {
        let elsewhere = match &finding.stored_in {
            Some(folder) => format!(", in the folder of {folder}"),
            None => String::new(),
        };
        format!(
            "  {}/{}  {}{elsewhere}",
            finding.snapshot, finding.file, finding.problem
        )
    };
    lines.extend(verified.findings.iter().map(line));
    lines.join("\n")
}
