//! Questions before something is taken away.

use std::io::{BufRead, IsTerminal};

use pintail_model::ErrorKind;

use crate::diagnostics::Diagnostic;
use crate::terminal;

/// Asks on a terminal; elsewhere nobody can answer. `what` begins the error there: "a reset".
pub(crate) fn confirmed(what: &str, question: &str) -> Result<bool, Diagnostic> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Diagnostic::new(ErrorKind::Invalid, format!("{what} has to be confirmed")).hint("Add `--yes`."),
        );
    }
    terminal::say(format_args!("{question} [y/N]"));
    let mut answer = String::new();
    // Without an answer nothing is done.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
