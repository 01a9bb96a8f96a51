//! Where text goes: data to stdout, everything else to stderr, and colours only to a terminal that wants them.

use std::fmt;
use std::io::{ErrorKind as IoKind, IsTerminal, Write};

use pintail_model::ErrorKind;
use serde::Serialize;

use crate::diagnostics::Diagnostic;

/// Writes lines of data to stdout. A reader that went away, as `head` does, has what it wanted and is no error.
pub(crate) fn data(text: impl fmt::Display) -> Result<(), Diagnostic> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != IoKind::BrokenPipe => {
            Err(Diagnostic::new(ErrorKind::Unavailable, "cannot write to stdout").cause(error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Writes a value to stdout as JSON, its fields in their own order.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Diagnostic> {
    data(serde_json::to_string_pretty(value).expect("what is printed has a JSON form"))
}

/// Writes a line to stderr. If even that fails there is nobody left to tell.
pub(crate) fn say(text: impl fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// One should look at it.
    Careful,
    /// A way out.
    Hint,
}

/// A stream, and whether it shows colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    coloured: bool,
}

impl Palette {
    pub(crate) fn stderr() -> Self {
        Self::of(std::io::stderr().is_terminal())
    }

    pub(crate) fn stdout() -> Self {
        Self::of(std::io::stdout().is_terminal())
    }

    fn of(terminal: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            coloured: terminal && !dumb && !set("NO_COLOR"),
        }
    }

    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Done => 32,
            Tone::Failed => 31,
            Tone::Careful => 33,
            Tone::Hint => 36,
        };
        if self.coloured {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
