//! A TCP proxy for the wire protocols of PostgreSQL and of MySQL that breaks a connection at the worst moment, once, on
//! request.
//!
//! ```text
//!            COMMIT                 COMMIT
//!   client ─────────▶  TcpProxy  ─────────▶  server
//!          ◀── cut ──            ◀── done ──
//! ```
//!
//! It follows the protocol only as far as its faults need: message borders, the text of queries and the end of answers.
//! Every byte passes as it came, but for a MySQL's offer to compress what it sends. A commit is a simple query that is, or ends with, the statement `COMMIT`, as DuckDB,
//! `postgres` and `mysql` send it; one that goes through a prepared statement is not seen. Without TLS, which the servers
//! of this crate do not offer.

mod connection;
mod mysql;
mod postgres;
mod protocol;
mod weather;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::connection::Connection;
use self::mysql::MySql;
use self::postgres::Postgres;
use self::protocol::Protocol;
pub use self::weather::{Felt, Weather};
use self::weather::{Gust, Storm};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The commit is carried out. When the server has answered, the client's connection is cut instead.
    SwallowCommitAnswer,
    /// The commit never reaches the server: both connections are cut.
    CutBeforeCommit,
    /// The commit is passed on, and both connections are cut at once: the client looks on while the server commits.
    CutAfterCommit,
    /// Both connections are cut when the server has sent so many bytes to the client since the trap was set.
    CutAfterBytes(u64),
    /// The commit waits in the proxy until [`TcpProxy::release`], and is passed on then. Nothing is cut.
    Hold,
    /// The same, but the client's connection is cut at once: the client looks on before the server commits.
    HoldAndCut,
}

/// A fault, and when it happens. A bare [`Fault`] happens at the first opportunity.
#[derive(Debug, Clone)]
pub struct Trap {
    fault: Fault,
    commit: u64,
    at_query: Option<String>,
    after_query: Option<String>,
}

impl Trap {
    pub fn new(fault: Fault) -> Trap {
        Trap {
            fault,
            commit: 1,
            at_query: None,
            after_query: None,
        }
    }

    /// Only at the `number`-th commit that qualifies, counted from 1 when the trap is set. Without effect on
    /// [`Fault::CutAfterBytes`].
    #[must_use]
    pub fn at_commit(mut self, number: u64) -> Trap {
        self.commit = number;
        self
    }

    /// At a query that contains `text`, where it would have been at a commit.
    #[must_use]
    pub fn at_query(mut self, text: &str) -> Trap {
        self.at_query = Some(text.to_owned());
        self
    }

    /// Only where the same transaction sent a query that contains `text`, the query with the commit included.
    #[must_use]
    pub fn after_query(mut self, text: &str) -> Trap {
        self.after_query = Some(text.to_owned());
        self
    }

    /// Whether the last query of `transaction` is one to spring at.
    fn springs_at(&self, transaction: &[String], commits: bool) -> bool {
        let here = match &self.at_query {
            Some(text) => transaction.last().is_some_and(|query| query.contains(text)),
            None => commits,
        };
        here && self.qualifies(transaction)
    }

    fn qualifies(&self, transaction: &[String]) -> bool {
        self.after_query
            .as_ref()
            .is_none_or(|text| transaction.iter().any(|query| query.contains(text)))
    }
}

impl From<Fault> for Trap {
    fn from(fault: Fault) -> Trap {
        Trap::new(fault)
    }
}

