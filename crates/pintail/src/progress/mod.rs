//! What a run shows while it works: one bar a pipeline on a terminal, a line now and then elsewhere.

mod bar;
mod lines;

use std::io::IsTerminal;

use pintail_sync::{Progress, Unwatched};

pub(crate) use self::lines::PARTITION;

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Whoever reads stderr: a person at a terminal, or a log.
    Everybody,
    /// Only a person at a terminal.
    Terminal,
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
