//! One client and its connection to the server: a thread for each direction, and the faults between them.
//!
//! A server ends its answer to a simple query, and to a Sync, with ReadyForQuery. Counting these on both sides tells
//! which bytes answer the commit, also when a client sends its next queries before the last answer came.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use super::weather::Gust;
use super::wire::{Message, ends_with_statement};
use super::{Fault, Shared};

#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    session: Mutex<Session>,
}

#[derive(Debug)]
struct Session {
    /// Requests for encryption that the server has not answered yet; the answer is a single byte.
    encryption_requests: u32,
    /// Answers that the client has asked for until now. The first one ends the log-in.
    answers_asked: u64,
    answers_ended: u64,
    /// The commit is answered after so many other answers, and that answer is swallowed.
    swallow_after: Option<u64>,
    /// The client was cut off, and the server is to end its work undisturbed.
    client_gone: bool,
    /// The queries of the transaction that is open, or was last.
    transaction: Vec<String>,
}

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream, shared: Arc<Shared>) -> Connection {
        for stream in [&client, &server] {
            // Only costs time if it fails.
            let _ = stream.set_nodelay(true);
        }
        let session = Session {
            encryption_requests: 0,
            answers_asked: 1,
            answers_ended: 0,
            swallow_after: None,
            client_gone: false,
            transaction: Vec::new(),
        };
        Connection {
            client,
            server,
            shared,
            session: Mutex::new(session),
        }
    }

    /// Passes messages in both directions until one side ends or a fault cuts the connection.
    pub(super) fn serve(&self) {
        // An error here is a side that went away. The other side learns it by the cut.
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = self.pass_requests();
                let _ = self.server.shutdown(Shutdown::Write);
            });
            let _ = self.pass_answers();
            self.cut();
        });
    }

    pub(super) fn cut(&self) {
        // Fails only if the connection is gone already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().expect("no holder panics")
    }

    fn pass_requests(&self) -> io::Result<()> {
        let mut client = BufReader::new(&self.client);
        loop {
            let opening = Message::read_untyped(&mut client)?;
            let again = opening.asks_for_encryption();
            if again {
                self.session().encryption_requests += 1;
            }
            (&self.server).write_all(&opening.bytes)?;
            if !again {
                break;
            }
        }
        while let Some(kind) = read_kind(&mut client)? {
            let request = Message::read_typed(kind, &mut client)?;
            match self.observe(kind, &request) {
                Some(Fault::CutBeforeCommit) => {
                    self.cut();
                    self.shared.report_fired(None);
                    return Ok(());
                }
                Some(Fault::Hold) => self.shared.hold(),
                Some(Fault::HoldAndCut) => {
                    self.session().client_gone = true;
                    let _ = self.client.shutdown(Shutdown::Both);
                    self.shared.hold();
                }
                Some(Fault::SwallowCommitAnswer | Fault::CutAfterBytes(_)) | None => {}
            }
            (&self.server).write_all(&request.bytes)?;
        }
        Ok(())
    }

    /// Takes note of a request before it is passed on. Returns the fault that it runs into.
    fn observe(&self, kind: u8, request: &Message) -> Option<Fault> {
        let mut session = self.session();
        let answers_before = session.answers_asked;
        match kind {
            b'Q' => {
                session.answers_asked += 1;
                let query = request.text();
                let commits = ends_with_statement(&query, "commit");
                let ends = commits || ends_with_statement(&query, "rollback");
                session.transaction.push(query);
                let fault = self.shared.fault_at_query(&session.transaction, commits);
                if fault == Some(Fault::SwallowCommitAnswer) {
                    session.swallow_after = Some(answers_before);
                }
                if ends {
                    session.transaction.clear();
                }
                fault
            }
            b'P' => {
                session.transaction.push(request.prepared_text());
                None
            }
            // Sync, and the obsolete function call.
            b'S' | b'F' => {
                session.answers_asked += 1;
                None
            }
            _ => None,
        }
    }

    fn pass_answers(&self) -> io::Result<()> {
        let mut server = BufReader::new(&self.server);
        let mut client = BufWriter::new(&self.client);
        let mut swallowed = None;
        while let Some(kind) = read_kind(&mut server)? {
            if self.take_encryption_answer() {
                client.write_all(&[kind])?;
                client.flush()?;
                continue;
            }
            let answer = Message::read_typed(kind, &mut server)?;
            if self.swallows() {
                match kind {
                    b'C' => swallowed = Some(answer.text()),
                    b'E' => swallowed = Some("ERROR".to_owned()),
                    b'Z' => break,
                    _ => {}
                }
                continue;
            }
            if kind == b'Z' {
                self.session().answers_ended += 1;
            }
            let passes = self
                .shared
                .bytes_before_cut(answer.bytes.len(), &self.session().transaction);
            if let Some(passes) = passes {
                client.write_all(&answer.bytes[..passes])?;
                client.flush()?;
                self.cut();
                self.shared.report_fired(None);
                return Ok(());
            }
            match self.shared.gust(answer.bytes.len()) {
                Some(Gust::Cut(passes)) => {
                    client.write_all(&answer.bytes[..passes])?;
                    client.flush()?;
                    self.cut();
                    return Ok(());
                }
                Some(Gust::Trickle) => {
                    client.flush()?;
                    for byte in answer.bytes.chunks(1) {
                        (&self.client).write_all(byte)?;
                    }
                    continue;
                }
                Some(Gust::Stall) => {
                    client.flush()?;
                    self.shared.stall();
                }
                None => {}
            }
            let more = !server.buffer().is_empty();
            let passed = client
                .write_all(&answer.bytes)
                .and_then(|()| if more { Ok(()) } else { client.flush() });
            if !self.session().client_gone {
                passed?;
            }
        }
        if self.swallows() {
            self.cut();
            self.shared.report_fired(swallowed);
        }
        Ok(())
    }

    fn take_encryption_answer(&self) -> bool {
        let mut session = self.session();
        let expected = session.encryption_requests > 0;
        session.encryption_requests -= u32::from(expected);
        expected
    }

    fn swallows(&self) -> bool {
        let session = self.session();
        session
            .swallow_after
            .is_some_and(|before| session.answers_ended >= before)
    }
}

/// `None` at the end of the stream.
fn read_kind(source: &mut impl Read) -> io::Result<Option<u8>> {
    let mut kind = [0];
    Ok((source.read(&mut kind)? == 1).then_some(kind[0]))
}
