//! The end of a run in one line for people: what changed, with counts and time.
//!
//! ```text
//! synced orders  1,204,331 rows  12.4 s  parity ok (295 leaves)
//! ```

use pintail_sync::SyncReport;
use pintail_sync::report::{Parity, ParityStatus, Retried};
use pintail_sync::state::RunStatus;

use crate::numbers;
use crate::terminal::{Palette, Tone};

/// The line. `label` names what was synced.
pub(crate) fn line(report: &SyncReport, label: &str, palette: Palette) -> String {
    let mut parts = vec![head(report, label, palette)];
    if report.rows_processed > 0 || changed(report) {
        parts.push(rows(report));
    }
    parts.push(numbers::seconds(report.duration_seconds));
    if report.status == RunStatus::Paused {
        parts.push(format!(
            "{} of {} partitions done",
            report.partitions_processed + report.partitions_skipped,
            report.partitions_total
        ));
    }
    // Where nothing was compared there is nothing to say.
    let compared = report.parity.leaves > 0 || report.parity.status != ParityStatus::Ok;
    let read = report.rows_processed > 0 || changed(report);
    if read && compared || report.parity.status == ParityStatus::Mismatch {
        parts.push(parity(&report.parity, palette));
    }
    if report.partitions_skipped > 0 {
        let before = match report.kind.as_str() {
            "full" => "staged before",
            _ => "in already",
        };
        parts.push(format!(
            "{} of {} partitions were {before}",
            report.partitions_skipped, report.partitions_total
        ));
    }
    if report.retries.count > 0 {
        parts.push(palette.paint(Tone::Careful, &retries(&report.retries)));
    }
    parts.join("  ")
}

fn head(report: &SyncReport, label: &str, palette: Palette) -> String {
    if report.status == RunStatus::Paused {
        return format!("{} {label}", palette.paint(Tone::Careful, "paused"));
    }
    if let Some(drift) = &report.drift {
        let rows = drift.missing + drift.changed + drift.extra;
        return match (report.parity.status, rows) {
            (ParityStatus::Mismatch, 0) => format!("{} {label}", palette.paint(Tone::Failed, "differs")),
            (ParityStatus::Mismatch, _) => {
                let word = palette.paint(Tone::Failed, "differs");
                format!("{word} {label} in {}", numbers::counted(rows, "row"))
            }
            _ => format!("{} {label}", palette.paint(Tone::Done, "verified")),
        };
    }
    let committed = changed(report) || report.commits.count > 0;
    let mismatch = report.parity.status == ParityStatus::Mismatch;
    let word = match (committed, mismatch) {
        (true, _) => "synced",
        (false, true) => "refused",
        // Rows that a delta looks back on are as the lake has them.
        (false, false) if report.rows_processed > 0 => "nothing new for",
        (false, false) => "nothing to do for",
    };
    let tone = if mismatch { Tone::Failed } else { Tone::Done };
    format!("{} {label}", palette.paint(tone, word))
}

/// `tried again 3 times, waited 2.4 s`
fn retries(retried: &Retried) -> String {
    let times = match retried.count {
        1 => "once".to_owned(),
        count => format!("{} times", numbers::count(count)),
    };
    format!(
        "tried again {times}, waited {}",
        numbers::seconds(retried.waited_seconds)
    )
}

fn changed(report: &SyncReport) -> bool {
    report.rows_inserted + report.rows_updated + report.rows_deleted > 0
}

fn rows(report: &SyncReport) -> String {
    if report.kind == "full" {
        // What an earlier attempt staged was not read again, but it came in with this one.
        return numbers::counted(report.rows_processed.max(report.rows_inserted), "row");
    }
    let rows = numbers::counted(report.rows_processed, "row");
    if report.kind == "hash" && !changed(report) || report.drift.is_some() {
        return format!("{rows} compared");
    }
    if !changed(report) {
        return format!("{rows} read again");
    }
    let parts: Vec<String> = [
        (report.rows_inserted, "new"),
        (report.rows_updated, "changed"),
        (report.rows_deleted, "deleted"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{} {word}", numbers::count(number)))
    .collect();
    if parts.is_empty() {
        rows
    } else {
        format!("{rows} ({})", parts.join(", "))
    }
}

fn parity(parity: &Parity, palette: Palette) -> String {
    match parity.status {
        ParityStatus::Ok => {
            let leaves = match parity.leaves {
                1 => "1 leaf".to_owned(),
                leaves => format!("{} leaves", numbers::count(leaves)),
            };
            palette.paint(Tone::Done, &format!("parity ok ({leaves})"))
        }
        ParityStatus::Mismatch => {
            let differ = match parity.leaves {
                0 => format!("{} counted", numbers::counted(parity.rows_counted, "row")),
                leaves => format!(
                    "{} of {} leaves differ",
                    numbers::count(parity.mismatched),
                    numbers::count(leaves)
                ),
            };
            palette.paint(Tone::Failed, &format!("parity mismatch ({differ})"))
        }
        ParityStatus::Unchanged => palette.paint(Tone::Done, "parity unchanged"),
        ParityStatus::Unproven => palette.paint(Tone::Careful, "unproven"),
    }
}
