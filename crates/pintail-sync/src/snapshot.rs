//! Sessions that all see one state of the source.

use pintail_lake::connector::{Connector, SnapshotId};
use pintail_lake::{Call, Engine, Session};

use crate::error::Result;
use crate::plan::SOURCE;
use crate::work::Tally;

/// One snapshot of the source, held open until it is dropped.
pub(crate) struct Snapshot<'a> {
    sessions: Vec<Session>,
    shared: Shared<'a>,
}

/// How further sessions come to see what the first one sees, for as long as that one lives.
pub(crate) struct Shared<'a> {
    engine: &'a Engine,
    connector: &'a dyn Connector,
    id: Option<SnapshotId>,
}

impl<'a> Snapshot<'a> {
    /// Opens a snapshot with up to `sessions` sessions: one, if the source cannot share it.
    pub(crate) fn open(engine: &'a Engine, connector: &'a dyn Connector, sessions: usize) -> Result<Self> {
        let first = engine.session()?;
        let id = connector.begin_snapshot(&first, SOURCE)?;
        let shared = Shared {
            engine,
            connector,
            id,
        };
        let mut snapshot = Self {
            sessions: vec![first],
            shared,
        };
        for _ in 1..sessions {
            let Some(session) = snapshot.shared.join()? else {
                break;
            };
            snapshot.sessions.push(session);
        }
        Ok(snapshot)
    }

    /// All sessions, to be used by one thread each.
    pub(crate) fn sessions(&mut self) -> &mut [Session] {
        &mut self.sessions
    }

    /// Fails unless all that was read is one state of the source, and notes how that is known where no transaction
    /// promises it.
    pub(crate) fn check(&self, tally: &mut Tally) -> Result<()> {
        let session = self.sessions.first().expect("a snapshot has a session");
        let note = self.shared.connector.snapshot_held(session, SOURCE)?;
        tally.notes.extend(note);
        Ok(())
    }

    /// The session that the others joined, the others, and how to join.
    pub(crate) fn parts(&mut self) -> (&mut Session, &mut [Session], &Shared<'a>) {
        let (first, others) = self.sessions.split_first_mut().expect("a snapshot has a session");
        (first, others, &self.shared)
    }

    /// The number that a counting statement yields.
    pub(crate) fn count(&self, label: &str, sql: &str) -> Result<u64> {
        let session = self.sessions.first().expect("a snapshot has a session");
        let rows = session.query(Call::new(label), sql)?;
        let number = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
        Ok(u64::try_from(number).unwrap_or(0))
    }
}

impl Shared<'_> {
    /// A new session that sees the snapshot; `None` if the source cannot share it.
    pub(crate) fn join(&self) -> Result<Option<Session>> {
        let Some(id) = &self.id else {
            return Ok(None);
        };
        let session = self.engine.session()?;
        self.connector.join_snapshot(&session, SOURCE, id)?;
        Ok(Some(session))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // The one that others joined goes last.
        self.sessions.iter().rev().for_each(Session::rollback);
    }
}
