//! What is decided about a snapshot after it was taken: a record beside the snapshots, since a manifest never changes.
//!
//! `snapshots/<project>/.registry/<snapshot_id>.json`. A snapshot without one (its taker died between the two) is as good as
//! any other; it gets one when something is decided about it.

use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pintail_model::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::folder::{ProjectFolder, secure, write_new};
use crate::id::SnapshotId;
use crate::lock::Lock;

const REGISTRY: &str = ".registry";

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
        let path = self.record_path(id);
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == Io::NotFound => return Ok(Record::default()),
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        serde_json::from_slice(&content).map_err(|_| {
            Error::refused(
                ErrorKind::Data,
                format!("cannot use `{}`: it is no record of a snapshot", path.display()),
                "It says whether the snapshot is held. Put a copy back, or remove the file, and hold the snapshot again if \
                 it was held.",
            )
        })
    }

    /// Keeps a snapshot whatever its age, also one that was marked to go.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not there.
    pub fn hold(&self, id: &SnapshotId, hold: Hold) -> Result<Record> {
        self.manifest(id)?;
        self.change(id, |record| {
            record.hold = Some(hold);
            record.deleted_at = None;
        })
    }

    /// Lets go of it.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not there.
    pub fn release(&self, id: &SnapshotId) -> Result<Record> {
        self.manifest(id)?;
        self.change(id, |record| record.hold = None)
    }

    /// Marks a snapshot to go. It stays whole until its grace is over.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not there, `Conflict` for one that is held.
    pub fn delete(&self, id: &SnapshotId, now: Timestamp) -> Result<Record> {
        // One whose manifest is broken can go, too.
        if !self.visible(id) {
            self.manifest(id)?;
        }
        let _lock = self.lock_registry()?;
        let mut record = self.record(id)?;
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
        self.write_record(id, &record)?;
        Ok(record)
    }

    /// Writes down that a snapshot was taken.
    pub(crate) fn register(&self, id: &SnapshotId, manifest_sha256: &str, hold: Option<Hold>) -> Result<()> {
        self.change(id, |record| {
            *record = Record {
                manifest_sha256: Some(manifest_sha256.to_owned()),
                hold,
                deleted_at: None,
            };
        })?;
        Ok(())
    }

    fn change(&self, id: &SnapshotId, change: impl FnOnce(&mut Record)) -> Result<Record> {
        let _lock = self.lock_registry()?;
        let mut record = self.record(id)?;
        change(&mut record);
        self.write_record(id, &record)?;
        Ok(record)
    }

    pub(crate) fn lock_registry(&self) -> Result<Lock> {
        let registry = self.registry();
        fs::create_dir_all(&registry).map_err(Error::file("create folder", &registry))?;
        Lock::wait(&registry.join("lock"))
    }

    fn write_record(&self, id: &SnapshotId, record: &Record) -> Result<()> {
        let mut text = serde_json::to_string_pretty(record).expect("a record has a JSON form");
        text.push('\n');
        replace(&self.record_path(id), text.as_bytes())
    }

    /// Forgets a snapshot that is gone. The caller holds the registry.
    pub(crate) fn forget(&self, id: &SnapshotId) -> Result<()> {
        let path = self.record_path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != Io::NotFound => Err(Error::file("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Ids of which there is a record.
    pub(crate) fn recorded(&self) -> Result<Vec<SnapshotId>> {
        let registry = self.registry();
        let entries = match fs::read_dir(&registry) {
            Ok(entries) => entries,
            Err(error) if error.kind() == Io::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("list", &registry)(error)),
        };
        let id = |entry: fs::DirEntry| {
            let name = entry.file_name();
            SnapshotId::parse(name.to_str()?.strip_suffix(".json")?).ok()
        };
        Ok(entries.flatten().filter_map(id).collect())
    }

    fn registry(&self) -> PathBuf {
        self.path().join(REGISTRY)
    }

    fn record_path(&self, id: &SnapshotId) -> PathBuf {
        self.registry().join(format!("{id}.json"))
    }
}

/// Puts a small file in place of another one: whoever reads it reads one of both. The caller holds a lock.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != Io::NotFound => return Err(Error::file("remove", &part)(error)),
        _ => {}
    }
    write_new(&part, content)?;
    fs::rename(&part, path).map_err(Error::file("write", path))?;
    path.parent().map_or(Ok(()), secure)
}
