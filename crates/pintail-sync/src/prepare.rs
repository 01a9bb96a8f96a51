//! Before a run writes: both sides are looked at, an earlier run that is over is ended, and the plan is made.

use pintail_lake::{Access, Callers, Destination, Engine, SweepPolicy};
use pintail_model::{ErrorKind, RunId};

use crate::error::Result;
use crate::plan::{self, Asked, Candidates, Facts, PipelinePlan, Task};
use crate::run::SyncRequest;
use crate::state::{RunStatus, State, UnfinishedRun};
use crate::stop::StopSignal;
use crate::survey::survey;
use crate::throttle::Relay;

/// Everything that is known before a run writes.
pub(crate) struct Prepared {
    pub(crate) plan: PipelinePlan,
    pub(crate) facts: Facts,
    pub(crate) destination: Box<dyn Destination>,
    pub(crate) notes: Vec<String>,
    _alone: Callers,
    // After everything that may use it.
    _relay: Option<Relay>,
    /// Files of the lake that were put back.
    pub(crate) repaired: u32,
    /// An earlier run, or an attempt of this one, that had brought everything in and did not get to say so.
    pub(crate) settled: Option<UnfinishedRun>,
}

/// Looks at both sides, on a fresh engine, and makes the plan of a run.
pub(crate) fn prepare(
    request: &SyncRequest,
    asked: &Asked,
    state: &mut State,
    stop: &StopSignal,
) -> Result<Prepared> {
    let pipeline = &request.spec.name;
    let history = state.history(pipeline)?;
    let engine = Engine::open_own(&request.engine)?;
    stop.reaches(engine.stopper());
    // Most statements are look-ups; those that are not ask for the engine's threads.
    let alone = engine.callers(usize::MAX)?;
    let verifies = matches!(asked.task, Task::Verify { .. });
    let access = if verifies {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let survey = survey(request, asked, &engine, access, history)?;
    let mut facts = survey.facts;
    let destination = match survey.destination {
        Some(destination) => destination,
        // The error says what is missing.
        None => request.destination.attach(&engine, access)?,
    };
    let mut notes = Vec::new();
    // Whoever only compares leaves an earlier run as it is.
    let settled = if verifies { None } else { facts.settle(pipeline) };
    if let Some(over) = &settled {
        sweep_after(destination.as_ref(), request, &over.run)?;
        state.finish_run(pipeline, &over.run, RunStatus::Completed, facts.now, None)?;
        notes.push(brought_in(over));
    }
    if asked.parity && !verifies {
        notes.extend(facts.require_checksums());
    }
    if survey.repaired > 0 {
        notes.push(format!(
            "an earlier run did not learn that its last commit is in: {} files of it were put back",
            survey.repaired
        ));
    }
    let candidates = Candidates::of(&request.spec, asked)?;
    let plan = plan::make(
        &request.spec,
        asked,
        &candidates,
        &facts,
        request.source.as_ref(),
        request.destination.as_ref(),
    )?;
    Ok(Prepared {
        plan,
        facts,
        destination,
        notes,
        _alone: alone,
        _relay: survey.relay,
        repaired: survey.repaired,
        settled,
    })
}

/// Removes what a run had staged and did not commit before it was cut off. Once it counts as completed, nobody knows
/// that these files were its own: then they stay until they are old.
fn sweep_after(destination: &dyn Destination, request: &SyncRequest, run: &RunId) -> Result<()> {
    let policy = SweepPolicy {
        own_runs: vec![run.clone()],
        older_than: None,
    };
    match destination.sweep(&request.spec.destination.table, &policy) {
        // It does not count as completed yet: the next run sweeps.
        Err(error) if error.kind() == ErrorKind::Cancelled => Err(error.into()),
        Err(error) => {
            tracing::warn!(%run, %error, "what a run left behind could not be swept");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// What is said of a run that only did not get to say that it was over.
fn brought_in(run: &UnfinishedRun) -> String {
    let said = format!("run {} had brought everything in before it was cut off", run.run);
    match run.uncompared() {
        0 => said,
        open => format!(
            "{said}, and {open} of its {} partitions were not compared: a full load settles that",
            run.partitions.len()
        ),
    }
}
