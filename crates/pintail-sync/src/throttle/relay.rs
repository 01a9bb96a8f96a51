//! Passes connections on to a source, and its answers back no faster than a bucket allows.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pintail_lake::connector::Endpoint;

use super::TokenBucket;

/// How long a source has to accept a connection, as for connections that go there directly.
const CONNECT: Duration = Duration::from_secs(10);

/// Listens on a port of this machine, as long as it lives.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    source: Endpoint,
    /// Bytes that pass at once: few enough for a slow line to flow.
    piece: usize,
    began: Instant,
    line: Mutex<Line>,
    closing: Condvar,
}

struct Line {
    bucket: TokenBucket,
    closed: bool,
    open: Vec<TcpStream>,
}

impl Relay {
    /// Begins to pass connections on to `source`.
    pub(crate) fn start(source: Endpoint, bytes_per_second: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let twentieth = usize::try_from(bytes_per_second / 20).unwrap_or(usize::MAX);
        let shared = Arc::new(Shared {
            source,
            piece: twentieth.clamp(512, 64 << 10),
            began: Instant::now(),
            line: Mutex::new(Line {
                bucket: TokenBucket::new(bytes_per_second),
                closed: false,
                open: Vec::new(),
            }),
            closing: Condvar::new(),
        });
        let acceptor = std::thread::Builder::new()
            .name("pintail-relay".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.accept(&listener)
            })?;
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut line = self.shared.line();
        line.closed = true;
        for stream in line.open.drain(..) {
            // Fails only if the connection is gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(line);
        self.shared.closing.notify_all();
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            // The thread does nothing that panics; if it did, there is nobody left to pass anything on to.
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("no holder of this lock panics")
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        std::thread::scope(|scope| {
            loop {
                let accepted = listener.accept();
                if self.line().closed {
                    return;
                }
                let Ok((client, _)) = accepted else { continue };
                scope.spawn(move || {
                    if let Err(error) = self.serve(&client) {
                        tracing::debug!(%error, "a relayed connection ended");
                    }
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
    }

    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        let source = self.connect()?;
        for stream in [client, &source] {
            stream.set_nodelay(true)?;
            let mut line = self.line();
            if line.closed {
                return Ok(());
            }
            line.open.push(stream.try_clone()?);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // An end of either side ends both directions.
                let _ = io::copy(&mut &*client, &mut &source);
                let _ = source.shutdown(Shutdown::Write);
            });
            let passed = self.pass(&source, client);
            let _ = source.shutdown(Shutdown::Both);
            let _ = client.shutdown(Shutdown::Both);
            passed
        })
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (self.source.host.as_str(), self.source.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        tracing::warn!(error = %failed, "the source of a capped run could not be reached");
        Err(failed)
    }

    /// Passes answers on, piece by piece, when they may pass.
    fn pass(&self, mut source: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
        let mut piece = vec![0; self.piece];
        loop {
            let read = source.read(&mut piece)?;
            if read == 0 || !self.wait(read) {
                return Ok(());
            }
            client.write_all(&piece[..read])?;
        }
    }

    /// Waits until so many bytes may pass. Returns whether the relay is still open then.
    fn wait(&self, bytes: usize) -> bool {
        let mut line = self.line();
        let wait = line.bucket.take(bytes as u64, self.began.elapsed());
        let waited = self.closing.wait_timeout_while(line, wait, |line| !line.closed);
        !waited.expect("no holder of this lock panics").0.closed
    }
}
