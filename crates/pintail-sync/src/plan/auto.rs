//! Which way to compare costs least, by what earlier comparisons of the pipeline measured. Pure.
//!
//! One reading of both sides tells every difference, and on most networks nothing is faster: it is taken until it was
//! measured. Then its figures say what the link carries, and so what the other ways would take:
//!
//! ```text
//! stream    as long as the last time, for as many rows
//! pushdown  an md5 of every row in the source  +  sums and rows of leaves that differ, on that link
//! stored    what is kept of an earlier comparison, if it holds; sums are kept where reading takes long
//! ```

use pintail_config::units::ByteSize;

use super::way::{row_bytes, row_count};
use super::{Comparison, Draft, PipelinePlan, Way, stored, way};
use crate::state::{History, Measured};

/// What an md5 takes in a server: seconds for a row, and for a byte of it.
const MD5_ROW_SECONDS: f64 = 1.0e-6;
const MD5_BYTE_SECONDS: f64 = 6.0e-9;

/// How much shorter another way has to be for an estimate to be followed.
const WORTH: f64 = 0.67;

/// A reading that takes no longer is not worth an estimate.
const SHORT_SECONDS: f64 = 2.0;

/// A reading that takes as long is worth to be spared by sums that are kept.
const LONG_SECONDS: f64 = 60.0;

/// Whether versions of rows may play a part: some are kept, or are to be.
pub(super) fn may_use_versions(history: &History) -> bool {
    history.baseline.is_some() || last(history, "stream").is_some_and(|stream| stream.seconds >= LONG_SECONDS)
}

fn last<'a>(history: &'a History, way: &str) -> Option<&'a Measured> {
    history.comparisons.iter().find(|measured| measured.way == way)
}

/// How long the last comparison of that kind would take for the rows of now.
fn again(measured: &Measured, rows: f64) -> f64 {
    measured.seconds * rows / measured.rows.max(1) as f64
}

pub(super) fn choose(draft: &Draft<'_>, plan: &PipelinePlan) -> Comparison {
    let history = &draft.facts.history;
    let keep = match kept(draft, plan) {
        Some(Comparison {
            way: way @ Way::Stored(_),
            keep,
            ..
        }) => {
            return Comparison {
                way,
                reason: "what the source says of its rows was kept when both sides were last equal"
                    .to_owned(),
                keep,
                expected_bytes: None,
            };
        }
        Some(other) => other.keep,
        None => None,
    };
    let stream = |reason: String| Comparison {
        way: Way::Stream,
        reason,
        keep: keep.clone(),
        expected_bytes: None,
    };
    let Some(measured) = last(history, "stream") else {
        return stream(
            "nothing is measured yet, and one reading of both sides tells every difference".to_owned(),
        );
    };
    let rows = row_count(draft);
    let reading = again(measured, rows);
    let bytes_a_second = measured
        .bytes
        .map(|bytes| bytes as f64 / measured.seconds.max(1e-3));
    let speed = bytes_a_second
        .map(|speed| format!(" ({}/s)", ByteSize(speed as u64)))
        .unwrap_or_default();
    let took = format!("it took {:.1} s the last time{speed}", measured.seconds);
    // Of a table whose rows nobody has counted only the last time is known.
    let now = draft.facts.table.rows.map_or(0.0, |_| reading);
    if now.max(measured.seconds) <= SHORT_SECONDS {
        return stream(took);
    }
    let sums = match way::request(draft, plan, None).and_then(|request| way::sums(draft, request)) {
        Ok(sums) => sums,
        Err(reason) => return stream(format!("{took}, and `pushdown` cannot be: {reason}")),
    };
    let travelling = way::travelling(draft, &sums.leaves);
    let summing = match (last(history, "pushdown"), bytes_a_second) {
        (Some(pushdown), _) => again(pushdown, rows),
        (None, Some(speed)) => expected(draft, travelling, speed),
        (None, None) => return stream(took),
    };
    if summing > reading * WORTH {
        return stream(format!("{took}, and `pushdown` would take about {summing:.1} s"));
    }
    Comparison {
        way: Way::Pushdown(sums),
        reason: format!(
            "`stream` took {:.1} s the last time{speed}, and this takes about {summing:.1} s",
            measured.seconds
        ),
        keep,
        expected_bytes: Some(travelling as u64),
    }
}

/// What versions of rows say, where they can be asked for and where the destination tells who wrote to it.
fn kept(draft: &Draft<'_>, plan: &PipelinePlan) -> Option<Comparison> {
    let versions = draft.facts.versions.as_ref()?;
    versions.token.as_ref()?;
    stored::choose(draft, plan).ok()
}

/// How long a comparison by sums would take that nobody has measured, over a link of that speed.
fn expected(draft: &Draft<'_>, travelling: f64, bytes_a_second: f64) -> f64 {
    let rows = row_count(draft);
    rows * (MD5_ROW_SECONDS + row_bytes(draft) * MD5_BYTE_SECONDS) + travelling / bytes_a_second
}
