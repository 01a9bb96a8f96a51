//! The protocol of MySQL and MariaDB: three bytes of length, a number, a body. Each command of a client begins anew with
//! number 0. (MariaDB documentation, "Client/Server Protocol".)
//!
//! Client and server take turns: whoever sends a commit has had the whole of every answer before, so that the first
//! message after it is the answer to it. Queries in a prepared statement are known by their texts; a commit in one is
//! not seen. Compressed messages could not be read: the server's offer to compress is taken out of its greeting.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::protocol::{Answer, Asks, Protocol, Request, read_first};

/// One connection.
#[derive(Debug, Default)]
pub(super) struct MySql {
    /// The server has said who it is.
    greeted: AtomicBool,
    /// The client has said who it is.
    open: AtomicBool,
    prepared: Mutex<Prepared>,
}

/// The texts of prepared statements.
#[derive(Debug, Default)]
struct Prepared {
    /// The server has not yet said by which number it is called.
    next: Option<String>,
    by_number: HashMap<u32, String>,
}

/// Commands of a client.
const QUERY: u8 = 0x03;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;

/// Abilities that a client asks for, by which messages would look otherwise.
const COMPRESSION: u8 = 0x20;
const ENCRYPTION: u8 = 0x08;

/// How a server's messages begin.
const OK: u8 = 0x00;
const ERROR: u8 = 0xff;

impl Protocol for MySql {
    fn next_request(&self, client: &mut dyn Read) -> io::Result<Option<Request>> {
        let Some(message) = Message::read(client)? else {
            return Ok(None);
        };
        let asks = match (self.open.swap(true, Ordering::Relaxed), message.number) {
            (false, _) => {
                message.refuse_what_cannot_be_read()?;
                Asks::Nothing
            }
            (true, 0) => self.command(&message),
            // The log-in goes on, or the query before was too long for one message.
            (true, _) => Asks::Nothing,
        };
        let answers = u64::from(asks != Asks::Nothing);
        Ok(Some(Request {
            bytes: message.bytes,
            asks,
            answers,
        }))
    }

    fn next_answer(&self, server: &mut dyn Read) -> io::Result<Option<Answer>> {
        let Some(mut message) = Message::read(server)? else {
            return Ok(None);
        };
        if !self.greeted.swap(true, Ordering::Relaxed) {
            message.withdraw_compression();
        }
        self.learn_number(&message);
        let outcome = match message.body().first() {
            Some(&ERROR) => "ERROR",
            _ => "COMMIT",
        };
        Ok(Some(Answer {
            bytes: message.bytes,
            outcome: Some(outcome.to_owned()),
            ends: true,
        }))
    }
}

impl MySql {
    fn command(&self, message: &Message) -> Asks {
        let Some((command, rest)) = message.body().split_first() else {
            return Asks::Nothing;
        };
        let text = || String::from_utf8_lossy(rest).into_owned();
        let mut prepared = self.prepared.lock().expect("no holder panics");
        match *command {
            QUERY => Asks::Query(text()),
            PREPARE => {
                prepared.next = Some(text());
                Asks::Prepare(text())
            }
            EXECUTE => match number(rest).and_then(|number| prepared.by_number.get(&number)) {
                Some(text) => Asks::Prepare(text.clone()),
                None => Asks::Nothing,
            },
            _ => Asks::Nothing,
        }
    }

    /// The first message after a query was prepared tells its number, or an error.
    fn learn_number(&self, message: &Message) {
        let mut prepared = self.prepared.lock().expect("no holder panics");
        if let Some(text) = prepared.next.take()
            && let Some((&OK, rest)) = message.body().split_first()
            && let Some(number) = number(rest)
        {
            prepared.by_number.insert(number, text);
        }
    }
}

/// The number of a prepared statement.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// One message, with the bytes as they came.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
    number: u8,
}

const HEADER_BYTES: usize = 4;

impl Message {
    /// `None` at the end of the stream.
    fn read(source: &mut dyn Read) -> io::Result<Option<Message>> {
        let Some(first) = read_first(source)? else {
            return Ok(None);
        };
        let mut bytes = vec![first, 0, 0, 0];
        source.read_exact(&mut bytes[1..])?;
        let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) as usize;
        let number = bytes[3];
        bytes.resize(HEADER_BYTES + length, 0);
        source.read_exact(&mut bytes[HEADER_BYTES..])?;
        Ok(Some(Message { bytes, number }))
    }

    fn body(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Takes the offer to compress out of a server's first message: after the version as a text that ends with NUL, the
    /// number of the connection and nine bytes of a salt.
    fn withdraw_compression(&mut self) {
        const SINCE_VERSION: usize = 4 + 9;
        let version = self.body().iter().skip(1).take_while(|byte| **byte != 0).count();
        let abilities = HEADER_BYTES + 1 + version + 1 + SINCE_VERSION;
        if let Some(abilities) = self.bytes.get_mut(abilities) {
            *abilities &= !COMPRESSION;
        }
    }

    /// The first message of a client says how the others will look.
    fn refuse_what_cannot_be_read(&self) -> io::Result<()> {
        let (low, high) = (self.body().first(), self.body().get(1));
        let compressed = low.is_none_or(|abilities| abilities & COMPRESSION != 0);
        let encrypted = high.is_none_or(|abilities| abilities & ENCRYPTION != 0);
        if compressed || encrypted {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(())
    }
}
