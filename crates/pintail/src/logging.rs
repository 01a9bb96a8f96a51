//! The log on stderr. The log of each run is a file beside the state, and `pintail-sync` writes it.

use pintail_model::ErrorKind;
use pintail_sync::log::Level as RunLevel;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::diagnostics::Diagnostic;

/// The variable that says how much is logged.
pub(crate) const LEVEL_VARIABLE: &str = "PINTAIL_LOG_LEVEL";

/// Where the lines of a run's own log come from.
const RUN_LOG: &str = "pintail_sync::log";

/// Starts logging to stderr, at the level of `PINTAIL_LOG_LEVEL`.
///
/// Without it, warnings are shown, and errors only where nothing else shows them: what ends a run is in its log, and
/// on stderr as a [`Diagnostic`].
pub(crate) fn start() -> Result<(), Diagnostic> {
    let asked = match std::env::var(LEVEL_VARIABLE) {
        Ok(word) if !word.is_empty() => Some(level(&word).ok_or_else(|| {
            Diagnostic::new(
                ErrorKind::Invalid,
                format!("{LEVEL_VARIABLE} is `{word}`, which is not a log level"),
            )
            .hint("Use `debug`, `info`, `warning` or `error`.")
        })?),
        _ => None,
    };
    let shown = move |event: &Metadata<'_>| match asked {
        Some(level) => *event.level() <= level,
        None => *event.level() == Level::WARN || *event.level() == Level::ERROR && event.target() != RUN_LOG,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Coloured log lines would need a feature of the library, which says so on every terminal.
        .with_ansi(false)
        .with_target(false)
        .with_filter(filter_fn(shown));
    tracing_subscriber::registry().with(lines).init();
    Ok(())
}

/// How much the log of a run says: what `PINTAIL_LOG_LEVEL` asks for, or what every later question needs.
pub(crate) fn run_log_level() -> RunLevel {
    let asked = std::env::var(LEVEL_VARIABLE)
        .ok()
        .and_then(|word| word.parse().ok());
    asked.unwrap_or(RunLevel::Info)
}

fn level(word: &str) -> Option<Level> {
    Some(match word.to_ascii_lowercase().as_str() {
        "trace" => Level::TRACE,
        "debug" => Level::DEBUG,
        "info" => Level::INFO,
        "warn" | "warning" => Level::WARN,
        "error" => Level::ERROR,
        _ => return None,
    })
}
