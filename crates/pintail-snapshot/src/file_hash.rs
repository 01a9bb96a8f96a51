//! SHA-256 of files: what says whether a file still is what was written.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::manifest::TableEntry;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Size and SHA-256 of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileHash {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl FileHash {
    /// Whether it is that of the file that was written for a table.
    pub(crate) fn is_of(&self, table: &TableEntry) -> bool {
        (self.bytes, &self.sha256) == (table.size_bytes, &table.sha256)
    }
}

/// Reads a whole file.
pub(crate) fn of(path: &Path) -> Result<FileHash> {
    let mut file = File::open(path).map_err(Error::file("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).map_err(Error::file("read", path))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    Ok(FileHash {
        bytes,
        sha256: hexadecimal(&hash.finalize()),
    })
}

/// SHA-256 of bytes in memory, as hexadecimal digits.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