/// A running proxy. Dropping it closes all its connections.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    scheme: &'static str,
    user: &'static str,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl TcpProxy {
    /// Listens on a free port of 127.0.0.1 and passes every connection on to the PostgreSQL at `upstream`.
    pub fn start(upstream: SocketAddr) -> TcpProxy {
        Self::listen(upstream, ("postgres", "postgres"), || {
            Box::new(Postgres::default())
        })
    }

    /// The same for a MySQL or MariaDB.
    pub fn start_mysql(upstream: SocketAddr) -> TcpProxy {
        Self::listen(upstream, ("mysql", "root"), || Box::new(MySql::default()))
    }

    fn listen(
        upstream: SocketAddr,
        (scheme, user): (&'static str, &'static str),
        protocol: fn() -> Box<dyn Protocol>,
    ) -> TcpProxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, upstream, protocol, &shared)
        });
        TcpProxy {
            address,
            scheme,
            user,
            shared,
            acceptor: Some(acceptor),
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `postgres://postgres@127.0.0.1:<port>/<database>` or `mysql://root@…`, for the superuser, through the proxy.
    pub fn url(&self, database: &str) -> String {
        format!("{}://{}@{}/{database}", self.scheme, self.user, self.address)
    }

    /// Sets a trap. It replaces those that are set, springs once, and is gone then.
    pub fn arm(&self, trap: impl Into<Trap>) {
        self.arm_in_turn([trap.into()]);
    }

    /// Sets several traps, each of which is only there when the one before has sprung. All of them together replace
    /// those that are set, and have sprung when the last one has.
    pub fn arm_in_turn(&self, traps: impl IntoIterator<Item = Trap>) {
        let armed = |trap| Armed {
            trap,
            commits: 0,
            bytes: 0,
        };
        let mut state = self.shared.state();
        state.traps = traps.into_iter().map(armed).collect();
        state.fired = None;
        state.released = false;
    }

    /// Lets faults happen at random from now on, beside traps. Replaces what the weather was before.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.state().storm = Some(Storm::new(weather));
    }

    /// Ends the weather, and says what it did.
    pub fn calm(&self) -> Felt {
        let storm = self.shared.state().storm.take();
        storm.map(|storm| storm.felt).unwrap_or_default()
    }

    /// Cuts all connections that are open, as a server does that ends.
    pub fn cut_all(&self) {
        let open = std::mem::take(&mut self.shared.state().open);
        open.iter()
            .filter_map(Weak::upgrade)
            .for_each(|connection| connection.cut());
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        let open = &self.shared.state().open;
        open.iter()
            .filter(|connection| connection.strong_count() > 0)
            .count()
    }

    /// Lets what [`Fault::Hold`] or [`Fault::HoldAndCut`] keeps back go on.
    pub fn release(&self) {
        self.shared.state().released = true;
        self.shared.changed.notify_all();
    }

    /// Whether the trap that was set last has sprung.
    pub fn fired(&self) -> bool {
        self.shared.state().sprung()
    }

    /// Waits until the trap has sprung; false if `limit` passes before.
    pub fn wait_fired(&self, limit: Duration) -> bool {
        let state = self.shared.state();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, limit, |state| !state.sprung());
        waited.expect("no holder panics").0.sprung()
    }

    /// What the server answered to the commit whose answer was swallowed: `COMMIT`, `ROLLBACK` or `ERROR`.
    pub fn swallowed_answer(&self) -> Option<String> {
        self.shared.state().fired.as_ref()?.answer.clone()
    }

    /// Bytes that the server has sent to clients until now.
    pub fn bytes_answered(&self) -> u64 {
        self.shared.bytes_answered.load(Ordering::Relaxed)
    }

    /// How many commits clients have sent through the proxy, those in a trap included.
    pub fn commits_seen(&self) -> u64 {
        self.shared.state().commits_seen
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.shared.state().stopping = true;
        self.shared.changed.notify_all();
        // Wakes the acceptor, which then sees that it is to stop.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            // A panic of a connection's thread was printed; it must not become an abort here.
            let _ = acceptor.join();
        }
    }
}

/// What the connections of one proxy share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    bytes_answered: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// The first one is armed.
    traps: VecDeque<Armed>,
    fired: Option<Fired>,
    released: bool,
    commits_seen: u64,
    storm: Option<Storm>,
    open: Vec<Weak<Connection>>,
    stopping: bool,
}

