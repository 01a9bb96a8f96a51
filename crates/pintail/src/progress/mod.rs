//! What a run shows while it works: one bar a pipeline on a terminal, a line now and then elsewhere.

mod bar;
mod lines;
pub(crate) mod tables;

use std::io::IsTerminal;
use std::time::Duration;

use pintail_model::ErrorKind;
use pintail_sync::{Phase, Progress, Unwatched};

pub(crate) use self::lines::PARTITION;
use crate::numbers;

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Whoever reads stderr: a person at a terminal, or a log.
    Everybody,
    /// Only a person at a terminal.
    Terminal,
}

/// What is said of an error that may pass.
fn trying_again(phase: Phase, kind: ErrorKind, wait: Duration) -> String {
    format!(
        "{kind} while {}, trying again in {}",
        phase.as_str(),
        numbers::seconds(wait.as_secs_f64())
    )
}

/// A display on stderr, which takes its bar away when it is dropped. `label` names what is synced.
pub(crate) fn display(label: &str, audience: Audience) -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(bar::Bar::new(label))
    } else if audience == Audience::Everybody {
        Box::new(lines::Lines::new(label))
    } else {
        Box::new(Unwatched)
    }
}
