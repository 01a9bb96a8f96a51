//! Which strategy runs, and why. Pure.

use pintail_config::nearest::did_you_mean;
use pintail_model::{CursorValue, ErrorKind};

use super::facts::{Asked, Facts};
use super::standing;
use crate::error::{Error, Result};
use crate::spec::{DeltaSpec, FullSpec, PipelineSpec, StrategyKind, StrategySpec};

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
    /// The delta whose cursor is followed, also by full loads, so that a delta can go on after them.
    pub delta: Option<&'a StrategySpec>,
}

/// A strategy that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Candidate<'a> {
    /// A full load, of the pipeline or Pintail's own.
    Full(Option<&'a StrategySpec>),
    /// A delta.
    Delta(&'a StrategySpec),
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
        let Some(name) = asked.strategy.as_deref() else {
            check_built(spec, None)?;
            if full.is_none() && delta.is_none() && !spec.strategies.is_empty() {
                return Err(nothing_to_choose(spec));
            }
            return Ok(Self {
                asked: None,
                full,
                delta,
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
                    full,
                    delta,
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
                full: Some(strategy),
                delta,
            },
            StrategyKind::Delta(_) => Self {
                asked: Some(Candidate::Delta(strategy)),
                full,
                delta: Some(strategy),
            },
            StrategyKind::Hash | StrategyKind::Aggregate => {
                return Err(Error::refused(
                    ErrorKind::Invalid,
                    format!(
                        "this release does not support `{}` strategies yet",
                        strategy.kind.word()
                    ),
                    "Choose another strategy with `--strategy`.",
                ));
            }
        })
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
        StrategyKind::Hash | StrategyKind::Aggregate => {
            format!(
                "`{}` is of type `{}`, which is not built yet",
                strategy.name,
                strategy.kind.word()
            )
        }
        StrategyKind::Full(_) | StrategyKind::Delta(_) => format!("`{}` is not enabled", strategy.name),
    };
    let why: Vec<String> = spec.strategies.iter().map(why).collect();
    Error::refused(
        ErrorKind::Invalid,
        format!(
            "pipeline `{}` has no strategy to choose: {}",
            spec.name,
            why.join(", ")
        ),
        "Enable a strategy of type `full` or `delta`, or name what to run with `--strategy`.",
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
    if let Some(Candidate::Full(_)) = candidates.asked {
        return full(ASKED_FOR.to_owned());
    }
    let (Some(delta), Some(settings)) = (candidates.delta, candidates.delta_spec()) else {
        return full("the pipeline has no other strategy that is enabled and built".to_owned());
    };
    check_built(spec, Some(&delta.name))?;
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
        return full(obstacle);
    }
    let low = match standing::watermark(&spec.name, facts, settings, named) {
        Ok(low) => low,
        Err(reason) if named => {
            return full(format!(
                "strategy `{}` has nothing to go on from: {reason}",
                delta.name
            ));
        }
        Err(reason) => return full(reason),
    };
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