#[derive(Debug)]
struct Armed {
    trap: Trap,
    commits: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Fired {
    answer: Option<String>,
}

impl State {
    fn sprung(&self) -> bool {
        self.traps.is_empty() && self.fired.is_some()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Counts the last query of `transaction` if it commits. Returns the fault that is due at it and takes the trap
    /// away.
    fn fault_at_query(&self, transaction: &[String], commits: bool) -> Option<Fault> {
        let mut state = self.state();
        state.commits_seen += u64::from(commits);
        if commits && let Some(fault) = state.storm.as_mut().and_then(Storm::at_commit) {
            return Some(fault);
        }
        let armed = state.traps.front_mut()?;
        if matches!(armed.trap.fault, Fault::CutAfterBytes(_)) || !armed.trap.springs_at(transaction, commits)
        {
            return None;
        }
        armed.commits += 1;
        if armed.commits < armed.trap.commit {
            return None;
        }
        state.traps.pop_front().map(|armed| armed.trap.fault)
    }

    /// How many of the next `length` bytes to the client may pass, if they are to be cut. Takes the trap away then.
    fn bytes_before_cut(&self, length: usize, transaction: &[String]) -> Option<usize> {
        let mut state = self.state();
        let armed = state.traps.front_mut()?;
        let Fault::CutAfterBytes(limit) = armed.trap.fault else {
            return None;
        };
        if !armed.trap.qualifies(transaction) {
            return None;
        }
        let left = limit.saturating_sub(armed.bytes);
        armed.bytes += length as u64;
        if armed.bytes < limit {
            return None;
        }
        state.traps.pop_front();
        Some(usize::try_from(left).map_or(length, |left| left.min(length)))
    }

    /// What the weather does to an answer of `length` bytes.
    fn gust(&self, length: usize) -> Option<Gust> {
        self.state().storm.as_mut()?.at_answer(length)
    }

    /// Keeps an answer back for a moment.
    fn stall(&self) {
        const MOMENT: Duration = Duration::from_millis(20);
        let waited = self
            .changed
            .wait_timeout_while(self.state(), MOMENT, |state| !state.stopping);
        drop(waited.expect("no holder panics"));
    }

    /// Says that a query is held, and waits until it may go on.
    fn hold(&self) {
        self.report_fired(None);
        let waited = self
            .changed
            .wait_while(self.state(), |state| !state.released && !state.stopping);
        drop(waited.expect("no holder panics"));
    }

    /// To be called after the connection was cut, so that a test that waits for it finds everything done.
    fn report_fired(&self, answer: Option<String>) {
        self.state().fired = Some(Fired { answer });
        self.changed.notify_all();
    }
}

fn accept(
    listener: &TcpListener,
    upstream: SocketAddr,
    protocol: fn() -> Box<dyn Protocol>,
    shared: &Arc<Shared>,
) {
    let mut open: HashMap<SocketAddr, (Arc<Connection>, JoinHandle<()>)> = HashMap::new();
    loop {
        let accepted = listener.accept();
        if shared.state().stopping {
            break;
        }
        open.retain(|_, (_, thread)| !thread.is_finished());
        let Ok((client, peer)) = accepted else { continue };
        let Ok(server) = TcpStream::connect(upstream) else {
            // The client sees what it would see without the proxy: nobody there.
            let _ = client.shutdown(Shutdown::Both);
            continue;
        };
        let connection = Arc::new(Connection::new(client, server, protocol(), Arc::clone(shared)));
        let mut state = shared.state();
        state.open.retain(|open| open.strong_count() > 0);
        state.open.push(Arc::downgrade(&connection));
        drop(state);
        let thread = thread::spawn({
            let connection = Arc::clone(&connection);
            move || connection.serve()
        });
        open.insert(peer, (connection, thread));
    }
    for (connection, thread) in open.into_values() {
        connection.cut();
        let _ = thread.join();
    }
}
