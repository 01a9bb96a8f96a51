//! Where files of ours lie, and what is done with them beside reading and writing rows: a folder of this machine,
//! or a bucket.
//!
//! Paths are those that the engine uses: `/srv/lake/main/orders`, `s3://bucket/lake/main/orders`. In a bucket there are no
//! folders to make or remove, an object is durable when it is there, and instead of a link there is a copy.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pintail_storage::{BucketSettings, Condition, Put, Store};
use tempfile::TempPath;

use crate::commit::durable;
use crate::error::{Error, Result};

/// Where files lie.
#[derive(Clone)]
pub enum Depot {
    /// On this machine.
    Folder,
    /// In a bucket.
    Bucket(Store),
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How long ago it was written.
    pub age: Duration,
}

impl Depot {
    /// # Errors
    /// `Invalid` for settings that make no address.
    pub fn of(bucket: Option<&BucketSettings>) -> Result<Self> {
        Ok(match bucket {
            Some(settings) => Self::Bucket(Store::new(settings)?),
            None => Self::Folder,
        })
    }

    /// Makes a folder, and those above it.
    pub fn make_folder(&self, folder: &Path) -> Result<()> {
        match self {
            Self::Folder => std::fs::create_dir_all(folder).map_err(failed("create folder", folder)),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Whether there may be files below a folder.
    pub fn may_have(&self, folder: &Path) -> bool {
        match self {
            Self::Folder => folder.is_dir(),
            Self::Bucket(_) => true,
        }
    }

    /// The size of a file; `None` if it is not there.
    pub fn bytes(&self, file: &Path) -> Result<Option<u64>> {
        match self {
            Self::Folder => match std::fs::metadata(file) {
                Ok(found) => Ok(Some(found.len())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed("look up", file)(error)),
            },
            Self::Bucket(store) => Ok(store.find(&key(store, file))?.map(|object| object.bytes)),
        }
    }

    /// Brings a file to disk. Returns its size.
    pub fn secure(&self, file: &Path) -> Result<u64> {
        match self {
            Self::Folder => durable::sync_file(file),
            Self::Bucket(_) => match self.bytes(file)? {
                Some(bytes) => Ok(bytes),
                None => Err(failed("find", file)(ErrorKind::NotFound.into())),
            },
        }
    }

    /// Brings the names of files to disk.
    pub fn secure_names<'a>(&self, files: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        match self {
            Self::Folder => durable::sync_names(files),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Brings the names in a folder to disk.
    pub fn secure_folder(&self, folder: &Path) -> Result<()> {
        match self {
            Self::Folder => durable::sync_folder(folder),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// The first of `files`, which lie below `folder` for the most part, that is not there.
    pub fn missing<'a>(&self, folder: &Path, files: &'a BTreeSet<PathBuf>) -> Result<Option<&'a Path>> {
        let Self::Bucket(store) = self else {
            return Ok(files.iter().find(|file| !file.exists()).map(PathBuf::as_path));
        };
        // One list instead of a question for each.
        let there: BTreeSet<String> = store
            .list(&key(store, &folder.join("")))?
            .into_iter()
            .map(|object| object.key)
            .collect();
        for file in files {
            if !there.contains(&key(store, file)) && self.bytes(file)?.is_none() {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// All files below a folder, however deep. What cannot be looked at is left out.
    pub fn below(&self, folder: &Path) -> Result<Vec<FoundFile>> {
        match self {
            Self::Folder => Ok(walk(folder, true)),
            Self::Bucket(store) => {
                let objects = store.list(&key(store, &folder.join("")))?;
                Ok(objects
                    .into_iter()
                    .map(|object| FoundFile {
                        path: PathBuf::from(store.url(&object.key)),
                        bytes: object.bytes,
                        age: object
                            .modified_at
                            .and_then(|at| SystemTime::from(at).elapsed().ok())
                            .unwrap_or_default(),
                    })
                    .collect())
            }
        }
    }

    /// The same without what lies behind symbolic links, and without these.
    pub fn below_unlinked(&self, folder: &Path) -> Result<Vec<FoundFile>> {
        match self {
            Self::Folder => Ok(walk(folder, false)),
            Self::Bucket(_) => self.below(folder),
        }
    }

    /// Files directly in a folder.
    pub fn inside(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        match self {
            Self::Folder => {
                let entries = match std::fs::read_dir(folder) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                    Err(error) => return Err(failed("list", folder)(error)),
                };
                Ok(entries.flatten().map(|entry| entry.path()).collect())
            }
            Self::Bucket(store) => {
                let objects = store.list_inside(&key(store, &folder.join("")))?;
                Ok(objects
                    .iter()
                    .map(|object| store.url(&object.key).into())
                    .collect())
            }
        }
    }

    /// Removes a file.
    pub fn remove(&self, file: &Path) -> Result<()> {
        match self {
            Self::Folder => std::fs::remove_file(file).map_err(failed("remove", file)),
            Self::Bucket(store) => Ok(store.delete(&key(store, file))?),
        }
    }

    /// Removes the folders between `folder` and a file that is gone, as far as they hold nothing. In a bucket there are
    /// none.
    pub fn remove_empty_folders(&self, folder: &Path, file: &Path) {
        if !matches!(self, Self::Folder) {
            return;
        }
        let between = file.ancestors().skip(1);
        for path in between.take_while(|path| path.starts_with(folder) && *path != folder) {
            // The system refuses those that hold something.
            if std::fs::remove_dir(path).is_err() {
                return;
            }
        }
    }

    /// Writes a small file under a name that nobody has; `false` if somebody has it. Whoever finds it finds all of it.
    ///
    /// # Errors
    /// After `Unavailable` from a bucket nobody knows whether it is there.
    pub fn create(&self, file: &Path, content: &[u8]) -> Result<bool> {
        match self {
            Self::Folder => {
                let (part, mut begun) = begin(file)?;
                let written = begun.write_all(content).and_then(|()| begun.sync_all());
                let named = written.and_then(|()| name_new(&part, file));
                // By a link the file has two names; after an error it has this one.
                let _ = std::fs::remove_file(&part);
                match named {
                    Ok(()) => durable::sync_names([file]).map(|()| true),
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
                    Err(error) => Err(failed("create", file)(error)),
                }
            }
            Self::Bucket(store) => {
                let put = store.put(&key(store, file), content, Condition::Absent)?;
                Ok(put != Put::Refused)
            }
        }
    }

    /// The content of a small file; `None` if it is not there.
    pub fn read(&self, file: &Path) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Folder => match std::fs::read(file) {
                Ok(content) => Ok(Some(content)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed("read", file)(error)),
            },
            Self::Bucket(store) => Ok(store.get(&key(store, file))?.map(|(content, _)| content)),
        }
    }

    /// Gives a file a second name, or a second self in a bucket and where the file system has no hard links (exFAT, SMB).
    /// Whoever finds the new name finds the whole file. `false` if the file is gone.
    pub fn duplicate(&self, file: &Path, copy: &Path) -> Result<bool> {
        if let Self::Bucket(store) = self {
            return Ok(store.copy(&key(store, file), &key(store, copy))?);
        }
        let refused = match std::fs::hard_link(file, copy) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(failed("link", copy)(error));
            }
            Err(error) => error,
        };
        tracing::debug!(%refused, "a file is copied, since it cannot be linked");
        copy_whole(file, copy).map_err(failed("copy", copy))?;
        Ok(true)
    }
}

