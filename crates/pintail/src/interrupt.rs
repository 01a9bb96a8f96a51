//! Ctrl-C: the first one ends a run between two commits, the second one ends the process at once.

use std::thread::JoinHandle;

use pintail_model::ErrorKind;
use pintail_sync::StopSignal;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::diagnostics::Diagnostic;
use crate::terminal;

/// Listens for signals until it is dropped.
pub(crate) struct Interrupt {
    handle: Handle,
    listener: Option<JoinHandle<()>>,
}

impl Interrupt {
    /// Turns the first SIGINT or SIGTERM into a call of `stop`, announced by `notice`.
    pub(crate) fn listen(notice: &'static str, stop: impl Fn() + Send + 'static) -> Result<Self, Diagnostic> {
        let failed = |error: std::io::Error| {
            Diagnostic::new(ErrorKind::Internal, "cannot listen for signals").cause(error.to_string())
        };
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let handle = signals.handle();
        let listen = move || {
            let mut received = signals.forever();
            if received.next().is_none() {
                return;
            }
            terminal::say(notice);
            stop();
            if received.next().is_some() {
                // A commit may be under way: the next run asks the ledger whether it came through.
                signal_hook::low_level::exit(ErrorKind::Cancelled.exit_code().into());
            }
        };
        let listener = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(listen)
            .map_err(failed)?;
        Ok(Self {
            handle,
            listener: Some(listener),
        })
    }

    /// Turns the first signal into a request that a sync understands.
    pub(crate) fn stops(stop: &StopSignal) -> Result<Self, Diagnostic> {
        let stop = stop.clone();
        let notice = "stopping between two commits; press Ctrl-C again to end at once";
        Self::listen(notice, move || stop.stop())
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(listener) = self.listener.take() {
            // It ended before or ends now; its panic would have been shown already.
            let _ = listener.join();
        }
    }
}
