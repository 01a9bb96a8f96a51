//! Interrupts calls that miss their deadline, and all calls when an engine is told to stop.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use duckdb::InterruptHandle;

/// DuckDB forgets an interrupt that comes while it still prepares a statement: it is repeated until the call ends.
const REPEAT: Duration = Duration::from_millis(50);

/// One thread per engine that sleeps until the next deadline. It ends with the engine.
pub(crate) struct Watchdog {
    state: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Calls>,
    changed: Condvar,
    stop_asked: Condvar,
}

#[derive(Default)]
struct Calls {
    next: u64,
    running: BTreeMap<u64, Running>,
    stopped: bool,
    closed: bool,
}

struct Running {
    deadline: Instant,
    interrupt: Arc<InterruptHandle>,
    protected: bool,
    late: bool,
}

/// A call under watch. Leaving tells how it ended.
pub(crate) struct Watch<'a> {
    shared: &'a Shared,
    id: u64,
}

/// How a watched call ended.
pub(crate) struct Ending {
    /// The watchdog interrupted it because of its deadline.
    pub(crate) late: bool,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Shared::default());
        let watched = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("pintail-watchdog".to_owned())
            .spawn(move || watched.watch())
            .expect("the system lets this process start a thread");
        Self {
            state,
            thread: Some(thread),
        }
    }

    /// Puts a call under watch; `None` if the engine was told to stop and the call is not protected.
    pub(crate) fn enter(
        &self,
        interrupt: &Arc<InterruptHandle>,
        deadline: Instant,
        protected: bool,
    ) -> Option<Watch<'_>> {
        let mut calls = self.state.lock();
        if calls.stopped && !protected {
            return None;
        }
        let id = calls.next;
        calls.next += 1;
        calls.running.insert(
            id,
            Running {
                deadline,
                interrupt: Arc::clone(interrupt),
                protected,
                late: false,
            },
        );
        drop(calls);
        self.state.changed.notify_one();
        Some(Watch {
            shared: &self.state,
            id,
        })
    }

    /// Interrupts every unprotected call, now and from now on.
    pub(crate) fn stop(&self) {
        let mut calls = self.state.lock();
        calls.stopped = true;
        for running in calls.running.values().filter(|running| !running.protected) {
            running.interrupt.interrupt();
        }
        drop(calls);
        self.state.stop_asked.notify_all();
        self.state.changed.notify_one();
    }

    /// Waits, unless and until the engine is told to stop. Returns whether it was not.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let waited = self
            .state
            .stop_asked
            .wait_timeout_while(self.state.lock(), pause, |calls| !calls.stopped);
        !waited.expect("no holder of this lock panics").0.stopped
    }

    pub(crate) fn stopped(&self) -> bool {
        self.state.lock().stopped
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.state.lock().closed = true;
        self.state.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread does nothing that panics; if it did, there is nothing left to watch.
            let _ = thread.join();
        }
    }
}

impl Watch<'_> {
    pub(crate) fn leave(self) -> Ending {
        let running = self.shared.lock().running.remove(&self.id);
        Ending {
            late: running.is_some_and(|running| running.late),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().expect("no holder of this lock panics")
    }

    fn watch(&self) {
        let mut calls = self.lock();
        while !calls.closed {
            let (now, stopped) = (Instant::now(), calls.stopped);
            let look_again = calls.running.values_mut().map(|running| {
                running.late |= running.deadline <= now;
                if running.late || (stopped && !running.protected) {
                    running.interrupt.interrupt();
                    return now + REPEAT;
                }
                running.deadline
            });
            calls = match look_again.min() {
                Some(next) => {
                    self.changed
                        .wait_timeout(calls, next.saturating_duration_since(now))
                        .expect("no holder of this lock panics")
                        .0
                }
                None => self.changed.wait(calls).expect("no holder of this lock panics"),
            };
        }
    }
}
