//! What is decided about a snapshot after it was taken: a record beside the snapshots, since a manifest never changes.
//!
//! `<project>/.registry/<snapshot_id>.json`. A snapshot without one (its taker died between the two) is as good as
//! any other; it gets one when something is decided about it.

use jiff::Timestamp;
use pintail_model::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::place::Document;

/// What is known of a snapshot beside its manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// SHA-256 at the end of the manifest that was written.
    #[serde(default)]
    pub manifest_sha256: Option<String>,
    /// Why it is kept whatever its age.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// When it was marked to go.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    /// Whether it is being removed right now, and nothing can be decided any more. In a bucket only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub going: bool,
}

impl Record {
    /// One that was read, if there is one; `name` names it in errors.
    ///
    /// # Errors
    /// `Data` for a record that is none.
    pub(crate) fn read(content: Option<&[u8]>, name: &str) -> Result<Self> {
        let Some(content) = content else {
            return Ok(Self::default());
        };
        serde_json::from_slice(content).map_err(|_| {
            Error::refused(
                ErrorKind::Data,
                format!("cannot use `{name}`: it is no record of a snapshot"),
                "It says whether the snapshot is held. Put a copy back, or remove the file, and hold the snapshot again if \
                 it was held.",
            )
        })
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        let mut text = serde_json::to_string_pretty(self).expect("a record has a JSON form");
        text.push('\n');
        text.into_bytes()
    }
}

/// A snapshot is kept until somebody releases it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// In somebody's words.
    #[serde(default)]
    pub reason: Option<String>,
}

impl ProjectFolder {
    /// What is known of a snapshot; nothing, if nothing was written down.
    ///
    /// # Errors
    /// `Data` for a record that is none.
    pub fn record(&self, id: &SnapshotId) -> Result<Record> {
        let document = Document::Record(id);
        Record::read(
            self.place().read(document)?.as_deref(),
            &self.place().name(document),
        )
    }

    /// Keeps a snapshot whatever its age, also one that was marked to go.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not there.
    pub fn hold(&self, id: &SnapshotId, hold: Hold) -> Result<Record> {
        self.manifest(id)?;
        self.change(id, |record| {
            record.hold = Some(hold.clone());
            record.deleted_at = None;
            Ok(())
        })
    }

    /// Lets go of it.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not there.
    pub fn release(&self, id: &SnapshotId) -> Result<Record> {
        self.manifest(id)?;
        self.change(id, |record| {
            record.hold = None;
            Ok(())
        })
    }

    /// Marks a snapshot to go. It stays whole until its grace is over.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not there, `Conflict` for one that is held.
    pub fn delete(&self, id: &SnapshotId, now: Timestamp) -> Result<Record> {
        // One whose manifest is broken can go, too.
        if !self.visible(id)? {
            self.manifest(id)?;
        }
        self.change(id, |record| {
            if let Some(hold) = &record.hold {
                return Err(Error::refused(
                    ErrorKind::Conflict,
                    format!("snapshot `{id}` is held by {} since {}", hold.by, hold.since),
                    format!(
                        "`pintail snapshot release {id} --project {}` lets go of it.",
                        self.project()
                    ),
                ));
            }
            record.deleted_at.get_or_insert(now);
            Ok(())
        })
    }

    fn change(&self, id: &SnapshotId, change: impl Fn(&mut Record) -> Result<()>) -> Result<Record> {
        let document = Document::Record(id);
        let mut changed = Record::default();
        self.place().change(document, &mut |content| {
            changed = Record::read(content, &self.place().name(document))?;
            if changed.going {
                return Err(self.unknown(id, std::slice::from_ref(id)));
            }
            change(&mut changed)?;
            Ok(Some(changed.content()))
        })?;
        // It may have been removed since it was looked for.
        if !self.visible(id)? {
            return Err(self.unknown(id, std::slice::from_ref(id)));
        }
        Ok(changed)
    }
}
