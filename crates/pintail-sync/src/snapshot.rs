//! Sessions that all see one state of the source.

use pintail_lake::connector::Connector;
use pintail_lake::{Call, Engine, Session};

use crate::error::Result;
use crate::plan::SOURCE;

/// One snapshot of the source, held open until it is dropped.
pub(crate) struct Snapshot {
    sessions: Vec<Session>,
}

impl Snapshot {
    /// Opens a snapshot with up to `sessions` sessions: one, if the source cannot share it.
    pub(crate) fn open(engine: &Engine, connector: &dyn Connector, sessions: usize) -> Result<Self> {
        let first = engine.session()?;
        let id = connector.begin_snapshot(&first, SOURCE)?;
        let mut snapshot = Self {
            sessions: vec![first],
        };
        if let Some(id) = id {
            for _ in 1..sessions {
                let session = engine.session()?;
                connector.join_snapshot(&session, SOURCE, &id)?;
                snapshot.sessions.push(session);
            }
        }
        Ok(snapshot)
    }

    /// All sessions, to be used by one thread each.
    pub(crate) fn sessions(&mut self) -> &mut [Session] {
        &mut self.sessions
    }

    /// Fails unless all that was read is one state of the source.
    pub(crate) fn check(&self, connector: &dyn Connector) -> Result<()> {
        let session = self.sessions.first().expect("a snapshot has a session");
        Ok(connector.snapshot_held(session, SOURCE)?)
    }

    /// The number that a counting statement yields.
    pub(crate) fn count(&self, label: &str, sql: &str) -> Result<u64> {
        let session = self.sessions.first().expect("a snapshot has a session");
        let rows = session.query(Call::new(label), sql)?;
        let number = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
        Ok(u64::try_from(number).unwrap_or(0))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // The one that others joined goes last.
        self.sessions.iter().rev().for_each(Session::rollback);
    }
}
