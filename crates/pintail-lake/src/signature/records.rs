//! What processes tell each other of extensions that they checked.
//!
//! A record is a small file for each extension, in a folder of the user's that nobody else can write to. It holds what the
//! system says of the extension's file: its inode, its size, and when it was last changed. That time (`ctime`) is set by the
//! system whenever a byte of a file changes, and by nobody else. A file that changed, that was replaced or that lies
//! elsewhere is hashed as if there were no record.
//!
//! Whoever can write to this folder is the user or the administrator, and could as well replace Pintail.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::time::SystemTime;

use nix::unistd::geteuid;
use pintail_model::checksum::bytes_word;

use super::SignedFile;
use crate::extension::DUCKDB_VERSION;

/// Seconds for which a file has to be at rest before it is recorded: clocks of file systems are coarse, and what changes
/// right after the check must not bear the same time.
const AT_REST_SECONDS: i64 = 2;

/// Bytes of a record are fewer: a path has at most 4096.
const RECORD_BYTES_MAX: u64 = 16 << 10;

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
            if !self.folder.metadata().is_ok_and(|folder| private(&folder)) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let record = File::open(self.path(file))?;
            if !private(&record.metadata()?) {
                return Err(io::Error::from(io::ErrorKind::PermissionDenied));
            }
            let mut text = String::new();
            record.take(RECORD_BYTES_MAX).read_to_string(&mut text)?;
            Ok(text)
        };
        read().is_ok_and(|text| text == content(file))
    }

    /// Writes down that a file was checked, so that no other process does it again. A failure only costs the next one time.
    pub(crate) fn write(&self, file: &SignedFile) {
        if !at_rest(file) {
            return;
        }
        let write = || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)?;
            let mut record = tempfile::NamedTempFile::new_in(&self.folder)?;
            record.write_all(content(file).as_bytes())?;
            record.persist(self.path(file))?;
            Ok::<_, io::Error>(())
        };
        if let Err(error) = write() {
            tracing::debug!(folder = %self.folder.display(), %error, "a checked extension could not be recorded");
        }
    }

    fn path(&self, file: &SignedFile) -> PathBuf {
        let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
        let word = bytes_word(file.path.as_os_str().as_encoded_bytes());
        self.folder.join(format!("{name}-{word:016x}"))
    }
}

/// What a record says. Keys of another release of DuckDB may be others.
fn content(file: &SignedFile) -> String {
    let SignedFile {
        path,
        device,
        inode,
        bytes,
        modified,
        changed,
    } = file;
    format!(
        "checked with the keys of DuckDB {DUCKDB_VERSION}\ndevice {device}, inode {inode}, {bytes} bytes\nmodified {}.{:09}, changed \
         {}.{:09}\n{}\n",
        modified.0,
        modified.1,
        changed.0,
        changed.1,
        path.display()
    )
}

/// Whether only this user, and the administrator, can write to it.
fn private(found: &Metadata) -> bool {
    found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0
}

fn at_rest(file: &SignedFile) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
    now.saturating_sub(file.changed.0.max(file.modified.0)) >= AT_REST_SECONDS
}
