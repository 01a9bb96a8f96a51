//! Whether the files of snapshots still are what was written: each is read as a whole and its SHA-256 compared, and a folder
//! holds these files and no others. Parquet itself notices almost nothing of this: of 40 flipped bits, 38 read as wrong values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;

use pintail_lake::Engine;
use pintail_model::ErrorKind;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::file_hash::FileHash;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::manifest::{self, Manifest, TableEntry};
use crate::place::{Fetched, Identity, until_stopped};
use crate::progress::{Progress, Step};

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The snapshots.
    pub snapshots: Vec<SnapshotId>,
    /// Files of tables; one that several snapshots share counts in each.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is not as it was written, in the order of snapshots and files.
    pub findings: Vec<Finding>,
}

/// A file that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The file in its folder.
    pub file: String,
    /// The snapshot in whose folder it lies, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_in: Option<SnapshotId>,
    /// What is wrong with it.
    #[serde(flatten)]
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// It is not there.
    Missing,
    /// It is shorter.
    Truncated {
        /// Bytes that it has.
        bytes: u64,
        /// Bytes that were written.
        expected: u64,
    },
    /// It has other bytes.
    Changed,
    /// It holds what belongs into another file.
    Swapped {
        /// The other file.
        holds: String,
    },
    /// Nobody wrote it.
    Extra,
    /// Of a pin: it is not in the lake any more, which may expire what it kept.
    Unpinned,
    /// Of a snapshot of a lake: it has expired.
    Expired,
    /// It cannot be read.
    Unreadable {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Truncated { bytes, expected } => write!(f, "has {bytes} of {expected} bytes"),
            Self::Changed => f.write_str("changed after it was written"),
            Self::Swapped { holds } => write!(f, "holds what belongs into {holds}"),
            Self::Extra => f.write_str("does not belong there"),
            Self::Unpinned => f.write_str("is not in the lake any more"),
            Self::Expired => f.write_str("has expired"),
            Self::Unreadable { why } => write!(f, "cannot be read: {why}"),
        }
    }
}

/// The hash of each file: none if it is not there, or why it cannot be read.
type Hashes = BTreeMap<Identity, std::result::Result<Option<FileHash>, String>>;

/// A file to read, and what it was.
struct Job<'a> {
    snapshot: &'a SnapshotId,
    entry: &'a TableEntry,
    manifest: &'a Manifest,
    identity: Identity,
}

