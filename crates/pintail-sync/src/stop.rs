//! A request to stop, from a signal handler or a test.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use pintail_lake::Stopper;

/// Asks a run to end. Clones are the same request; reads are interrupted at once, commits are not.
#[derive(Clone, Default)]
pub struct StopSignal(Arc<Shared>);

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    asked: Condvar,
}

#[derive(Default)]
struct Inner {
    stopped: bool,
    engines: Vec<Stopper>,
}

impl StopSignal {
    /// A request that nobody has made yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request. May be called from any thread, and more than once.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.stopped = true;
        inner.engines.iter().for_each(Stopper::stop);
        self.0.asked.notify_all();
    }

    /// Waits, unless and until the request is made. Returns whether it was not.
    pub(crate) fn wait(&self, wait: Duration) -> bool {
        let waited = self
            .0
            .asked
            .wait_timeout_while(self.lock(), wait, |inner| !inner.stopped);
        !waited.expect("no holder of this lock panics").0.stopped
    }

    /// Whether the request was made.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Lets the request reach an engine.
    pub(crate) fn reaches(&self, engine: Stopper) {
        let mut inner = self.lock();
        if inner.stopped {
            engine.stop();
        }
        inner.engines.push(engine);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().expect("no holder of this lock panics")
    }
}

impl std::fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StopSignal").field(&self.stopped()).finish()
    }
}
