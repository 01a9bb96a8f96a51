//! Whether an extension file is signed by DuckDB's makers, checked by Pintail.
//!
//! DuckDB checks the signature of a file whenever an engine loads it, with a hash that does without the processor's own
//! instructions: for the 106 MB of a usual run a third of a second, of which a small delta has little more. An engine that
//! runs Pintail's statements alone therefore has DuckDB skip that check, and each file is checked here, in a fifth of the
//! time, and once as long as the file stays the very same, of that path, inode, size and times: see [`records`].
//! What cannot be vouched for here, since another key may have signed it, is left to DuckDB's own check.
//!
//! A file ends with a signature of 256 bytes (RSA, PKCS #1 v1.5, SHA-256) over the SHA-256 of each MiB before it, one
//! after the other (`ExtensionHelper::CheckExtensionSignature` of DuckDB).

mod records;

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ring::digest;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

pub(crate) use self::records::Records;

/// Bytes of which each takes a hash of its own.
const PIECE_BYTES: usize = 1 << 20;

const SIGNATURE_BYTES: usize = 256;

/// For how long a file has to be at rest before it is remembered: clocks of file systems are coarse, and what changes right
/// after the check must not bear the same time.
const AT_REST: Duration = Duration::from_secs(2);

/// A file, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SignedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Nobody but this user and the administrator can write to it.
    safe: bool,
}

static CHECKED: Mutex<BTreeSet<SignedFile>> = Mutex::new(BTreeSet::new());

impl SignedFile {
    /// Looks at a file. `None` if it cannot be looked at.
    pub(crate) fn look(path: &Path) -> Option<Self> {
        Some(Self::of(path, &std::fs::metadata(path).ok()?))
    }

    fn of(path: &Path, found: &Metadata) -> Self {
        Self {
            path: path.to_path_buf(),
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            safe: records::safe(found),
        }
    }

    /// Whether nothing of it has changed for a while.
    pub(crate) fn is_at_rest(&self) -> bool {
        [self.modified, self.changed].into_iter().all(|(seconds, nanos)| {
            let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
                return false;
            };
            let then = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos));
            then.and_then(|then| then.elapsed().ok())
                .is_some_and(|rest| rest >= AT_REST)
        })
    }

    /// Whether it was checked before: by this process, or by another one that recorded it.
    pub(crate) fn is_known(&self, records: Option<&Records>) -> bool {
        if with_checked(|files| files.contains(self)) {
            return true;
        }
        let recorded = records.is_some_and(|records| records.has(self));
        if recorded {
            self.clone().remember();
        }
        recorded
    }

    /// Remembers in this process that it was checked.
    pub(crate) fn remember(self) {
        with_checked(|files| files.insert(self));
    }
}

/// Checks a file, and remembers it if it is signed with the key of DuckDB's official extensions and at rest. Returns whether it
/// is signed.
pub(crate) fn check(path: &Path, records: Option<&Records>) -> bool {
    let Ok(signed) = signed(path) else {
        return false;
    };
    if signed.at_rest {
        if let Some(records) = records {
            records.write(&signed.file);
        }
        signed.file.remember();
    }
    true
}

/// Whether an extension file is signed with the key of DuckDB's official extensions. One that cannot be read is not.
#[must_use]
pub fn is_signed(path: &Path) -> bool {
    signed(path).is_ok()
}

/// A file whose bytes were found signed.
struct Signed {
    /// As it was before and after they were read.
    file: SignedFile,
    /// It had not changed for a while when reading began.
    at_rest: bool,
}

fn signed(path: &Path) -> io::Result<Signed> {
    let mut file = File::open(path)?;
    let before = SignedFile::of(path, &file.metadata()?);
    let at_rest = before.is_at_rest();
    let (message, signature) = pieces(&mut file, before.bytes)?;
    let key = RsaPublicKeyComponents {
        n: MODULUS.as_slice(),
        e: EXPONENT.as_slice(),
    };
    let verified = key.verify(&RSA_PKCS1_2048_8192_SHA256, &message, &signature);
    if verified.is_err() || before != SignedFile::of(path, &file.metadata()?) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Signed {
        file: before,
        at_rest,
    })
}

