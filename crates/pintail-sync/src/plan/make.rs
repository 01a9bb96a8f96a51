//! Making a plan: what runs is chosen, what must not is refused, and each kind of plan is laid out in a file of its own.

use pintail_lake::DestinationPlace;
use pintail_lake::connector::Connector;
use pintail_model::{ErrorKind, Range, checksum};

use super::{
    Asked, Candidates, Caps, Choice, Chosen, Comparison, Deletes, Facts, NullRows, PartitionPlan,
    PipelinePlan, PlanKind, Shown, Task, choose, delta, full, groups, hash, inert, verify,
};
use crate::error::{Error, Result};
use crate::report::Endpoint;
use crate::spec::{DeletePolicy, DeltaSpec, DetectDeletes, PipelineSpec};
use crate::state::UnfinishedRun;

/// Why groups are compared that no key tells apart.
const AS_COPIES: &str =
    "all groups are compared, as copies of rows: one of them has no value in what it is grouped by";

/// Makes a plan.
///
/// # Errors
/// As [`choose`]; `Invalid` for an unknown time zone.
pub fn make(
    spec: &PipelineSpec,
    asked: &Asked,
    candidates: &Candidates<'_>,
    facts: &Facts,
    connector: &dyn Connector,
    place: &dyn DestinationPlace,
) -> Result<PipelinePlan> {
    refuse_marking(spec, facts)?;
    let mut choice = match &asked.as_copies {
        Some(strategy) if !matches!(asked.task, Task::Verify { .. }) => {
            choose::all_groups(strategy, AS_COPIES.to_owned())
        }
        _ => choose(spec, candidates, facts)?,
    };
    let draft = Draft {
        spec,
        asked,
        facts,
        connector,
    };
    if facts.relation.grouped()
        && matches!(choice.kind, Chosen::Delta { .. })
        && let Some(obstacle) = groups::obstacle(&draft)
    {
        choice = choose::all_groups(&choice.strategy, format!("all groups are compared: {obstacle}"));
    }
    if matches!(choice.kind, Chosen::Hash(_)) {
        refuse_ignoring(spec, facts)?;
    }
    if let (Chosen::Full(_), Some(false)) = (&choice.kind, spec.destination.supports_update) {
        refuse_replacing(spec, facts, &choice)?;
    }
    if matches!(choice.kind, Chosen::Full(_)) && !candidates.asks_for_full() {
        refuse_forgetting(spec, facts, &choice)?;
    }
    let mut plan = match choice.kind.clone() {
        Chosen::Full(settings) => full::plan(&draft, choice, &settings, candidates.delta_spec()),
        Chosen::Delta { spec, low } if facts.relation.grouped() => groups::plan(&draft, choice, &spec, low)?,
        Chosen::Delta { spec, low } => delta::plan(&draft, choice, &spec, low)?,
        Chosen::Verify => verify::plan(&draft, choice, candidates.delta_spec()),
        Chosen::Hash(settings) => hash::plan(&draft, choice, &settings, candidates.delta_spec())?,
        Chosen::Deletes => hash::plan_deletes(&draft, choice, candidates.delta_spec()),
    };
    if matches!(plan.kind, PlanKind::Delta | PlanKind::Groups) && facts.history.start_fresh.is_some() {
        let note = "the last comparison found a difference, which only a full load settles";
        plan.notes.push(note.to_owned());
    }
    let follows = matches!(plan.kind, PlanKind::Delta | PlanKind::Groups) && asked.task == Task::Sync;
    if follows && spec.detect_deletes == DetectDeletes::AfterDeltas {
        let note = "a pass by keys follows, which looks for rows that are gone from the source";
        plan.notes.push(note.to_owned());
    }
    if let (Some(mark), true) = (plan.shape.marked(), facts.adds_mark) {
        plan.notes.push(format!(
            "column `{mark}` is added to the {}'s table, which does not have it yet",
            facts.noun
        ));
    }
    if let Some(left) = facts
        .history
        .unfinished
        .as_ref()
        .filter(|run| plan.resumes.as_ref() != Some(&run.run))
    {
        plan.notes.push(left_behind(left));
    }
    let inert = inert::notes(spec, &plan);
    plan.notes.extend(inert);
    plan.shown = plan.shown_at(place);
    Ok(plan)
}

