//! A drill: snapshots are restored into a database of their own, which is thrown away, to prove that they can be.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use pintail_lake::{DatabaseFile, Engine};
use serde::Serialize;

use crate::error::Result;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::progress::Progress;
use crate::restore::RestoreRequest;

/// What a drill of one snapshot came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drilled {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Whether it could be restored, and every table had the value hash of the manifest.
    pub proven: bool,
    /// Tables that were restored.
    pub tables: u64,
    /// Their rows.
    pub rows: u64,
    /// How long it took.
    pub seconds: f64,
    /// What stood in the way, or could not be made again beside the tables.
    pub problems: Vec<String>,
}

impl ProjectFolder {
    /// Restores a snapshot into `scratch`, a file that is not there, and compares. The file is removed again.
    ///
    /// # Errors
    /// Only if the scratch file cannot be removed: a snapshot that cannot be restored is what the report is for.
    pub fn drill(
        &self,
        engine: &Engine,
        id: &SnapshotId,
        scratch: &Path,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Drilled> {
        let database = DatabaseFile {
            path: scratch.to_path_buf(),
            address: "the scratch database".to_owned(),
        };
        let started_at = Instant::now();
        let restored = self.restore(engine, &database, id, &RestoreRequest::default(), now, progress);
        let seconds = started_at.elapsed().as_secs_f64();
        match std::fs::remove_file(scratch) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(crate::error::Error::file("remove", scratch)(error));
            }
            _ => {}
        }
        Ok(match restored {
            Ok(restored) => Drilled {
                snapshot: id.clone(),
                proven: restored.not_restored.is_empty(),
                tables: restored.plan.tables.len() as u64,
                rows: restored.plan.tables.iter().map(|table| table.rows).sum(),
                seconds,
                problems: restored
                    .not_restored
                    .iter()
                    .map(|object| format!("could not restore {object}"))
                    .collect(),
            },
            Err(error) => Drilled {
                snapshot: id.clone(),
                proven: false,
                tables: 0,
                rows: 0,
                seconds,
                problems: vec![one_line(&error)],
            },
        })
    }
}

/// An error with its causes.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
