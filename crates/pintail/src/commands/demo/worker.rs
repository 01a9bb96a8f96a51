//! A worker process that is killed in the middle of a sync, as a machine that loses its power would do it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pintail_model::ErrorKind;
use pintail_sync::{State, StopSignal};

use crate::diagnostics::Diagnostic;
use crate::progress::PARTITION;
use crate::project::Project;

/// Partitions that are in when the worker dies.
const COMMITTED: usize = 2;

/// What became of the worker.
pub(super) enum Ending {
    /// It was killed.
    Killed {
        process: u32,
        committed: u64,
        total: u64,
    },
    /// It was done before.
    Faster,
}

/// Starts `pintail run` for a pipeline, and kills it when some partitions are committed and others are not.
pub(super) fn kill_in_the_middle(
    pipeline: &Path,
    name: &str,
    strategy: &str,
    stop: &StopSignal,
) -> Result<Ending, Diagnostic> {
    let mut worker = Worker::start(pipeline, strategy)?;
    let mut said = String::new();
    let mut output = BufReader::new(worker.0.stderr.take().expect("the worker's stderr is a pipe"));
    let mut committed = 0;
    let mut line = String::new();
    while committed < COMMITTED && output.read_line(&mut line).unwrap_or(0) > 0 {
        committed += usize::from(line.contains(PARTITION));
        said.push_str(&line);
        line.clear();
    }
    if committed == COMMITTED {
        let process = worker.0.id();
        worker.kill();
        let data_dir = Project::default().data(pipeline).state;
        let states = State::look(&data_dir)?
            .map(|state| state.show(name, Some(strategy)))
            .transpose()?;
        let progress = states.into_iter().flatten().next().map(|state| state.progress);
        return Ok(match progress {
            Some(progress) if progress.completed_partitions < progress.total_partitions => Ending::Killed {
                process,
                committed: progress.completed_partitions,
                total: progress.total_partitions,
            },
            _ => Ending::Faster,
        });
    }
    // Its output has ended, so it ends too.
    let status = worker.0.wait().map_err(|error| failed("wait for", &error))?;
    let _ = output.read_to_string(&mut said);
    if status.success() {
        return Ok(Ending::Faster);
    }
    if stop.stopped() {
        return Err(Diagnostic::new(
            ErrorKind::Cancelled,
            "the demo was stopped on request",
        ));
    }
    Err(Diagnostic::new(ErrorKind::Internal, "the worker of the demo failed").cause(said))
}

/// The worker's process, which does not outlive its demo.
struct Worker(Child);

impl Worker {
    fn start(pipeline: &Path, strategy: &str) -> Result<Self, Diagnostic> {
        let program = std::env::current_exe().map_err(|error| failed("find the program of", &error))?;
        let child = Command::new(program)
            .args(["run", "--strategy", strategy, "--config"])
            .arg(pipeline)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        child.map(Self).map_err(|error| failed("start", &error))
    }

    /// SIGKILL: the worker gets no chance to tidy up.
    fn kill(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn failed(action: &str, error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(
        ErrorKind::Internal,
        format!("cannot {action} the worker of the demo"),
    )
    .cause(error.to_string())
}
