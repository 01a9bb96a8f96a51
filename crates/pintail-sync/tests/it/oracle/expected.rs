//! What a run is expected to do, and to say in its report.

use pintail_model::{CursorType, CursorValue, Range};
use pintail_sync::SyncReport;
use pintail_sync::report::ParityStatus;
use pintail_sync::state::History as Memory;

use super::history::{RunStep, Setting};
use super::kept::{Counts, LakeModel};
use super::model::Orders;

/// What a run is expected to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Full,
    Delta,
    Hash,
    Deletes,
}

impl Doing {
    /// What a run does to a destination. `set_back`: the source's cursor lies before the watermark.
    pub(super) fn of(step: &RunStep, lake: &LakeModel, before: &Memory, set_back: bool) -> Self {
        let there = lake.rows.is_some();
        let filled = lake.filled();
        match step.strategy {
            _ if step.deletes && there => Self::Deletes,
            Some("hash") if filled => Self::Hash,
            Some("full" | "hash") => Self::Full,
            // A difference that a pass for deleted rows has seen.
            None if before.start_fresh.is_some() => Self::Full,
            _ if lake.watermark.is_none() || set_back => Self::Full,
            _ => Self::Delta,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delta => "delta",
            Self::Hash => "hash",
            Self::Deletes => "deletes",
        }
    }

    /// Whether it reads all rows and brings in all of its work at once.
    pub(super) fn whole(self) -> bool {
        self != Self::Delta
    }

    /// Whether it finds rows of the destination that the source does not have.
    pub(super) fn compares(self) -> bool {
        matches!(self, Self::Hash | Self::Deletes)
    }
}

/// Where a delta ended.
pub(super) struct Bound {
    pub(super) high: i64,
    /// Whether nothing below it can appear any more.
    pub(super) certain: bool,
}

impl Bound {
    /// For times the run says where it ended: that this was neither too far nor too near is checked by what appears
    /// later, and by what is in the lake at the end. For numbers it is known.
    pub(super) fn of(
        setting: &Setting,
        report: &SyncReport,
        before: &Memory,
        planned: &Orders,
        busy: bool,
    ) -> Self {
        let reported = report
            .watermark
            .as_deref()
            .and_then(|text| CursorValue::parse(setting.cursor, text));
        let reported = reported.map_or(i64::MIN, CursorValue::number);
        if setting.cursor != CursorType::Integer {
            return Self {
                high: reported,
                certain: true,
            };
        }
        let frozen = before
            .unfinished
            .as_ref()
            .filter(|run| report.resumed && run.run == report.run_id);
        let of_first_attempt = frozen.and_then(|run| {
            run.partitions
                .iter()
                .rev()
                .find_map(|partition| match &partition.range {
                    Range::Cursor { high, .. } => Some((high.number(), !partition.changed_only)),
                    _ => None,
                })
        });
        let largest = planned.values().filter_map(|row| row.cursor).max();
        let (high, certain) = match (frozen, of_first_attempt) {
            (Some(_), Some(found)) => found,
            (Some(_), None) => (i64::MIN, false),
            (None, _) => (
                largest.map_or(i64::MIN, |largest| largest + 1),
                !busy && largest.is_some(),
            ),
        };
        Self { high, certain }
    }
}

/// What the report of a run should say, where the destination is `lake` now and its watermark still that of before.
pub(super) struct Expected<'a> {
    pub(super) doing: Doing,
    pub(super) step: &'a RunStep,
    pub(super) counts: Counts,
    pub(super) bound: &'a Bound,
    pub(super) cursor: CursorType,
    pub(super) lake: &'a LakeModel,
}

impl Expected<'_> {
    pub(super) fn check(&self, report: &SyncReport) -> Result<(), String> {
        let parity = self.parity(report);
        if report.parity.status != parity {
            return Err(format!(
                "parity is {:?} instead of {parity:?}: {:?}",
                report.parity, report.notes
            ));
        }
        // A resumed run reports its own part only, and the attempt before it has done the rest.
        if !report.resumed {
            let reported = Counts {
                read: report.rows_processed,
                inserted: report.rows_inserted,
                updated: report.rows_updated,
                deleted: report.rows_deleted,
                kept: self.counts.kept,
            };
            if reported != self.counts {
                return Err(format!(
                    "the report says {reported:?}, and {:?} was expected",
                    self.counts
                ));
            }
        }
        let low = self.lake.watermark;
        let moved = Some(self.bound.high).filter(|_| self.bound.certain).max(low);
        let reported = report
            .watermark
            .as_deref()
            .and_then(|text| CursorValue::parse(self.cursor, text));
        if !self.doing.whole() && reported.map(CursorValue::number) != moved {
            return Err(format!(
                "the report says watermark {reported:?}, and {moved:?} was expected"
            ));
        }
        Ok(())
    }

    fn parity(&self, report: &SyncReport) -> ParityStatus {
        // What an attempt without a comparison brought in stays unproven when another one goes on.
        let unproven = |note: &String| note.contains("was not compared");
        let nothing_read = !self.doing.whole()
            && report.rows_processed == 0
            && report.commits.count == 0
            && report.parity.leaves == 0;
        if self.doing == Doing::Deletes {
            // Rows that only a later run brings may be missing, and rows below the watermark that came late.
            let rows = self.lake.rows.as_ref().map(|rows| rows.len() as u64);
            return match rows == Some(self.counts.read) {
                true => ParityStatus::Ok,
                false if report.parity.status == ParityStatus::Mismatch => ParityStatus::Mismatch,
                false => ParityStatus::Unproven,
            };
        }
        if self.doing.compares() && report.commits.count == 0 {
            ParityStatus::Ok
        } else if self.step.without_parity || report.notes.iter().any(unproven) {
            ParityStatus::Unproven
        } else if report.partitions_total == 0 || nothing_read {
            ParityStatus::Unchanged
        } else {
            ParityStatus::Ok
        }
    }
}
