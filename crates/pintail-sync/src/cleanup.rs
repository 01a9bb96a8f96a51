//! Prunes what runs leave behind: what the state remembers of them, their metrics and logs, what engines spilled, and files
//! that were staged for a database. Files that were staged in a lake are swept by the next run of their pipeline.
//!
//! What a live run holds is never touched: a pipeline whose lock is taken is left alone, and files that were spilled go
//! only when no run of any pipeline is alive. What the next run of a pipeline goes on from stays, however old it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use pintail_model::{Clock, RunId};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::file_name::file_name;
use crate::folders::DataFolders;
use crate::lock::PipelineLock;
use crate::state::State;

/// What may go.
#[derive(Debug, Clone)]
pub struct Cleanup {
    /// Runs that are over, their metrics and logs, and spilled files go if they are older than this.
    pub older_than: Duration,
    /// Names of the pipelines that there are; every other one is forgotten altogether. `None` keeps all.
    pub pipelines: Option<BTreeSet<String>>,
    /// Whether only to say what would go.
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CleanedUp {
    /// Runs that the state forgot.
    pub runs: u64,
    /// Metrics, logs and spilled files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Pipelines that were forgotten because their file is gone.
    pub forgotten: Vec<String>,
    /// Pipelines that were left alone because they run.
    pub running: Vec<String>,
}

/// Cleans up the data of a project.
///
/// # Errors
/// `NotFound` where there is no state; `Unavailable` or `Unauthorized` if it, or a file, cannot be written.
pub fn clean_up(data: &DataFolders, asked: &Cleanup, clock: &dyn Clock) -> Result<CleanedUp> {
    let now = clock.now();
    let age = i64::try_from(asked.older_than.as_secs()).unwrap_or(i64::MAX);
    let limit = now
        .checked_sub(jiff::SignedDuration::from_secs(age))
        .unwrap_or(Timestamp::MIN);
    let Some(mut state) = State::look(&data.state)? else {
        return Err(Error::Refused {
            kind: pintail_model::ErrorKind::NotFound,
            message: format!("there is no state in `{}`", data.state.display()),
            hint: Some("Name the folder with `--state-dir`.".to_owned()),
        });
    };
    let mut done = CleanedUp::default();
    let mut locks = Vec::new();
    for pipeline in state.pipelines()? {
        // Held until everything is over: a run that begins meanwhile would be in our way, and we in its.
        match PipelineLock::take(&data.state, &pipeline, now) {
            Ok(lock) => locks.push(lock),
            Err(Error::AlreadyRunning { .. }) => {
                done.running.push(pipeline);
                continue;
            }
            Err(error) => return Err(error),
        }
        let gone = asked
            .pipelines
            .as_ref()
            .is_some_and(|known| !known.contains(&pipeline));
        let what = if gone {
            What::Everything
        } else {
            What::Before(limit)
        };
        prune(data, &mut state, &pipeline, what, asked.dry_run, &mut done)?;
    }
    if done.running.is_empty() && !any_other_lock(&data.state, &locks) {
        let mut loose = files_in(&data.state.join("spill"));
        loose.extend(staged(data, &state)?);
        let old = loose.into_iter().filter(|file| file.older_than(limit));
        remove(old, asked.dry_run, &mut done)?;
    }
    Ok(done)
}

/// What goes of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Everything,
    Before(Timestamp),
}

fn prune(
    data: &DataFolders,
    state: &mut State,
    pipeline: &str,
    what: What,
    dry_run: bool,
    done: &mut CleanedUp,
) -> Result<()> {
    let runs = match what {
        What::Everything => state.runs(pipeline)?,
        What::Before(limit) => state.over_before(pipeline, limit)?,
    };
    let kept: BTreeSet<RunId> = match what {
        What::Everything => BTreeSet::new(),
        What::Before(_) => {
            let all = state.runs(pipeline)?;
            all.into_iter().filter(|run| !runs.contains(run)).collect()
        }
    };
    let files = [&data.metrics, &data.logs]
        .into_iter()
        .flat_map(|folder| files_in(&folder.join(file_name(pipeline))));
    let goes = |file: &Found| match what {
        What::Everything => true,
        // Also those of runs that the state forgot by itself.
        What::Before(limit) => {
            file.older_than(limit) && !file.is_latest() && !kept.iter().any(|run| file.is_of(run))
        }
    };
    remove(files.filter(goes), dry_run, done)?;
    if !dry_run {
        match what {
            What::Everything => state.forget_pipeline(pipeline)?,
            What::Before(_) => state.forget_runs(pipeline, &runs)?,
        }
        for folder in [&data.metrics, &data.logs] {
            // Goes only if nothing is left in it.
            let _ = std::fs::remove_dir(folder.join(file_name(pipeline)));
        }
    }
    done.runs += runs.len() as u64;
    if what == What::Everything {
        done.forgotten.push(pipeline.to_owned());
    }
    Ok(())
}

/// Files on their way to a database, in `stage/<place>/<run>/`, of runs that nothing goes on with.
fn staged(data: &DataFolders, state: &State) -> Result<Vec<Found>> {
    let mut needed = BTreeSet::new();
    for pipeline in state.pipelines()? {
        needed.extend(state.staged_runs(&pipeline)?);
    }
    let runs = folders_in(&data.state.join("stage"))
        .into_iter()
        .flat_map(|place| folders_in(&place));
    let over = |run: &PathBuf| {
        let name = run.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !needed.contains(&RunId::from_stored(name))
    };
    Ok(runs.filter(over).flat_map(|run| files_in(&run)).collect())
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// A file that may go.
struct Found {
    path: PathBuf,
    bytes: u64,
    modified_at: Timestamp,
}

impl Found {
    fn older_than(&self, limit: Timestamp) -> bool {
        self.modified_at < limit
    }

    fn is_of(&self, run: &RunId) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(run.as_str()))
    }

    fn is_latest(&self) -> bool {
        self.path.ends_with("latest_run.json")
    }
}

fn files_in(folder: &Path) -> Vec<Found> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let found = |entry: std::fs::DirEntry| {
        let about = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some(Found {
            path: entry.path(),
            bytes: about.len(),
            modified_at: about.modified().ok()?.try_into().ok()?,
        })
    };
    entries.filter_map(found).collect()
}

fn remove(files: impl Iterator<Item = Found>, dry_run: bool, done: &mut CleanedUp) -> Result<()> {
    for file in files {
        if !dry_run {
            std::fs::remove_file(&file.path).map_err(|source| Error::File {
                action: "remove",
                path: file.path.clone(),
                source,
            })?;
        }
        done.files += 1;
        done.bytes += file.bytes;
    }
    Ok(())
}

/// Whether a run holds a lock that is none of ours: that of a pipeline which the state does not know yet.
fn any_other_lock(state: &Path, own: &[PipelineLock]) -> bool {
    let locks = files_in(&state.join("locks"));
    let taken = locks
        .iter()
        .filter(|lock| {
            let file = std::fs::File::open(&lock.path);
            file.is_ok_and(|file| file.try_lock().is_err())
        })
        .count();
    taken > own.len()
}
