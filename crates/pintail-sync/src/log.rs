//! The log of one run: JSON lines beside the state, as `data/logs/<pipeline>/<run>.log`.
//!
//! ```json
//! {"timestamp":"2024-01-01T12:00:05Z","level":"INFO","message":"partition read","run_id":"…","partition":"all","rows":5000}
//! ```
//!
//! A run that came through has `sync started`, `partition read` for each partition, `committed` for each commit, and
//! `sync ended`.
//!
//! Everything also goes to `tracing`. Fields never hold secrets, cell values or statements.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use pintail_model::{Clock, RunId};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::file_name::file_name;

/// How much a log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// For whoever works on one module.
    Debug,
    /// Changes of state.
    #[default]
    Info,
    /// We recovered, and it was odd.
    Warning,
    /// Somebody must act.
    Error,
}

impl Level {
    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

impl FromStr for Level {
    type Err = String;

    /// Reads the level of `PINTAIL_LOG_LEVEL`, in any case.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "trace" | "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" | "warning" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            _ => Err(format!(
                "`{text}` is not a log level: known are `debug`, `info`, `warning` and `error`"
            )),
        }
    }
}

/// One line, in the order in which people read it.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    message: &'a str,
    run_id: &'a str,
    #[serde(flatten)]
    fields: Value,
}

/// The log of one run. Threads share it.
pub struct RunLog {
    file: Mutex<File>,
    path: PathBuf,
    run: RunId,
    level: Level,
    clock: Arc<dyn Clock>,
}

impl RunLog {
    /// Opens the log of a run; a resumed run goes on in the same file.
    pub fn open(
        logs: &Path,
        pipeline: &str,
        run: &RunId,
        level: Level,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let folder = logs.join(file_name(pipeline));
        let path = folder.join(format!("{run}.log"));
        let file = std::fs::create_dir_all(&folder)
            .and_then(|()| File::options().create(true).append(true).open(&path))
            .map_err(|source| Error::File {
                action: "write",
                path: path.clone(),
                source,
            })?;
        Ok(Self {
            file: Mutex::new(file),
            path,
            run: run.clone(),
            level,
            clock,
        })
    }

    /// Where the log lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one line. `fields` is a JSON object. A log that cannot be written does not end a run.
    pub fn write(&self, level: Level, message: &str, fields: Value) {
        let run = self.run.as_str();
        match level {
            Level::Debug => tracing::debug!(run, %fields, "{message}"),
            Level::Info => tracing::info!(run, %fields, "{message}"),
            Level::Warning => tracing::warn!(run, %fields, "{message}"),
            Level::Error => tracing::error!(run, %fields, "{message}"),
        }
        if level < self.level {
            return;
        }
        let line = Line {
            timestamp: self.clock.now().to_string(),
            level: level.as_str(),
            message,
            run_id: run,
            fields,
        };
        let mut text = serde_json::to_string(&line).expect("a line has a JSON form");
        text.push('\n');
        let written = self
            .file
            .lock()
            .expect("no holder of this lock panics")
            .write_all(text.as_bytes());
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "run log could not be written");
        }
    }

    /// Writes a line of level `INFO`.
    pub fn info(&self, message: &str, fields: Value) {
        self.write(Level::Info, message, fields);
    }

    /// Writes a line of level `WARNING`.
    pub fn warn(&self, message: &str, fields: Value) {
        self.write(Level::Warning, message, fields);
    }
}

impl std::fmt::Debug for RunLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunLog")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
