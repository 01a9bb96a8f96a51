//! Whether the files of snapshots still are what was written: each is read as a whole and its SHA-256 compared, and a folder
//! holds these files and no others. Parquet itself notices almost nothing of this: of 40 flipped bits, 38 read as wrong values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::ErrorKind as Io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pintail_model::ErrorKind;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::file_hash::{self, FileHash};
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::manifest::{self, Manifest, TableEntry};
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
            Self::Unreadable { why } => write!(f, "cannot be read: {why}"),
        }
    }
}

/// Identity of a file behind its names.
type Inode = (u64, u64);

/// A file to read, and what it was.
struct Job<'a> {
    snapshot: &'a SnapshotId,
    entry: &'a TableEntry,
    manifest: &'a Manifest,
    path: PathBuf,
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
        let hashes = hash_all(&jobs, threads, progress);
        verified.bytes = hashes.values().flatten().map(|hash| hash.bytes).sum();
        for job in &jobs {
            if let Some(problem) = job.problem(&hashes) {
                verified.findings.push(Finding {
                    snapshot: job.snapshot.clone(),
                    file: job.entry.file.clone(),
                    problem,
                });
            }
        }
        verified.findings.sort();
        Ok(verified)
    }

    fn jobs<'a>(&self, manifest: &'a Manifest) -> Vec<Job<'a>> {
        let folder = self.snapshot(&manifest.snapshot_id);
        let job = |entry: &'a TableEntry| Job {
            snapshot: &manifest.snapshot_id,
            entry,
            manifest,
            path: folder.join(&entry.file),
        };
        manifest.tables.iter().map(job).collect()
    }

    /// Files of a snapshot's folder that its manifest does not know.
    fn strangers(&self, manifest: &Manifest) -> Result<Vec<Finding>> {
        let folder = self.snapshot(&manifest.snapshot_id);
        let entries = fs::read_dir(&folder).map_err(Error::file("list", &folder))?;
        let known: BTreeSet<&str> = manifest
            .tables
            .iter()
            .map(|table| table.file.as_str())
            .chain([manifest::FILE_NAME])
            .collect();
        Ok(entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !known.contains(name.as_str()))
            .map(|file| Finding {
                snapshot: manifest.snapshot_id.clone(),
                file,
                problem: Problem::Extra,
            })
            .collect())
    }

    /// Checks the files of some tables of a snapshot before they are used.
    ///
    /// # Errors
    /// `Data` for the first file that is not what was written.
    pub(crate) fn check(
        &self,
        id: &SnapshotId,
        tables: &[&TableEntry],
        progress: &dyn Progress,
    ) -> Result<()> {
        for entry in tables {
            progress.step(Step::Checking, &entry.name());
            let path = self.snapshot(id).join(&entry.file);
            let hash = file_hash::of(&path)?;
            if (hash.bytes, &hash.sha256) != (entry.size_bytes, &entry.sha256) {
                return Err(Error::refused(
                    ErrorKind::Data,
                    format!(
                        "cannot use `{}`: it is not what was written when the snapshot was taken",
                        path.display()
                    ),
                    "`pintail snapshot verify --all` says which snapshots are sound; `list --table` which have the table.",
                ));
            }
        }
        Ok(())
    }
}

fn of_manifest(error: &Error) -> Problem {
    match error {
        Error::File { source, .. } => Problem::Unreadable {
            why: source.to_string(),
        },
        Error::Refused {
            kind: ErrorKind::Invalid,
            message,
            ..
        } => Problem::Unreadable { why: message.clone() },
        _ => Problem::Changed,
    }
}

fn inode(path: &Path) -> Option<Inode> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// The hash of every file, `None` where it could not be read.
fn hash_all(jobs: &[Job<'_>], threads: usize, progress: &dyn Progress) -> BTreeMap<Inode, Option<FileHash>> {
    let mut waiting: BTreeMap<Inode, &Job<'_>> = BTreeMap::new();
    for job in jobs {
        match inode(&job.path) {
            Some(inode) => {
                waiting.entry(inode).or_insert(job);
            }
            None => progress.done(&job.entry.name()),
        }
    }
    let waiting = Mutex::new(waiting);
    let hashes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no holder of this lock panics").pop_first();
                    let Some((inode, job)) = next else { return };
                    progress.step(Step::Checking, &job.entry.name());
                    let hash = file_hash::of(&job.path).ok();
                    progress.done(&job.entry.name());
                    hashes
                        .lock()
                        .expect("no holder of this lock panics")
                        .insert(inode, hash);
                }
            });
        }
    });
    hashes.into_inner().expect("no holder of this lock panics")
}

impl Job<'_> {
    fn problem(&self, hashes: &BTreeMap<Inode, Option<FileHash>>) -> Option<Problem> {
        let found = match fs::metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == Io::NotFound => return Some(Problem::Missing),
            Err(error) => {
                return Some(Problem::Unreadable {
                    why: error.to_string(),
                });
            }
        };
        let Some(Some(hash)) = hashes.get(&(found.dev(), found.ino())) else {
            return Some(Problem::Unreadable {
                why: "its bytes could not be read".to_owned(),
            });
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