/// A full load puts other rows in the place of those that are there.
fn refuse_replacing(spec: &PipelineSpec, facts: &Facts, choice: &Choice) -> Result<()> {
    let Some(found) = facts.filled() else {
        return Ok(());
    };
    let rows = match found.rows {
        // Nobody has counted them.
        0 => "the rows".to_owned(),
        rows => format!("the {rows} rows"),
    };
    Err(Error::refused(
        ErrorKind::Conflict,
        format!(
            "a full load would replace {rows} of table \"{}\", and `supports_update: false` says that rows are only ever \
             added to it; a full load would run because {}",
            spec.destination.table, choice.reason
        ),
        "Empty the table first, name another one, or take `supports_update: false` out of the pipeline.",
    ))
}

/// A row that is gone can only be found again by its key.
fn refuse_marking(spec: &PipelineSpec, facts: &Facts) -> Result<()> {
    if spec.deletes.mark().is_none() || !facts.shape.key.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Invalid,
        format!(
            "`policy: soft` in `deletes` marks the rows of table \"{}\" that are gone from the source, and its rows have no key",
            facts.table.name
        ),
        "Name the key with `roles: [unique_column]` in `column_map`, or take `policy: hard`.",
    ))
}

/// Of rows without a key nobody can say which one of them changed and which one is gone.
fn refuse_ignoring(spec: &PipelineSpec, facts: &Facts) -> Result<()> {
    if spec.deletes.policy != DeletePolicy::Ignore || !facts.shape.key.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Invalid,
        format!(
            "table \"{}\" cannot be compared with `policy: ignore` in `deletes`: its rows have no key, so nobody can tell one \
             that is gone from one that changed",
            facts.table.name
        ),
        "Name the key with `roles: [unique_column]` in `column_map`, or take `policy: hard`.",
    ))
}

/// A full load that nobody asked for must not take away what is to stay.
fn refuse_forgetting(spec: &PipelineSpec, facts: &Facts, choice: &Choice) -> Result<()> {
    let Some(found) = facts.filled() else {
        return Ok(());
    };
    match spec.deletes.policy {
        DeletePolicy::Hard => return Ok(()),
        // They are carried over.
        DeletePolicy::Soft { .. } if found.fits => return Ok(()),
        DeletePolicy::Soft { .. } | DeletePolicy::Ignore => {}
    }
    Err(Error::refused(
        ErrorKind::Conflict,
        format!(
            "a full load would replace table \"{}\", and `policy: {}` in `deletes` says that rows which are gone from the \
             source stay; a full load would run because {}",
            spec.destination.table,
            spec.deletes.policy.word(),
            choice.reason
        ),
        "If they may go, ask for it with `--strategy full`.",
    ))
}

/// What is said of an unfinished run that the plan does not go on with.
fn left_behind(run: &UnfinishedRun) -> String {
    let staged = run
        .partitions
        .iter()
        .filter(|partition| partition.staged.is_some())
        .count();
    let id = &run.run;
    if run.kind == PlanKind::Full.as_str() && staged > 0 {
        return format!(
            "run {id} ended before its commit: its {staged} staged partitions belong to a snapshot of the source that \
             is gone, and cannot be proven to fit to this run"
        );
    }
    format!("run {id}, which did not end, is left behind: this run does other work")
}

/// What all kinds of plan are made from.
pub(super) struct Draft<'a> {
    pub(super) spec: &'a PipelineSpec,
    pub(super) asked: &'a Asked,
    pub(super) facts: &'a Facts,
    pub(super) connector: &'a dyn Connector,
}

/// Partitions that are read at once where nothing is said: more connections bring little on one network, and
/// every one of them is a burden for the source.
const CONCURRENCY: u32 = 2;

