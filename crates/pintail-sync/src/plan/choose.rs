//! Which strategy runs, and why. Pure.

use pintail_config::nearest::did_you_mean;
use pintail_model::{CursorValue, ErrorKind};

use super::facts::{Asked, Facts, Task};
use super::{auto, pace, standing};
use crate::error::{Error, Result};
use crate::spec::{
    Compare, DeletePolicy, DeltaSpec, FullSpec, HashSpec, PipelineSpec, StrategyKind, StrategySpec,
};
use crate::state::{History, RESET};

/// The name of a full load that the pipeline does not name.
const FULL: &str = "full";

/// Why a strategy runs that was named.
pub const ASKED_FOR: &str = "it was asked for";

/// The strategies that may play a part in a run, before anything is known of the two sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidates<'a> {
    /// The one that was asked for; `None` leaves the choice to [`choose`].
    pub asked: Option<Candidate<'a>>,
    /// The full load.
    pub full: Option<&'a StrategySpec>,
    /// What the run is for.
    pub task: Task,
    /// The delta whose cursor is followed, also by full loads, so that a delta can go on after them.
    pub delta: Option<&'a StrategySpec>,
    /// The comparison that runs if that is better than a delta or a full load.
    pub hash: Option<&'a StrategySpec>,
}

/// A strategy that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Candidate<'a> {
    /// A full load, of the pipeline or Pintail's own.
    Full(Option<&'a StrategySpec>),
    /// A delta.
    Delta(&'a StrategySpec),
    /// A comparison.
    Hash(&'a StrategySpec),
}

/// What runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The strategy's name.
    pub strategy: String,
    /// Why it runs.
    pub reason: String,
    /// What it does.
    pub kind: Chosen,
}

/// What a chosen strategy does.
#[derive(Debug, Clone, PartialEq)]
pub enum Chosen {
    /// Replaces the whole table.
    Full(FullSpec),
    /// Reads on from a watermark.
    Delta {
        /// The strategy.
        spec: DeltaSpec,
        /// The watermark.
        low: CursorValue,
    },
    /// Compares both sides and brings in what differs.
    Hash(HashSpec),
    /// Takes away what the source does not have any more.
    Deletes,
    /// Compares both sides.
    Verify,
}

impl<'a> Candidates<'a> {
    /// Looks up what was asked for.
    ///
    /// # Errors
    /// `NotFound` for an unknown name, `Invalid` for what is not built yet.
    pub fn of(spec: &'a PipelineSpec, asked: &Asked) -> Result<Self> {
        let enabled = |wanted: fn(&StrategyKind) -> bool| {
            spec.strategies
                .iter()
                .find(|strategy| strategy.enabled && wanted(&strategy.kind))
        };
        let full = enabled(|kind| matches!(kind, StrategyKind::Full(_)));
        let delta = enabled(|kind| matches!(kind, StrategyKind::Delta(_)));
        let hash = enabled(|kind| matches!(kind, StrategyKind::Hash(_)));
        let task = asked.task;
        let Some(name) = asked.strategy.as_deref() else {
            check_built(spec, None)?;
            let none = full.or(delta).or(hash).is_none();
            if task == Task::Sync && none && !spec.strategies.is_empty() {
                return Err(nothing_to_choose(spec));
            }
            return Ok(Self {
                asked: None,
                task,
                full,
                delta,
                hash,
            });
        };
        let by_kind = || {
            spec.strategies
                .iter()
                .find(|strategy| strategy.kind.word() == name)
        };
        let Some(strategy) = spec.strategy(name).or_else(by_kind) else {
            if name == FULL {
                check_built(spec, None)?;
                return Ok(Self {
                    asked: Some(Candidate::Full(None)),
                    task,
                    full,
                    delta,
                    hash,
                });
            }
            let names = spec.strategies.iter().map(|strategy| strategy.name.as_str());
            return Err(Error::Refused {
                kind: ErrorKind::NotFound,
                message: format!("pipeline `{}` has no strategy `{name}`", spec.name),
                hint: did_you_mean(name, names),
            });
        };
        check_built(spec, Some(&strategy.name))?;
        Ok(match &strategy.kind {
            StrategyKind::Full(_) => Self {
                asked: Some(Candidate::Full(Some(strategy))),
                task,
                full: Some(strategy),
                delta,
                hash,
            },
            StrategyKind::Delta(_) => Self {
                asked: Some(Candidate::Delta(strategy)),
                task,
                full,
                delta: Some(strategy),
                hash,
            },
            StrategyKind::Hash(_) => Self {
                asked: Some(Candidate::Hash(strategy)),
                task,
                full,
                delta,
                hash: Some(strategy),
            },
        })
    }

    /// Whether somebody asked for a full load.
    #[must_use]
    pub fn asks_for_full(&self) -> bool {
        matches!(self.asked, Some(Candidate::Full(_)))
    }

    /// Whether a strategy may run that deletes rows which it does not find in the source.
    #[must_use]
    pub fn may_delete(&self) -> bool {
        self.task == Task::Deletes || self.comparison().is_some()
    }

    /// The comparison that may run and bring in what differs.
    #[must_use]
    pub fn comparison(&self) -> Option<&'a StrategySpec> {
        match self.asked {
            Some(Candidate::Full(_) | Candidate::Delta(_)) => None,
            Some(Candidate::Hash(strategy)) => Some(strategy),
            None => self.hash,
        }
        .filter(|_| self.task == Task::Sync)
    }

    /// Whether a comparison may run that asks for versions of rows.
    #[must_use]
    pub fn compares_versions(&self, history: &History) -> bool {
        let uses = |strategy: &StrategySpec| match &strategy.kind {
            StrategyKind::Hash(hash) => match hash.compare {
                Compare::Stored => true,
                Compare::Auto => auto::may_use_versions(history),
                Compare::Stream | Compare::Pushdown => false,
            },
            _ => false,
        };
        self.comparison().is_some_and(uses)
    }

    /// The delta's own settings.
    #[must_use]
    pub fn delta_spec(&self) -> Option<&'a DeltaSpec> {
        match &self.delta?.kind {
            StrategyKind::Delta(spec) => Some(spec),
            _ => None,
        }
    }
}

