//! The protocol of PostgreSQL, version 3: a type byte, a length that counts itself, a body. The first messages of a
//! client have no type byte. (PostgreSQL documentation, "Message Formats".)
//!
//! A server ends its answer to a simple query, and to a Sync, with ReadyForQuery. Counting these on both sides tells
//! which bytes answer the commit, also when a client sends its next queries before the last answer came.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::protocol::{Answer, Asks, Protocol, Request, read_first};

/// Larger ones do not occur, so a larger length means that the borders of messages were lost.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Postgres {
    /// The client has said who it is; its messages have a type byte from then on.
    open: AtomicBool,
    /// Requests for encryption that the server has not answered yet; the answer is a single byte.
    encryption_requests: AtomicU32,
}

impl Protocol for Postgres {
    fn next_request(&self, client: &mut dyn Read) -> io::Result<Option<Request>> {
        if !self.open.load(Ordering::Relaxed) {
            let opening = Message::read_after(Vec::with_capacity(64), client)?;
            if opening.asks_for_encryption() {
                self.encryption_requests.fetch_add(1, Ordering::Relaxed);
            } else {
                self.open.store(true, Ordering::Relaxed);
            }
            return Ok(Some(opening.into_request(Asks::Nothing, 0)));
        }
        let Some(kind) = read_first(client)? else {
            return Ok(None);
        };
        let message = Message::read_after(vec![kind], client)?;
        let (asks, answers) = match kind {
            b'Q' => (Asks::Query(message.text()), 1),
            b'P' => (Asks::Prepare(message.prepared_text()), 0),
            // Sync, and the obsolete function call.
            b'S' | b'F' => (Asks::Nothing, 1),
            _ => (Asks::Nothing, 0),
        };
        Ok(Some(message.into_request(asks, answers)))
    }

    fn next_answer(&self, server: &mut dyn Read) -> io::Result<Option<Answer>> {
        let Some(kind) = read_first(server)? else {
            return Ok(None);
        };
        let declined = |requests: u32| requests.checked_sub(1);
        let answered = self
            .encryption_requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, declined);
        if answered.is_ok() {
            return Ok(Some(Answer {
                bytes: vec![kind],
                outcome: None,
                ends: false,
            }));
        }
        let message = Message::read_after(vec![kind], server)?;
        Ok(Some(Answer {
            outcome: match kind {
                b'C' => Some(message.text()),
                b'E' => Some("ERROR".to_owned()),
                _ => None,
            },
            ends: kind == b'Z',
            bytes: message.bytes,
        }))
    }
}

/// One message, with the bytes exactly as they came.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
    body_at: usize,
}

impl Message {
    /// Reads a message of which `bytes`, a type byte or nothing, were read already.
    fn read_after(mut bytes: Vec<u8>, source: &mut dyn Read) -> io::Result<Message> {
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

    fn into_request(self, asks: Asks, answers: u64) -> Request {
        Request {
            bytes: self.bytes,
            asks,
            answers,
        }
    }

    /// SSLRequest or GSSENCRequest: the server answers them with a single byte, and the client begins anew.
    fn asks_for_encryption(&self) -> bool {
        const SSL: [u8; 4] = 80_877_103_u32.to_be_bytes();
        const GSS: [u8; 4] = 80_877_104_u32.to_be_bytes();
        self.body() == SSL || self.body() == GSS
    }

    /// The text of a Query (`Q`) or CommandComplete (`C`).
    fn text(&self) -> String {
        text_until_nul(self.body())
    }

    /// The query of a Parse (`P`), which follows the name of the prepared statement.
    fn prepared_text(&self) -> String {
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
