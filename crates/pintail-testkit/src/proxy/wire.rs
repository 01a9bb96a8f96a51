//! Messages of the protocol, version 3: a type byte, a length that counts itself, a body. The first messages of a client
//! have no type byte. (PostgreSQL documentation, "Message Formats".)

use std::io::{self, Read};

/// Larger ones do not occur, so a larger length means that the borders of messages were lost.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// One message, with the bytes exactly as they came.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    body_at: usize,
}

impl Message {
    /// Reads a message that has no type byte.
    pub(super) fn read_untyped(source: &mut impl Read) -> io::Result<Message> {
        Message::read_after(Vec::with_capacity(64), source)
    }

    /// Reads a message whose type byte was read already.
    pub(super) fn read_typed(kind: u8, source: &mut impl Read) -> io::Result<Message> {
        Message::read_after(vec![kind], source)
    }

    fn read_after(mut bytes: Vec<u8>, source: &mut impl Read) -> io::Result<Message> {
        let mut length = [0; 4];
        source.read_exact(&mut length)?;
        bytes.extend_from_slice(&length);
        let body_at = bytes.len();
        let body_length = (u32::from_be_bytes(length) as usize)
            .checked_sub(length.len())
            .filter(|length| *length < MESSAGE_BYTES_MAX)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        bytes.resize(body_at + body_length, 0);
        source.read_exact(&mut bytes[body_at..])?;
        Ok(Message { bytes, body_at })
    }

    /// SSLRequest or GSSENCRequest: the server answers them with a single byte, and the client begins anew.
    pub(super) fn asks_for_encryption(&self) -> bool {
        const SSL: [u8; 4] = 80_877_103_u32.to_be_bytes();
        const GSS: [u8; 4] = 80_877_104_u32.to_be_bytes();
        self.body() == SSL || self.body() == GSS
    }

    /// The text of a Query (`Q`) or CommandComplete (`C`).
    pub(super) fn text(&self) -> String {
        text_until_nul(self.body())
    }

    /// The query of a Parse (`P`), which follows the name of the prepared statement.
    pub(super) fn prepared_text(&self) -> String {
        let name_length = self.body().iter().take_while(|byte| **byte != 0).count();
        text_until_nul(self.body().get(name_length + 1..).unwrap_or_default())
    }

    fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }
}

fn text_until_nul(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Whether a simple query is, or ends with, the statement `keyword`.
///
/// A semicolon in a literal does no harm: what follows it ends with the literal's quote, and is then no bare keyword.
pub(super) fn ends_with_statement(query: &str, keyword: &str) -> bool {
    let last = query
        .trim_end_matches(|c: char| c == ';' || c.is_whitespace())
        .rsplit(';')
        .next()
        .unwrap_or_default();
    last.trim().eq_ignore_ascii_case(keyword)
}
