//! One client and its connection to the server: a thread for each direction, and the faults between them.

use std::io::{self, BufReader, BufWriter, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use super::protocol::{Asks, Protocol, Request, ends_with_statement};
use super::weather::Gust;
use super::{Fault, Shared};

#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    protocol: Box<dyn Protocol>,
    shared: Arc<Shared>,
    session: Mutex<Session>,
}

#[derive(Debug)]
struct Session {
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
    pub(super) fn new(
        client: TcpStream,
        server: TcpStream,
        protocol: Box<dyn Protocol>,
        shared: Arc<Shared>,
    ) -> Connection {
        for stream in [&client, &server] {
            // Only costs time if it fails.
            let _ = stream.set_nodelay(true);
        }
        let session = Session {
            answers_asked: 1,
            answers_ended: 0,
            swallow_after: None,
            client_gone: false,
            transaction: Vec::new(),
        };
        Connection {
            client,
            server,
            protocol,
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
        while let Some(request) = self.protocol.next_request(&mut client)? {
            match self.observe(&request) {
                Some(Fault::CutBeforeCommit) => {
                    self.cut();
                    self.shared.report_fired(None);
                    return Ok(());
                }
                Some(Fault::CutAfterCommit) => {
                    // First of all, so that a quick answer does not come through.
                    let _ = self.client.shutdown(Shutdown::Both);
                    (&self.server).write_all(&request.bytes)?;
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
    fn observe(&self, request: &Request) -> Option<Fault> {
        let mut session = self.session();
        let answers_before = session.answers_asked;
        session.answers_asked += request.answers;
        match &request.asks {
            Asks::Query(query) => {
                let commits = ends_with_statement(query, "commit");
                let ends = commits || ends_with_statement(query, "rollback");
                session.transaction.push(query.clone());
                let fault = self.shared.fault_at_query(&session.transaction, commits);
                if fault == Some(Fault::SwallowCommitAnswer) {
                    session.swallow_after = Some(answers_before);
                }
                if ends {
                    session.transaction.clear();
                }
                fault
            }
            Asks::Prepare(query) => {
                session.transaction.push(query.clone());
                None
            }
            Asks::Nothing => None,
        }
    }

    fn pass_answers(&self) -> io::Result<()> {
        let mut server = BufReader::new(&self.server);
        let mut client = BufWriter::new(&self.client);
        let mut swallowed = None;
        while let Some(answer) = self.protocol.next_answer(&mut server)? {
            let length = answer.bytes.len() as u64;
            self.shared.bytes_answered.fetch_add(length, Ordering::Relaxed);
            if self.swallows() {
                swallowed = answer.outcome.or(swallowed);
                if answer.ends {
                    break;
                }
                continue;
            }
            if answer.ends {
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

    fn swallows(&self) -> bool {
        let session = self.session();
        session
            .swallow_after
            .is_some_and(|before| session.answers_ended >= before)
    }
}
