//! Trying again what a broken connection ended.
//!
//! Kinds of errors decide what is worth it, never texts: see [`Error::transient`]. Three layers try again:
//! - a partition whose session broke, while the session that opened the source's snapshot lives: on a new session that
//!   joins the same snapshot ([`crate::fetch`]);
//! - a look at both sides, on a fresh engine;
//! - everything else by what a later run would do: look at both sides, plan, go on from the ledger ([`crate::run`]). So
//!   a delta goes on behind its last commit, and a full load uses what it had staged where that is provably right.
//!
//! A commit has questions of its own to ask before it may be repeated, and asks them itself: [`pintail_lake::commit`].

use std::sync::Mutex;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::progress::{Progress, Watched};
use crate::report::Retried;
use crate::spec::RetrySpec;
use crate::stop::StopSignal;

/// What is tried again in one run.
pub(crate) struct Retries<'a> {
    pipeline: &'a str,
    spec: &'a RetrySpec,
    progress: &'a Watched<'a>,
    stop: &'a StopSignal,
    random: Mutex<fastrand::Rng>,
    retried: Mutex<Retried>,
}

/// The waits for one piece of work.
pub(crate) type Waits = Box<dyn Iterator<Item = Duration> + Send>;

impl<'a> Retries<'a> {
    pub(crate) fn new(
        pipeline: &'a str,
        spec: &'a RetrySpec,
        random: u32,
        progress: &'a Watched<'a>,
        stop: &'a StopSignal,
    ) -> Self {
        Self {
            pipeline,
            spec,
            progress,
            stop,
            random: Mutex::new(fastrand::Rng::with_seed(random.into())),
            retried: Mutex::default(),
        }
    }

    /// The waits for another piece of work.
    pub(crate) fn waits(&self) -> Waits {
        let mut random = self.random.lock().expect("no holder of this lock panics");
        Box::new(self.spec.waits(random.u64(..)))
    }

    /// Waits until it is time to try again what `error` ended, and gives that back.
    ///
    /// # Errors
    /// The same error if that is not worth it, or if it was tried often enough; [`Error::Stopped`] if somebody asks for
    /// it meanwhile.
    pub(crate) fn wait_after(&self, error: Error, waits: &mut Waits) -> Result<Error> {
        if !error.transient() || self.stop.stopped() {
            return Err(error);
        }
        let Some(wait) = waits.next() else {
            return Err(error);
        };
        let (phase, kind) = (self.progress.now(), error.kind());
        // Whoever watches is told by the progress.
        tracing::info!(
            pipeline = self.pipeline,
            phase = phase.as_str(),
            %error,
            wait_seconds = wait.as_secs_f64(),
            "a connection failed, and the run tries again"
        );
        self.retried
            .lock()
            .expect("no holder of this lock panics")
            .add(phase, kind, wait);
        self.progress.retries(phase, kind, wait);
        if self.stop.wait(wait) {
            Ok(error)
        } else {
            Err(Error::Stopped {
                pipeline: self.pipeline.to_owned(),
            })
        }
    }

    /// Does `work` until it succeeds, or fails in a way that is not worth another attempt.
    pub(crate) fn run<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut waits = self.waits();
        loop {
            match work() {
                Ok(done) => return Ok(done),
                Err(error) => drop(self.wait_after(error, &mut waits)?),
            }
        }
    }

    /// Another number for every attempt, beginning with `first`. Neighbours of `first` belong to other runs: a caller
    /// may count them. `again` counts the attempts that no retry led to.
    pub(crate) fn number(&self, first: u32, again: u64) -> u32 {
        match self.retried().count + again {
            0 => first,
            attempt => fastrand::Rng::with_seed(u64::from(first) << 32 | attempt).u32(..),
        }
    }

    /// What was tried again until now.
    pub(crate) fn retried(&self) -> Retried {
        self.retried
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }
}