/// Says why none of the strategies can be chosen. A full load that nobody asked for would be a surprise.
fn nothing_to_choose(spec: &PipelineSpec) -> Error {
    let why = |strategy: &StrategySpec| match &strategy.kind {
        StrategyKind::Full(_) | StrategyKind::Delta(_) | StrategyKind::Hash(_) => {
            format!("`{}` is not enabled", strategy.name)
        }
    };
    let why: Vec<String> = spec.strategies.iter().map(why).collect();
    Error::refused(
        ErrorKind::Invalid,
        format!(
            "pipeline `{}` has no strategy to choose: {}",
            spec.name,
            why.join(", ")
        ),
        "Enable a strategy of type `full`, `delta` or `hash`, or name what to run with `--strategy`.",
    )
}

/// Refuses what is not built: by that strategy, or, without one, by every strategy.
fn check_built(spec: &PipelineSpec, strategy: Option<&str>) -> Result<()> {
    let what: Vec<_> = match strategy {
        Some(name) => spec.not_built_for(name).into_iter().cloned().collect(),
        None => spec
            .unbuilt
            .iter()
            .filter(|unbuilt| unbuilt.strategy.is_none())
            .cloned()
            .collect(),
    };
    if what.is_empty() {
        Ok(())
    } else {
        Err(Error::NotBuilt { what })
    }
}