/// Makes a file beside `file` that nobody else writes, in whatever thread, process or container they are.
fn begin(file: &Path) -> Result<(PathBuf, File)> {
    for number in 0_u32.. {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}-{number}.part", std::process::id()));
        let part = PathBuf::from(name);
        match File::options().write(true).create_new(true).open(&part) {
            Ok(begun) => return Ok((part, begun)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create", &part)(error)),
        }
    }
    unreachable!("a folder does not hold so many files")
}

/// Gives a file a name that nobody has, in one step: a link, or where the file system has none (exFAT, SMB) a rename that
/// replaces nothing.
fn name_new(part: &Path, file: &Path) -> std::io::Result<()> {
    let refused = match std::fs::hard_link(part, file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => error,
        linked => return linked,
    };
    tracing::debug!(%refused, "a file is renamed, since it cannot be linked");
    let renamed = TempPath::try_from_path(part)?.persist_noclobber(file);
    renamed.map_err(|refused| refused.error)
}

fn copy_whole(file: &Path, copy: &Path) -> std::io::Result<()> {
    let part = copy.with_extension("part");
    File::open(file)?.sync_all()?;
    std::fs::copy(file, &part)?;
    File::open(&part)?.sync_all()?;
    std::fs::rename(&part, copy)
}

/// The key of an object from the path that the engine uses.
fn key(store: &Store, file: &Path) -> String {
    let text = file.to_string_lossy();
    text.strip_prefix(&store.url("")).unwrap_or(&text).to_owned()
}

fn walk(folder: &Path, links: bool) -> Vec<FoundFile> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            if !links && path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(found) = std::fs::metadata(&path) {
                let age = found.modified().ok().and_then(|at| at.elapsed().ok());
                files.push(FoundFile {
                    path,
                    bytes: found.len(),
                    age: age.unwrap_or_default(),
                });
            }
        }
    }
    files
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |source| Error::File { action, path, source }
}
