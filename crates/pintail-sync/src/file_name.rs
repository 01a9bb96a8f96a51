//! Names of pipelines as names of files.

/// `name` with every byte that means something to a file system percent-encoded. The same name always gives the same
/// file, and two names never meet.
#[must_use]
pub(crate) fn file_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && index > 0);
        if plain {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