/// Chooses what runs.
///
/// # Errors
/// `Invalid` for a delta that was asked for and cannot follow the table.
pub fn choose(spec: &PipelineSpec, candidates: &Candidates<'_>, facts: &Facts) -> Result<Choice> {
    let named = candidates.asked.is_some();
    let full = |reason: String| {
        let strategy = match candidates.asked {
            Some(Candidate::Full(strategy)) => strategy,
            _ => candidates.full,
        };
        let settings = match strategy.map(|strategy| &strategy.kind) {
            Some(StrategyKind::Full(settings)) => settings.clone(),
            _ => FullSpec::default(),
        };
        let name = strategy.map_or(FULL, |strategy| &strategy.name).to_owned();
        Ok(Choice {
            strategy: name,
            reason,
            kind: Chosen::Full(settings),
        })
    };
    match candidates.task {
        Task::Sync => {}
        Task::Deletes => return deletes(spec, facts),
        Task::Verify { .. } => return verify(facts),
    }
    if let Some(Candidate::Full(_)) = candidates.asked {
        return full(ASKED_FOR.to_owned());
    }
    if let Some(Candidate::Hash(strategy)) = candidates.asked
        && let StrategyKind::Hash(settings) = &strategy.kind
    {
        return match nothing_to_compare(facts) {
            Some(reason) => full(format!(
                "strategy `{}` has nothing to compare: {reason}",
                strategy.name
            )),
            None => Ok(Choice {
                strategy: strategy.name.clone(),
                reason: ASKED_FOR.to_owned(),
                kind: Chosen::Hash(settings.clone()),
            }),
        };
    }
    // All rows, in the way that changes least.
    let whole = |reason: String| match instead_of_full(spec, candidates, facts) {
        None => full(reason),
        Some(Instead::Full(why)) => full(format!("{reason}; {why}")),
        Some(Instead::Hash(strategy, settings)) => Ok(Choice {
            strategy: strategy.name.clone(),
            reason: format!("{reason}; a comparison brings in just what differs"),
            kind: Chosen::Hash(settings.clone()),
        }),
    };
    let (Some(delta), Some(settings)) = (candidates.delta, candidates.delta_spec()) else {
        return whole("the pipeline has no other strategy that is enabled and built".to_owned());
    };
    check_built(spec, Some(&delta.name))?;
    if facts.relation.grouped() {
        return match nothing_to_compare(facts) {
            Some(reason) => full(reason),
            None => Ok(follow_groups(spec, facts, delta, settings, named)),
        };
    }
    if let Err(obstacle) = can_follow(settings, facts) {
        // A table that nobody described may have nothing to follow; a column that somebody named has to work.
        if named || settings.column.is_some() {
            if let Some(name) = settings.column.as_deref().map(|name| spec.source_column(name))
                && facts.table.column(name).is_none()
            {
                let known = facts.table.columns.iter().map(|column| column.name.as_str());
                return Err(Error::Refused {
                    kind: ErrorKind::NotFound,
                    message: format!(
                        "strategy `{}` cannot follow table \"{}\": {obstacle}",
                        delta.name, facts.table.name
                    ),
                    hint: did_you_mean(name, known),
                });
            }
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!(
                    "strategy `{}` cannot follow table \"{}\": {obstacle}",
                    delta.name, facts.table.name
                ),
                "Name the key with `roles: [unique_column]` in `column_map` and the cursor with `column` of the \
                 strategy, or run `--strategy full`.",
            ));
        }
        return whole(obstacle);
    }
    let low = match standing::watermark(&spec.name, facts, settings, named) {
        Ok(low) => low,
        Err(reason) if named => {
            return full(format!(
                "strategy `{}` has nothing to go on from: {reason}",
                delta.name
            ));
        }
        Err(reason) => return whole(reason),
    };
    if !named {
        if let Some(reason) = pace::too_much(spec, candidates, facts) {
            return full(reason);
        }
        let instead = pace::long_ago(facts).zip(instead_of_full(spec, candidates, facts));
        if let Some((reason, Instead::Hash(..))) = instead {
            return whole(reason);
        }
    }
    let reason = if named { ASKED_FOR.to_owned() } else { low.origin };
    let kind = Chosen::Delta {
        spec: settings.clone(),
        low: low.value,
    };
    Ok(Choice {
        strategy: delta.name.clone(),
        reason,
        kind,
    })
}

/// A delta of aggregates, or where nobody knows what it would go on from, a comparison.
fn follow_groups(
    spec: &PipelineSpec,
    facts: &Facts,
    delta: &StrategySpec,
    settings: &DeltaSpec,
    named: bool,
) -> Choice {
    let low = match &facts.shape.cursor {
        Err(obstacle) => Err(obstacle.clone()),
        Ok(_) => standing::watermark(&spec.name, facts, settings, named),
    };
    match low {
        Err(reason) => all_groups(&delta.name, format!("all groups are compared: {reason}")),
        Ok(low) => Choice {
            strategy: delta.name.clone(),
            reason: if named { ASKED_FOR.to_owned() } else { low.origin },
            kind: Chosen::Delta {
                spec: settings.clone(),
                low: low.value,
            },
        },
    }
}

/// A comparison of all groups, which finds those of rows that moved or went.
pub(super) fn all_groups(strategy: &str, reason: String) -> Choice {
    Choice {
        strategy: strategy.to_owned(),
        reason,
        kind: Chosen::Hash(HashSpec::default()),
    }
}

