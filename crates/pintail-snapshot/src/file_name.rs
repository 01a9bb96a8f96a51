//! The file of a table: `<bucket>.<table>.parquet`, where either name is percent-encoded as far as it needs it, so that two
//! tables never share a file and no name leads out of the folder.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::file_hash::hexadecimal;

/// What stays as it is, beside letters and digits. The dot does not: it stands between the two names.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');

/// Bytes of the encoded names, at most. File systems allow 255 for the whole.
const NAMES_MAX: usize = 220;

/// The file of a table, inside the folder of a snapshot.
pub(crate) fn of(bucket: &str, table: &str) -> String {
    let encoded = |name: &str| utf8_percent_encode(name, KEPT).to_string();
    let names = format!("{}.{}", encoded(bucket), encoded(table));
    if names.len() <= NAMES_MAX {
        return format!("{names}.parquet");
    }
    // A name that is too long is cut, and told apart by a hash. A tilde is never part of an encoded name.
    let hash = hexadecimal(&Sha256::digest(names.as_bytes()));
    format!("{}~{}.parquet", &names[..NAMES_MAX - 40], &hash[..32])
}
