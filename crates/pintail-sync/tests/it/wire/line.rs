//! A run whose source, and whose lake's Postgres catalogue, are behind proxies. Everybody else reaches them directly.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{Catalogue, LakeLocation};
use pintail_model::ErrorKind;
use pintail_sync::spec::RetrySpec;
use pintail_sync::{Error, Phase, Progress, StopSignal, SyncReport, SyncRequest};
use pintail_testkit::{Database, MariaDbDatabase, MariaDbServer, PostgresServer, TcpProxy};

use crate::lakes::Kind;
use crate::served::{Served, shown};
use crate::shared::{Dialect, Shared};

/// Makes a table of so many orders, stamped by one minute each up to a day ago, which is beyond every lookback.
pub(super) fn orders<D: Dialect>(count: u32, item: &str) -> String {
    format!(
        "create table orders (id bigint primary key, item text, version int, updated_at {} not null);
         insert into orders select id, {item}, 1, {} from {};
         {}",
        D::INSTANT,
        D::ago(&format!("1440 + {count} - id")),
        D::numbers(count),
        D::ANALYZE
    )
}

/// A source and a lake at the far ends of two lines.
pub(super) struct Line<D = Database<'static>> {
    pub(super) served: Served<D>,
    pub(super) source: TcpProxy,
    /// The way to a Postgres catalogue.
    pub(super) catalogue: Option<TcpProxy>,
    lake: LakeLocation,
    /// A database that is written to in the place of the lake, and the way to it.
    pub(super) database: Option<(Box<dyn Shared>, TcpProxy)>,
}

impl Line {
    /// The table `orders` that `statements` make, and a lake that does not exist yet.
    pub(super) fn new(kind: Kind, statements: &str) -> Self {
        Self::of(Served::new(kind, statements))
    }
}

impl Line<MariaDbDatabase<'static>> {
    /// The same with a table of a MariaDB.
    pub(super) fn mariadb(kind: Kind, statements: &str) -> Self {
        Self::of(Served::mariadb(kind, statements))
    }
}

impl<D: Dialect> Line<D> {
    fn of(mut served: Served<D>) -> Self {
        let source = served.database.proxy();
        // Nobody waits here: what counts is that it is tried again.
        served.spec.retries = RetrySpec {
            attempts: 8,
            initial_wait: Duration::ZERO,
            ..RetrySpec::default()
        };
        let server = PostgresServer::shared().address();
        let (catalogue, lake) = match &served.place.location.catalogue {
            Catalogue::Postgres { address, .. } => {
                let proxy = TcpProxy::start(server);
                let lake = served.place.through(proxy.port(), last_part(address));
                (Some(proxy), lake)
            }
            _ => (None, served.place.location.clone()),
        };
        Self {
            served,
            source,
            catalogue,
            lake,
            database: None,
        }
    }

    /// The same, into the table of the same name of a database.
    pub(super) fn into_database(self) -> Self {
        self.written_to(Box::new(PostgresServer::shared().fresh_database()))
    }

    /// The same, into a table of a MariaDB.
    pub(super) fn into_mariadb(self) -> Self {
        self.written_to(Box::new(MariaDbServer::shared().fresh_database()))
    }

    fn written_to(mut self, database: Box<dyn Shared>) -> Self {
        let proxy = database.proxy();
        self.database = Some((database, proxy));
        self
    }

    pub(super) fn request(&self, strategy: Option<&str>) -> SyncRequest {
        let url = self.source.url(self.served.database.name());
        let from = Location::parse(&url, Path::new("/")).expect("an address");
        let mut request = self.served.request(&self.lake, strategy);
        request.source = registry::source(&from.datastore).expect("a source of this release");
        if let Some((database, proxy)) = &self.database {
            let url = proxy.url(database.name());
            let to = Location::parse(&url, Path::new("/")).expect("an address");
            let stage = self.served.place.folder.path().join("stage");
            request.destination = registry::destination(&to.datastore, &stage).expect("a destination");
        }
        request
    }

    /// Fails unless both sides hold the same rows.
    #[track_caller]
    pub(super) fn assert_equal(&self) {
        let Some((database, _)) = &self.database else {
            return self.served.assert_equal();
        };
        let written = database.orders();
        let source = self.served.source_rows();
        assert_eq!(written.len(), source.len());
        let unlike = written
            .iter()
            .zip(&source)
            .find(|(written, source)| written != source);
        assert_eq!(unlike, None);
    }

    pub(super) fn run(&self, strategy: Option<&str>) -> SyncReport {
        self.watched(strategy, &pintail_sync::Unwatched)
    }

    pub(super) fn watched(&self, strategy: Option<&str>, progress: &dyn Progress) -> SyncReport {
        let request = self.request(strategy);
        pintail_sync::run(&request, progress, &StopSignal::new()).unwrap_or_else(|error| shown(&error))
    }

    pub(super) fn fails(&self, progress: &dyn Progress, stop: &StopSignal) -> Error {
        pintail_sync::run(&self.request(None), progress, stop).expect_err("it cannot come through")
    }

    /// The newest report on disk: that of a failed run is nowhere else.
    pub(super) fn report_on_disk(&self) -> serde_json::Value {
        let state = self.served.place.folder.path().join("state");
        let text = std::fs::read_to_string(state.join("metrics/orders/latest_run.json")).expect("a report");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Whether a statement that was at work kept a delta from the newest rows, as it should: MariaDB goes on for a moment
/// with what a connection asked that was cut, and whoever counts connections asks as well.
pub(super) fn held_back(report: &SyncReport) -> bool {
    let says = |text: &str| report.notes.iter().any(|note| note.contains(text));
    says("holds the watermark back") || says("rows are read up to")
}

fn last_part(address: &str) -> &str {
    address
        .rsplit('/')
        .next()
        .expect("an address ends with its database")
}

/// Does something at the first retry, and remembers all of them.
pub(super) struct AtRetry<F> {
    act: Mutex<Option<F>>,
    pub(super) seen: Mutex<Vec<(Phase, ErrorKind)>>,
}

impl<F: FnOnce() + Send> AtRetry<F> {
    pub(super) fn new(act: F) -> Self {
        Self {
            act: Mutex::new(Some(act)),
            seen: Mutex::default(),
        }
    }
}

impl<F: FnOnce() + Send> Progress for AtRetry<F> {
    fn retries(&self, phase: Phase, kind: ErrorKind, _wait: Duration) {
        self.seen.lock().expect("nobody panics").push((phase, kind));
        if let Some(act) = self.act.lock().expect("nobody panics").take() {
            act();
        }
    }
}