/// What runs in the place of a full load that nobody asked for.
enum Instead<'a> {
    Hash(&'a StrategySpec, &'a HashSpec),
    /// Nothing, although there is a comparison; and why.
    Full(String),
}

/// Whether a comparison may run in the place of a full load; `None` if the pipeline has none that would help.
fn instead_of_full<'a>(
    spec: &PipelineSpec,
    candidates: &Candidates<'a>,
    facts: &Facts,
) -> Option<Instead<'a>> {
    let strategy = candidates.hash?;
    let StrategyKind::Hash(settings) = &strategy.kind else {
        return None;
    };
    let other_source = facts
        .ledger
        .as_ref()
        .is_none_or(|entry| entry.source != facts.source_identity);
    let reset = facts.history.start_fresh.as_deref() == Some(RESET);
    let built = check_built(spec, Some(&strategy.name)).is_ok();
    if nothing_to_compare(facts).is_some() || other_source || reset || !built {
        return None;
    }
    Some(match pace::differed(facts) {
        Some(why) => Instead::Full(why),
        None => Instead::Hash(strategy, settings),
    })
}

/// A comparison of both sides as they are.
fn verify(facts: &Facts) -> Result<Choice> {
    check_comparable(facts)?;
    Ok(Choice {
        strategy: "verify".to_owned(),
        reason: ASKED_FOR.to_owned(),
        kind: Chosen::Verify,
    })
}

/// A pass that looks for deleted rows by their keys.
fn deletes(spec: &PipelineSpec, facts: &Facts) -> Result<Choice> {
    check_comparable(facts)?;
    let table = &facts.table.name;
    let refused = |message: String, hint: &str| Err(Error::refused(ErrorKind::Invalid, message, hint));
    if facts.shape.key.is_empty() {
        return refused(
            format!("deleted rows of table \"{table}\" cannot be told: its rows have no key"),
            "Name the key with `roles: [unique_column]` in `column_map`, or run `--strategy full`.",
        );
    }
    if spec.deletes.policy == DeletePolicy::Ignore {
        return refused(
            format!("pipeline `{}` ignores deletes", spec.name),
            "Change `policy` in `deletes` of the pipeline.",
        );
    }
    if facts.relation.grouped() {
        // A row that went leaves its group behind, with other values.
        return Ok(all_groups("deletes", ASKED_FOR.to_owned()));
    }
    Ok(Choice {
        strategy: "deletes".to_owned(),
        reason: ASKED_FOR.to_owned(),
        kind: Chosen::Deletes,
    })
}

fn check_comparable(facts: &Facts) -> Result<()> {
    let (noun, table) = (facts.noun, &facts.table.name);
    let refused = |kind, message: String, hint: &str| Err(Error::refused(kind, message, hint));
    match &facts.found {
        None => refused(
            ErrorKind::NotFound,
            format!("there is nothing to compare table \"{table}\" with: it is not in the {noun} yet"),
            "Run the pipeline first.",
        ),
        Some(found) if !found.fits => refused(
            ErrorKind::Conflict,
            format!(
                "table \"{table}\" cannot be compared: its columns differ from those of the {noun}'s table"
            ),
            "Run the pipeline first: a full load makes the table anew.",
        ),
        Some(_) => Ok(()),
    }
}

/// Why a comparison would not help: then everything is loaded.
fn nothing_to_compare(facts: &Facts) -> Option<String> {
    let noun = facts.noun;
    match &facts.found {
        None => Some(format!("the table is not in the {noun} yet")),
        Some(table) if !table.fits => Some(format!("the columns differ from those of the {noun}'s table")),
        Some(_) if facts.found_empty => Some(format!("the {noun}'s table is empty")),
        Some(_) => None,
    }
}

fn can_follow(settings: &DeltaSpec, facts: &Facts) -> std::result::Result<(), String> {
    match &facts.shape.cursor {
        Err(obstacle) => Err(obstacle.clone()),
        Ok(_) if facts.shape.key.is_empty() && settings.column.is_some() => {
            Err("it has no primary key, and no column with the role `unique_column`".to_owned())
        }
        Ok(_) if facts.shape.key.is_empty() => Err("the table has no primary key".to_owned()),
        Ok(_) => Ok(()),
    }
}
