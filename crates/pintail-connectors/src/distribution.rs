//! What is known of where the values of a column lie, and how that is cut into equal parts.

/// Parts that a column is cut into.
pub(crate) const PARTS: f64 = 100.0;

/// Shares come in millionths.
const ROUNDING: f64 = 1e-3;

/// A known value and the share of rows that lie at it, or between the value before and it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mass {
    pub(crate) value: i64,
    pub(crate) share: f64,
}

/// Ascending values, smallest and largest known one included, with about equal shares between them.
pub(crate) fn cut(mut masses: Vec<Mass>) -> Vec<i64> {
    masses.sort_by_key(|mass| mass.value);
    let total: f64 = masses.iter().map(|mass| mass.share).sum();
    let (Some(first), Some(last)) = (masses.first(), masses.last()) else {
        return Vec::new();
    };
    let (smallest, largest) = (first.value, last.value);
    let mut cuts = vec![smallest];
    let (mut below, mut next) = (0.0, 1.0);
    for mass in &masses {
        below += mass.share;
        // How many parts lie below this value; a frequent value fills several, and stands at the end of each.
        let reached = below * PARTS / total.max(f64::MIN_POSITIVE) + ROUNDING;
        while reached >= next {
            next += 1.0;
            cuts.push(mass.value);
        }
    }
    if cuts.last() != Some(&largest) {
        cuts.push(largest);
    }
    cuts
}
