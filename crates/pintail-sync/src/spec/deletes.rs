//! What becomes of rows that are no longer in the source.

use pintail_config::Node;
use pintail_config::decode::{Decoder, one_of, scalar, whole_number};

use super::column_map::Columns;

/// `deletes`: what happens to rows of the destination that the source does not have any more, or that no longer meet the
/// filters, once a strategy has seen that they are gone. And how many may go before somebody has to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletesSpec {
    /// `policy` and `column`. Default `hard`: the destination is to be what the source is.
    pub policy: DeletePolicy,
    /// `guard`: when a run stops before it has written anything.
    pub guard: GuardSpec,
}

/// `policy`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DeletePolicy {
    /// `hard`: they are deleted.
    #[default]
    Hard,
    /// `ignore`: they stay, and the report counts them.
    Ignore,
}

/// `guard`: a run that would delete more rows than both of these allow stops, and so does one that finds nothing in the
/// source any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardSpec {
    /// `rows`: so many rows may always go. Default 0.
    pub rows: u64,
    /// `share`: so many hundredths of the destination's rows may go, as `20%`. Default 20: a table that loses more than
    /// a fifth of its rows between two runs has mostly met with an accident.
    pub share_percent: u8,
}

impl Default for GuardSpec {
    fn default() -> Self {
        Self {
            rows: 0,
            share_percent: 20,
        }
    }
}

impl GuardSpec {
    /// How many of `rows` may go.
    #[must_use]
    pub fn allowed(&self, rows: u64) -> u64 {
        let share = u128::from(rows) * u128::from(self.share_percent) / 100;
        self.rows.max(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

impl DeletePolicy {
    /// The word in `policy:`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Ignore => "ignore",
        }
    }
}

pub(super) fn read(node: &Node, decoder: &mut Decoder, _columns: &Columns) -> Option<DeletesSpec> {
    const POLICIES: &[(&str, DeletePolicyWord)] = &[
        ("hard", DeletePolicyWord::Hard),
        ("ignore", DeletePolicyWord::Ignore),
    ];
    let mut fields = decoder.fields(node)?;
    let word = fields.with_default(
        "policy",
        DeletePolicyWord::Hard,
        one_of("a policy for deletes", POLICIES),
    );
    let guard = fields.with_default("guard", GuardSpec::default(), guard);
    fields.finish();
    let policy = match word {
        DeletePolicyWord::Hard => DeletePolicy::Hard,
        DeletePolicyWord::Ignore => DeletePolicy::Ignore,
    };
    Some(DeletesSpec { policy, guard })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeletePolicyWord {
    Hard,
    Ignore,
}

fn guard(node: &Node, decoder: &mut Decoder) -> Option<GuardSpec> {
    let default = GuardSpec::default();
    let mut fields = decoder.fields(node)?;
    let guard = GuardSpec {
        rows: fields.with_default("rows", default.rows, whole_number(0_u64..)),
        share_percent: fields.with_default("share", default.share_percent, share),
    };
    fields.finish();
    Some(guard)
}

/// A share as `20%`.
fn share(node: &Node, decoder: &mut Decoder) -> Option<u8> {
    let written = scalar(node, decoder)?;
    let number = written
        .strip_suffix('%')
        .and_then(|number| number.trim_end().parse::<u8>().ok());
    match number {
        Some(number @ 0..=100) => Some(number),
        _ => {
            decoder.expected("a share like `20%`", node);
            None
        }
    }
}
