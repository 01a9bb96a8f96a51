//! What processes tell each other of extensions that they checked.
//!
//! A record is a small file for each extension, in a folder of the user's. It holds what the system says of the extension's
//! file: its inode, its size, and when it was last changed. A file that changed, that was replaced or that lies elsewhere is
//! hashed as if there were no record.
//!
//! A record is believed, and written, only where nobody but the user and the administrator can change it *or the extension*:
//! neither the files, nor any folder on the way to them. Whoever else could do that is who signatures are there for.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::SignedFile;
use crate::extension::DUCKDB_VERSION;

/// Bytes of a record are fewer: a path has at most 4096.
const RECORD_BYTES_MAX: u64 = 16 << 10;

/// May be written to by the group or by everybody.
const OTHERS_WRITE: u32 = 0o022;

/// In such a folder everybody removes his own files only.
const STICKY: u32 = 0o1000;

/// Links on the way to a file, as many as the system follows.
const LINKS_MAX: usize = 40;

/// The records in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where they are by default: below `XDG_CACHE_HOME`, or `~/.cache`. `None` without a home.
    pub(crate) fn default_folder() -> Option<PathBuf> {
        let set = |name| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
        Some(cache.join("pintail/checked-extensions"))
    }

    /// Whether a process of this user has checked this very file.
    pub(crate) fn has(&self, file: &SignedFile) -> bool {
        let read = || {
            let path = self.path(file);
            let record = File::open(&path)?;
            if !safe(&record.metadata()?) || !safe_way(&path)? || !safe_way(&file.path)? {
                return Err(io::Error::from(io::ErrorKind::PermissionDenied));
            }
            let mut text = String::new();
            record.take(RECORD_BYTES_MAX).read_to_string(&mut text)?;
            Ok(text)
        };
        file.safe && read().is_ok_and(|text| text == content(file))
    }

    /// Writes down that a file was found signed, so that no other process checks it again. A failure only costs the next one
    /// time.
    pub(crate) fn write(&self, file: &SignedFile) {
        if !file.safe {
            return;
        }
        if let Err(error) = self.try_write(file) {
            tracing::debug!(folder = %self.folder.display(), %error, "a checked extension could not be recorded");
        }
    }

    fn try_write(&self, file: &SignedFile) -> io::Result<()> {
        if !safe_way(&file.path)? {
            return Ok(());
        }
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let mut ancestors = self.folder.ancestors();
        let there = ancestors.find(|folder| folder.exists()).ok_or_else(denied)?;
        // Not in the home of somebody else whose rights were borrowed.
        if there.metadata()?.uid() != geteuid().as_raw() {
            return Err(denied());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let path = self.path(file);
        if !safe_way(&path)? {
            return Err(denied());
        }
        let mut record = tempfile::NamedTempFile::new_in(&self.folder)?;
        record.write_all(content(file).as_bytes())?;
        record.persist(path)?;
        Ok(())
    }

    /// One for each extension: whoever keeps two files of one has them checked in turns.
    fn path(&self, file: &SignedFile) -> PathBuf {
        let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
        self.folder.join(format!("{name}-v{DUCKDB_VERSION}"))
    }
}

/// What a record says. Keys of another release of DuckDB may be others.
fn content(file: &SignedFile) -> String {
    let (modified, changed) = (file.modified, file.changed);
    format!(
        "signed with a key of DuckDB {DUCKDB_VERSION}\ndevice {}, inode {}, {} bytes\nmodified {}.{:09}, changed {}.{:09}\n{}\n",
        file.device,
        file.inode,
        file.bytes,
        modified.0,
        modified.1,
        changed.0,
        changed.1,
        file.path.display()
    )
}

/// Whether nobody but this user and the administrator can write to it.
pub(super) fn safe(found: &Metadata) -> bool {
    let owner = found.uid();
    (owner == geteuid().as_raw() || owner == 0) && found.mode() & OTHERS_WRITE == 0
}

/// Whether nobody else can put another file in the place of this one: by the folders on the way to it, and where some of them
/// are links, on the way to what they lead to.
fn safe_way(path: &Path) -> io::Result<bool> {
    let mut folder = PathBuf::new();
    let mut names = names(&std::path::absolute(path)?);
    let mut links = 0;
    while let Some(name) = names.pop() {
        if name == ".." {
            folder.pop();
            continue;
        }
        // What stands in a sticky folder of the administrator's, only its owner takes away.
        let sticky = |found: &Metadata| found.uid() == 0 && found.mode() & STICKY != 0;
        if folder.is_absolute() && !folder.metadata().map(|found| safe(&found) || sticky(&found))? {
            return Ok(false);
        }
        let next = folder.join(name);
        let Ok(target) = next.read_link() else {
            folder = next;
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return Ok(false);
        }
        names.extend(self::names(&target));
    }
    Ok(true)
}

/// The parts of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    parts.map(|part| part.as_os_str().to_owned()).collect()
}
