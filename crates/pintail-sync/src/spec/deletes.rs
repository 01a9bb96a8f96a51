//! What becomes of rows that are no longer in the source.

use pintail_config::Node;
use pintail_config::decode::{Decoder, one_of, scalar, text, whole_number};

use super::column::ColumnSpec;
use super::column_map::Columns;
use super::cron;
use super::strategy::{StrategyKind, StrategySpec};

/// `deletes`: what happens to rows of the destination that the source does not have any more, or that no longer meet the
/// filters, once a strategy has seen that they are gone. And how many may go before somebody has to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletesSpec {
    /// `policy`, and `column` of `soft`. Default `hard`: the destination is to be what the source is.
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
    /// `soft`: they stay, and the time at which they were found to be gone stands in a column of their own.
    Soft {
        /// `column`: the destination's own, `timestamp with time zone`; NULL in every row that the source has.
        column: String,
    },
    /// `ignore`: they stay, and the report counts them.
    Ignore,
}

/// `detect_deletes`: when rows that are gone from the source are looked for by their keys, beside deltas, which do not see
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DetectDeletes {
    /// `false`: by `pintail run --deletes` alone.
    #[default]
    ByHand,
    /// `true`: after every delta, in the same run.
    AfterDeltas,
    /// When a scheduler starts it, in the five fields of a cron expression; and by hand.
    At(String),
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

impl DeletesSpec {
    /// The column in which rows that are gone are marked, if they are.
    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        match &self.policy {
            DeletePolicy::Soft { column } => Some(column),
            DeletePolicy::Hard | DeletePolicy::Ignore => None,
        }
    }
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
            Self::Soft { .. } => "soft",
            Self::Ignore => "ignore",
        }
    }
}

pub(super) fn read(node: &Node, decoder: &mut Decoder, columns: &Columns) -> Option<DeletesSpec> {
    const POLICIES: &[(&str, Word)] = &[
        ("hard", Word::Hard),
        ("soft", Word::Soft),
        ("ignore", Word::Ignore),
    ];
    let mut fields = decoder.fields(node)?;
    let told = fields.has("policy");
    let word = fields.optional("policy", one_of("a policy for deletes", POLICIES));
    let known = word.is_some() || !told;
    let word = word.unwrap_or(Word::Hard);
    let column = match (word, known) {
        (Word::Hard | Word::Ignore, true) if fields.has("column") => {
            fields.refuse("column", "belongs to the policy `soft`");
            None
        }
        _ => fields.optional("column", |node, decoder| mark(node, decoder, columns)),
    };
    if word == Word::Soft && !fields.has("column") {
        let at = fields.position();
        fields.decoder().problem_with_hint(
            at,
            "the policy `soft` needs a `column`",
            Some("name the column of the destination that takes the time, like `deleted_at`".to_owned()),
        );
    }
    let guard = fields.with_default("guard", GuardSpec::default(), guard);
    fields.finish();
    let policy = match word {
        Word::Hard => DeletePolicy::Hard,
        Word::Soft => DeletePolicy::Soft { column: column? },
        Word::Ignore => DeletePolicy::Ignore,
    };
    Some(DeletesSpec { policy, guard })
}

/// Reads `detect_deletes`.
pub(super) fn read_detection(
    node: &Node,
    decoder: &mut Decoder,
    deletes: &DeletesSpec,
    strategies: Option<&[StrategySpec]>,
) -> Option<DetectDeletes> {
    let written = scalar(node, decoder)?;
    let detection = match written.as_str() {
        "false" => return Some(DetectDeletes::ByHand),
        "true" => DetectDeletes::AfterDeltas,
        other if cron::valid(other) => DetectDeletes::At(written),
        _ => {
            decoder.expected(
                "`true`, `false` or a cron expression of five fields like `0 3 * * *`",
                node,
            );
            return None;
        }
    };
    if deletes.policy == DeletePolicy::Ignore {
        decoder.problem(
            node.position,
            "the policy `ignore` of `deletes` lets rows stay that are gone",
        );
    }
    let is_delta = |strategy: &StrategySpec| matches!(strategy.kind, StrategyKind::Delta(_));
    let without = strategies.is_some_and(|strategies| !strategies.iter().any(is_delta));
    if detection == DetectDeletes::AfterDeltas && without {
        decoder.problem(
            node.position,
            "a pass that looks for deleted rows follows deltas, and the pipeline has no `delta` strategy",
        );
    }
    Some(detection)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Hard,
    Soft,
    Ignore,
}

/// The name of a column that the source has no part in.
fn mark(node: &Node, decoder: &mut Decoder, columns: &Columns) -> Option<String> {
    let name = text(node, decoder)?;
    let same = |column: &&ColumnSpec| column.dest.to_lowercase() == name.to_lowercase();
    if columns.all.iter().find(same).is_some() {
        decoder.problem_with_hint(
            node.position,
            format!("`{name}` is a column of the source, too"),
            Some("name one that only the destination has, like `deleted_at`".to_owned()),
        );
        return None;
    }
    Some(name)
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