fn with_checked<T>(work: impl FnOnce(&mut BTreeSet<SignedFile>) -> T) -> T {
    work(&mut CHECKED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The hashes of the pieces of a file of so many bytes, one after the other, and its signature.
fn pieces(file: &mut File, bytes: u64) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut left = bytes
        .checked_sub(SIGNATURE_BYTES as u64)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut hashes = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    while left > 0 {
        let length = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        file.read_exact(&mut piece[..length])?;
        hashes.extend_from_slice(digest::digest(&digest::SHA256, &piece[..length]).as_ref());
        left -= length as u64;
    }
    let mut signature = vec![0; SIGNATURE_BYTES];
    file.read_exact(&mut signature)?;
    Ok((hashes, signature))
}

/// The public exponent of the key.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// The modulus of the first of DuckDB's `public_keys`, which signs its official extensions.
#[rustfmt::skip]
const MODULUS: [u8; 256] = [
    0xe9, 0xa6, 0x6e, 0x1d, 0x46, 0xb5, 0x70, 0xb4, 0x7d, 0x60, 0x30, 0xd8, 0x68, 0x47, 0xe2, 0x50,
    0x36, 0xd6, 0x63, 0xc9, 0xb6, 0xb7, 0xb6, 0xfb, 0xd5, 0x2f, 0xa4, 0xd5, 0x99, 0x17, 0x7c, 0x7a,
    0xae, 0xfb, 0x97, 0x6b, 0x03, 0x19, 0xbe, 0x74, 0x80, 0xf3, 0x74, 0xe1, 0xce, 0x29, 0x94, 0x88,
    0x77, 0x09, 0xc9, 0x6d, 0x3d, 0xec, 0x4a, 0xac, 0x05, 0xa0, 0x6e, 0x8f, 0x95, 0x71, 0x77, 0x83,
    0x77, 0x6c, 0x26, 0x36, 0xb1, 0xe6, 0xa1, 0x12, 0x22, 0x16, 0xd5, 0xbd, 0xff, 0x7c, 0x9f, 0x28,
    0xa9, 0xc0, 0xd2, 0x0d, 0xc6, 0x8c, 0x87, 0x0a, 0x47, 0x02, 0x20, 0xf9, 0x17, 0xd7, 0xb4, 0x0f,
    0xdb, 0x1a, 0x67, 0x4f, 0xb5, 0x79, 0xf7, 0xe0, 0xaa, 0x71, 0xf0, 0xc9, 0x5c, 0xba, 0x81, 0xca,
    0x68, 0xea, 0xa0, 0x54, 0xa5, 0x68, 0x7f, 0x1d, 0x50, 0x21, 0xf2, 0x6c, 0xce, 0x0e, 0x5e, 0x55,
    0xa7, 0x02, 0xd5, 0x47, 0x5b, 0xf9, 0xe6, 0xc3, 0x49, 0x21, 0x17, 0xc0, 0x9e, 0xb5, 0xc5, 0xa7,
    0xe0, 0xbc, 0x5a, 0x4d, 0x41, 0xe9, 0xb4, 0x1c, 0x9a, 0x07, 0x3f, 0x02, 0x6a, 0xc4, 0xac, 0x81,
    0x6a, 0x57, 0x81, 0x27, 0xda, 0x1d, 0xcd, 0xd1, 0xf5, 0xe0, 0x2b, 0xb1, 0x88, 0x6d, 0xb1, 0x51,
    0x46, 0xc8, 0xbf, 0xc3, 0x11, 0x68, 0x24, 0x10, 0x75, 0xa8, 0x97, 0x16, 0x37, 0x2e, 0x57, 0xa7,
    0x86, 0x09, 0xbf, 0xcc, 0xe7, 0xf7, 0xb3, 0xb3, 0xec, 0x00, 0xc7, 0xbb, 0x10, 0x95, 0xf8, 0xaa,
    0x54, 0xa0, 0x89, 0x71, 0x3a, 0x39, 0x50, 0x57, 0x9e, 0xa7, 0x7c, 0xe7, 0x3e, 0x24, 0xdb, 0x49,
    0x42, 0xc3, 0xf2, 0xc0, 0x39, 0xee, 0x61, 0xa1, 0x33, 0x26, 0x45, 0x65, 0xc8, 0x8f, 0xbe, 0x0c,
    0xb9, 0xd5, 0x9e, 0xd9, 0x4f, 0x75, 0x27, 0xa1, 0xab, 0xac, 0x61, 0x19, 0x6b, 0xbc, 0xd3, 0xed,
];
