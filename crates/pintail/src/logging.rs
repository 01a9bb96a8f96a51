//! The log on stderr. The log of each run is a file beside the state, and `pintail-sync` writes it.

use pintail_model::ErrorKind;
use pintail_sync::log::Level;
use tracing_subscriber::filter::LevelFilter;

use crate::diagnostics::Diagnostic;
use crate::terminal::Palette;

/// The variable that says how much is logged.
pub(crate) const LEVEL_VARIABLE: &str = "PINTAIL_LOG_LEVEL";

/// Starts logging to stderr, at level `warning` unless `PINTAIL_LOG_LEVEL` says otherwise.
pub(crate) fn start() -> Result<(), Diagnostic> {
    let filter = match std::env::var(LEVEL_VARIABLE) {
        Ok(word) if !word.is_empty() => filter(&word).ok_or_else(|| {
            Diagnostic::new(
                ErrorKind::Invalid,
                format!("{LEVEL_VARIABLE} is `{word}`, which is not a log level"),
            )
            .hint("Use `debug`, `info`, `warning` or `error`.")
        })?,
        _ => LevelFilter::WARN,
    };
    tracing_subscriber::fmt()
        .with_max_level(filter)
        .with_writer(std::io::stderr)
        .with_ansi(Palette::stderr().coloured())
        .with_target(false)
        .init();
    Ok(())
}

/// How much the log of a run says: what `PINTAIL_LOG_LEVEL` asks for, or what every later question needs.
pub(crate) fn run_log_level() -> Level {
    let asked = std::env::var(LEVEL_VARIABLE)
        .ok()
        .and_then(|word| word.parse().ok());
    asked.unwrap_or(Level::Info)
}

fn filter(word: &str) -> Option<LevelFilter> {
    Some(match word.to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" | "warning" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        _ => return None,
    })
}