impl Draft<'_> {
    /// Gives a plan the one partition in which both sides are compared.
    pub(super) fn compare(&self, plan: &mut PipelinePlan) {
        let (facts, shape) = (self.facts, plan.shape.read_for_hashes(&plan.compared));
        let partition = PartitionPlan::new(
            self.connector,
            &facts.relation,
            &shape,
            Range::Whole,
            facts.table.rows,
        );
        plan.partitions.push(partition);
    }

    /// A plan without partitions.
    pub(super) fn plan(&self, choice: Choice, kind: PlanKind, hash: String) -> PipelinePlan {
        let Self {
            spec, asked, facts, ..
        } = self;
        let shared = facts.capabilities.shared_snapshot;
        let wanted = spec.max_concurrent_partitions.unwrap_or(CONCURRENCY);
        let wanted = wanted.min(spec.limits.source_connections.unwrap_or(u32::MAX));
        PipelinePlan {
            pipeline: spec.name.clone(),
            strategy: choice.strategy,
            kind,
            reason: choice.reason,
            notes: Vec::new(),
            resumes: None,
            source: Endpoint {
                address: facts.source_address.clone(),
                table: facts.table.name.to_string(),
            },
            destination: Endpoint {
                address: facts.destination_address.clone(),
                table: spec.destination.table.to_string(),
            },
            source_table: facts.table.name.clone(),
            relation: facts.relation.clone(),
            table: spec.destination.table.clone(),
            shape: facts.shape.clone(),
            compared: facts.shape.compared.clone(),
            comparison: Comparison::default(),
            table_rows: facts.table.rows,
            table_bytes: facts.table.bytes,
            low: None,
            again: None,
            watermark: None,
            null_rows: NullRows::Unaffected,
            null_count: None,
            whole_count: None,
            changed: None,
            members: groups::memberships(self),
            reuse: None,
            append_only: spec.destination.supports_update == Some(false),
            deletes: Deletes {
                spec: spec.deletes.clone(),
                allowed_for_once: asked.allow_deletes,
                hidden: facts.hidden.clone(),
                carries: spec.deletes.mark().is_some()
                    && facts.found.as_ref().is_some_and(|table| table.fits),
            },
            keys_named: match asked.task {
                Task::Verify { keys_named } => keys_named,
                Task::Sync | Task::Deletes => 0,
            },
            parity: asked.parity || asked.task != Task::Sync,
            caps: Caps::of(&spec.limits),
            concurrency: if shared { wanted.max(1) as usize } else { 1 },
            partitions: Vec::new(),
            hash,
            shown: Shown::default(),
        }
    }

    pub(super) fn partition(&self, range: Range, expected_rows: Option<u64>) -> PartitionPlan {
        let (facts, connector) = (self.facts, self.connector);
        PartitionPlan::new(connector, &facts.relation, &facts.shape, range, expected_rows)
    }

    /// A name for what a resumed run must find unchanged.
    pub(super) fn hash(&self, kind: PlanKind, strategy: &str, delta: Option<&DeltaSpec>) -> String {
        let shape = &self.facts.shape;
        let columns: Vec<_> = shape
            .columns
            .iter()
            .map(|read| {
                (
                    &read.source.name,
                    &read.source.source_type,
                    &read.source.identity,
                    &read.column,
                )
            })
            .collect();
        let cursor = shape.followed();
        let table = self.spec.destination.table.to_string();
        let storage = (kind == PlanKind::Full).then_some(&self.facts.table.storage_identity);
        let source = &self.facts.source_identity;
        // A frozen delta knows nothing of a policy that was changed since.
        let settings = delta.map(|delta| format!("{delta:?}"));
        let text = serde_json::to_string(&(
            1, kind, strategy, source, table, columns, &shape.key, cursor, storage, settings,
        ))
        .expect("names and numbers have a JSON form");
        format!("{:016x}", checksum::bytes_word(text.as_bytes()))
    }
}