impl ProjectFolder {
    /// Looks at all files of `ids`, with as many `threads`. A file that several snapshots share is read once.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not there, `Unavailable` for a folder that cannot be listed. What is wrong with files
    /// is no error but a finding.
    pub fn verify(&self, ids: &[SnapshotId], threads: usize, progress: &dyn Progress) -> Result<Verified> {
        let mut verified = Verified {
            snapshots: ids.to_vec(),
            ..Verified::default()
        };
        let mut manifests = Vec::new();
        for id in ids {
            match self.sealed_manifest(id) {
                Ok((manifest, hash)) => {
                    let registered = self.record(id)?.manifest_sha256;
                    if registered.is_some_and(|registered| registered != hash) {
                        verified.findings.push(Finding {
                            snapshot: id.clone(),
                            file: manifest::FILE_NAME.to_owned(),
                            stored_in: None,
                            problem: Problem::Changed,
                        });
                    }
                    verified.findings.extend(self.strangers(&manifest)?);
                    manifests.push(manifest);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
                Err(error) => verified.findings.push(Finding {
                    snapshot: id.clone(),
                    file: manifest::FILE_NAME.to_owned(),
                    stored_in: None,
                    problem: of_manifest(&error),
                }),
            }
        }
        let jobs: Vec<Job<'_>> = manifests
            .iter()
            .flat_map(|manifest| self.jobs(manifest))
            .collect();
        verified.files = jobs.len() as u64;
        progress.began(verified.files);
        let hashes = self.hash_all(&jobs, threads, progress);
        let read = hashes.values().flatten().flatten();
        verified.bytes = read.map(|hash| hash.bytes).sum();
        for job in &jobs {
            if let Some(problem) = job.problem(&hashes) {
                verified.findings.push(Finding {
                    snapshot: job.snapshot.clone(),
                    file: job.entry.file.clone(),
                    stored_in: job.entry.stored_in.clone(),
                    problem,
                });
            }
        }
        self.verify_pins(&manifests, &mut verified, progress)?;
        verified.findings.sort();
        Ok(verified)
    }

    fn jobs<'a>(&self, manifest: &'a Manifest) -> Vec<Job<'a>> {
        let job = |entry: &'a TableEntry| Job {
            snapshot: &manifest.snapshot_id,
            entry,
            manifest,
            identity: self.place().identity(entry.stored(&manifest.snapshot_id)),
        };
        let in_files = manifest.tables.iter().filter(|entry| !entry.pinned());
        in_files.map(job).collect()
    }

    /// Files of a snapshot's folder that its manifest does not know.
    fn strangers(&self, manifest: &Manifest) -> Result<Vec<Finding>> {
        let known: BTreeSet<&str> = manifest
            .tables
            .iter()
            .filter(|table| table.stored_in.is_none() && !table.pinned())
            .map(|table| table.file.as_str())
            .chain([manifest::FILE_NAME])
            .collect();
        let mut strangers = self.place().files(&manifest.snapshot_id)?;
        strangers.retain(|name, _| !known.contains(name.as_str()));
        if !strangers.is_empty() {
            // A snapshot of that name may have been here before, and left a file that others still use.
            for other in self.manifests()?.0 {
                let here = other
                    .tables
                    .iter()
                    .filter(|table| table.stored_in.as_ref() == Some(&manifest.snapshot_id));
                for table in here {
                    strangers.remove(&table.file);
                }
            }
        }
        let finding = |file: String| Finding {
            snapshot: manifest.snapshot_id.clone(),
            file,
            stored_in: None,
            problem: Problem::Extra,
        };
        Ok(strangers.into_keys().map(finding).collect())
    }

    /// The hash of every file. One that several snapshots share is read once.
    fn hash_all(&self, jobs: &[Job<'_>], threads: usize, progress: &dyn Progress) -> Hashes {
        let mut waiting: BTreeMap<&Identity, &Job<'_>> = BTreeMap::new();
        for job in jobs {
            waiting.entry(&job.identity).or_insert(job);
        }
        let waiting = Mutex::new(waiting);
        let hashes = Mutex::new(Hashes::new());
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let next = waiting.lock().expect("no holder of this lock panics").pop_first();
                        let Some((identity, job)) = next else { return };
                        progress.step(Step::Checking, &job.entry.name());
                        let hash = self.place().hash(job.entry.stored(job.snapshot));
                        progress.done(&job.entry.name());
                        hashes
                            .lock()
                            .expect("no holder of this lock panics")
                            .insert(identity.clone(), hash.map_err(|error| reason(&error)));
                    }
                });
            }
        });
        hashes.into_inner().expect("no holder of this lock panics")
    }

    /// Checks the files of some tables of a snapshot before they are used, as far as it can be done before they are fetched.
    ///
    /// # Errors
    /// `Data` for the first file that is not what was written.
    pub(crate) fn check(
        &self,
        id: &SnapshotId,
        tables: &[&TableEntry],
        progress: &dyn Progress,
    ) -> Result<()> {
        // What is pinned is compared when it is read.
        for entry in tables.iter().filter(|entry| !entry.pinned()) {
            progress.step(Step::Checking, &entry.name());
            if !self.place().looks_sound(entry.stored(id), entry)? {
                return Err(self.unsound(id, entry));
            }
        }
        Ok(())
    }

    /// Brings a file that was checked to this machine.
    ///
    /// # Errors
    /// `Data` if it is not what was written.
    pub(crate) fn fetch(&self, engine: &Engine, id: &SnapshotId, entry: &TableEntry) -> Result<Fetched> {
        let label = format!("fetch table \"{}\"", entry.name());
        let go_on = until_stopped(engine, &label);
        let fetched = self.place().fetch(entry.stored(id), entry, &go_on)?;
        fetched.map_or_else(|| Err(self.unsound(id, entry)), Ok)
    }

    fn unsound(&self, id: &SnapshotId, entry: &TableEntry) -> Error {
        let file = entry.stored(id);
        Error::refused(
            ErrorKind::Data,
            format!(
                "cannot use `{}/{}`: it is not what was written when the snapshot was taken",
                self.place().folder(file.folder),
                file.name
            ),
            "`pintail snapshot verify --all` says which snapshots are sound; `list --table` which have the table.",
        )
    }
}

/// What lies behind an error, without the name of the file.
fn reason(error: &Error) -> String {
    match error {
        Error::File { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}

fn of_manifest(error: &Error) -> Problem {
    match error {
        Error::File { .. } | Error::Storage(_) => Problem::Unreadable { why: reason(error) },
        Error::Refused {
            kind: ErrorKind::Invalid,
            message,
            ..
        } => Problem::Unreadable { why: message.clone() },
        _ => Problem::Changed,
    }
}

impl Job<'_> {
    fn problem(&self, hashes: &Hashes) -> Option<Problem> {
        let hash = match hashes.get(&self.identity) {
            Some(Ok(Some(hash))) => hash,
            Some(Err(why)) => return Some(Problem::Unreadable { why: why.clone() }),
            Some(Ok(None)) | None => return Some(Problem::Missing),
        };
        if hash.sha256 == self.entry.sha256 {
            return None;
        }
        let other = self
            .manifest
            .tables
            .iter()
            .find(|other| other.sha256 == hash.sha256);
        Some(match other {
            Some(other) => Problem::Swapped {
                holds: other.file.clone(),
            },
            None if hash.bytes < self.entry.size_bytes => Problem::Truncated {
                bytes: hash.bytes,
                expected: self.entry.size_bytes,
            },
            None => Problem::Changed,
        })
    }
}
