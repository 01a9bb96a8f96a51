//! What lies in a folder or below a prefix: names, sizes, and what changes when a file is written anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use pintail_config::FileFormat;
use pintail_lake::depot::Depot;
use pintail_lake::{Error, Result};
use pintail_storage::Store;

use super::manifest::Manifest;

/// Where files are looked for.
pub(super) enum Shelf {
    /// A folder, a file or a pattern.
    Folder(PathBuf),
    /// The same below a bucket.
    Bucket { store: Store, prefix: String },
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) bytes: u64,
    /// Another one when the file is written anew.
    pub(super) tag: String,
}

/// The files of a table, by the name that the engine opens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listing {
    pub(super) format: FileFormat,
    /// What partitions in folders are relative to.
    pub(super) base: String,
    pub(super) files: BTreeMap<String, Found>,
    /// What Pintail wrote down of them, if they are a table of its own.
    pub(super) manifest: Option<Manifest>,
}

impl Shelf {
    /// The place in the form in which the engine and our own lists name files.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Folder(path) => {
                let text = path.to_string_lossy();
                // So that all names begin with the folder that was listed.
                if text.contains('/') {
                    text.into_owned()
                } else {
                    format!("./{text}")
                }
            }
            Self::Bucket { store, prefix } => store.url(prefix),
        }
    }

    /// The same for our own small files.
    pub(super) fn depot(&self) -> Depot {
        match self {
            Self::Folder(_) => Depot::Folder,
            Self::Bucket { store, .. } => Depot::Bucket(store.clone()),
        }
    }

    /// Everything below `folder`, however deep, as the engine names it. Left out is what begins with `.` or `_`: files
    /// that are being written, and notes of other programs.
    pub(super) fn below(&self, folder: &str) -> Result<BTreeMap<String, Found>> {
        let mut found = BTreeMap::new();
        match self {
            Self::Folder(_) => walk(Path::new(folder), &mut found)?,
            Self::Bucket { store, .. } => {
                let prefix = folder.strip_prefix(&store.url("")).unwrap_or(folder);
                for object in store.list(prefix)? {
                    let inside = object.key.strip_prefix(prefix).unwrap_or(&object.key);
                    if object.bytes > 0 && !inside.split('/').any(left_out) {
                        let file = Found {
                            bytes: object.bytes,
                            tag: object.etag,
                        };
                        found.insert(store.url(&object.key), file);
                    }
                }
            }
        }
        Ok(found)
    }

    /// One file; `None` if there is none of that name.
    pub(super) fn file(&self, name: &str) -> Result<Option<Found>> {
        match self {
            Self::Folder(_) => found(Path::new(name)),
            Self::Bucket { store, .. } => {
                let key = name.strip_prefix(&store.url("")).unwrap_or(name);
                let object = store.find(key)?;
                Ok(object.map(|object| Found {
                    bytes: object.bytes,
                    tag: object.etag,
                }))
            }
        }
    }
}

impl Listing {
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// One text for exactly these files with exactly this content.
    pub(super) fn text(&self) -> String {
        let lines = self.files.iter();
        lines
            .map(|(name, file)| format!("{name}\t{}\t{}\n", file.bytes, file.tag))
            .collect()
    }

    /// The first difference, in words; `None` if there is none.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        let gone = self.files.keys().find(|name| !now.files.contains_key(*name));
        if let Some(name) = gone {
            return Some(format!("`{name}` is gone"));
        }
        let changed = self
            .files
            .iter()
            .find(|(name, file)| now.files.get(*name) != Some(*file));
        // Files that came are for the next run: nobody reads them now.
        changed.map(|(name, _)| format!("`{name}` was written anew"))
    }
}

/// Whether a part of a path is none of a table's.
pub(super) fn hidden(part: &str) -> bool {
    part.starts_with(['.', '_'])
}

/// The same for a part of a path that was found: the folder of a value may be named after a column `_id`.
fn left_out(part: &str) -> bool {
    hidden(part) && !part.contains('=')
}

fn walk(folder: &Path, files: &mut BTreeMap<String, Found>) -> Result<()> {
    let failed = |source| Error::File {
        action: "list",
        path: folder.to_path_buf(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path
            .file_name()
            .is_some_and(|name| left_out(&name.to_string_lossy()))
        {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else if let Some(file) = found(&path)? {
            files.insert(path.to_string_lossy().into_owned(), file);
        }
    }
    Ok(())
}

fn found(path: &Path) -> Result<Option<Found>> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Error::File {
                action: "look up",
                path: path.to_path_buf(),
                source,
            });
        }
    };
    let nanos = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    Ok(Some(Found {
        bytes: metadata.len(),
        // A file that took another's name has another number, however old it is.
        tag: format!("{nanos}-{}", std::os::unix::fs::MetadataExt::ino(&metadata)),
    }))
}
