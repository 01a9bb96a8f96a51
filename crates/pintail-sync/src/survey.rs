//! Looking at both sides before a plan is made.
//!
//! The source's clock is read early and its open transactions late, with everything else in between: see
//! [`watermark::join`]. Nothing is written, but a lake that is to be written to is made where it is missing, and made
//! readable where a lost answer left it otherwise.

use pintail_lake::connector::{Connector, ReadPoint, TableDescription};
use pintail_lake::{Access, Destination, Engine, FoundTable, LedgerEntry, Session};
use pintail_model::{ErrorKind, PartitionKey};

use crate::columns;
use crate::error::Result;
use crate::origin;
use crate::plan::{Asked, Candidates, Facts, SOURCE};
use crate::run::SyncRequest;
use crate::shape::Shape;
use crate::state::History;
use crate::throttle::{self, Relay};
use crate::watermark;

/// Both sides as they were found.
pub(crate) struct Survey {
    pub(crate) facts: Facts,
    /// The destination; `None` if it does not exist and was only to be looked at.
    pub(crate) destination: Option<Box<dyn Destination>>,
    /// Files of the destination's table that an earlier run could not put back after a lost answer, and that are back now.
    pub(crate) repaired: u32,
    /// What the source is reached through, where its bandwidth is capped.
    pub(crate) relay: Option<Relay>,
}

pub(crate) fn survey(
    request: &SyncRequest,
    asked: &Asked,
    engine: &Engine,
    access: Access,
    mut history: History,
) -> Result<Survey> {
    forget_lost_files(&mut history);
    let (spec, connector) = (&request.spec, request.source.as_ref());
    let candidates = Candidates::of(spec, asked)?;
    let address = connector.address();
    let (attachment, relay) = throttle::attachment(connector, SOURCE, &spec.limits)?;
    // Both sides' at once: loading is most of what a run with nothing to do costs.
    engine.load_all(
        &[
            attachment.extensions.as_slice(),
            &request.destination.extensions(),
        ]
        .concat(),
    )?;
    engine.attach(&format!("attach source {address}"), &attachment)?;
    let session = engine.session()?;
    let table = connector.describe(&session, SOURCE, &spec.source.table)?;
    let columns = columns::resolve(spec, &table, connector, request.destination.as_ref())?;
    let shape = Shape::new(spec, &table, columns, candidates.delta_spec());
    let look = |session: &Session| read_point(request, connector, session, &table, &shape);
    let first = look(&session)?;

    let destination = attach(engine, request, access)?;
    let found = match &destination {
        Some(destination) => there(destination.as_ref(), request, &shape, access, &history)?,
        None => There::default(),
    };

    let second = look(&session)?;
    let read_point = first
        .zip(second)
        .map(|(first, second)| watermark::join(first, second));
    let facts = Facts {
        now: request.clock.now(),
        source_identity: identity(connector, &table),
        source_address: address,
        capabilities: connector.capabilities(),
        shape,
        read_point,
        table,
        noun: request.destination.noun(),
        destination_address: request.destination.address(),
        found: found.table,
        ledger: found.ledger,
        history,
        committed: found.committed,
    };
    Ok(Survey {
        facts,
        destination,
        repaired: found.repaired,
        relay,
    })
}

/// One text for a table of a source, wherever the call comes from.
fn identity(connector: &dyn Connector, table: &TableDescription) -> String {
    let name = format!("{} {}", connector.identity(), table.name);
    origin::text(&name, table.identity.as_deref())
}

/// A staged file that is not there as it was recorded is not staged.
fn forget_lost_files(history: &mut History) {
    for partition in history.unfinished.iter_mut().flat_map(|run| &mut run.partitions) {
        partition.staged.take_if(|staged| {
            let found = std::fs::metadata(&staged.path);
            !found.is_ok_and(|found| found.len() == staged.bytes)
        });
    }
}

fn read_point(
    request: &SyncRequest,
    connector: &dyn Connector,
    session: &Session,
    table: &TableDescription,
    shape: &Shape,
) -> Result<Option<ReadPoint>> {
    let Some(cursor) = shape.followed() else {
        return Ok(None);
    };
    let of = (cursor.source.as_str(), cursor.cursor_type);
    Ok(Some(connector.read_point(
        session,
        SOURCE,
        &table.name,
        of,
        request.clock.now(),
    )?))
}

fn attach(engine: &Engine, request: &SyncRequest, access: Access) -> Result<Option<Box<dyn Destination>>> {
    match request.destination.attach(engine, access) {
        Ok(destination) => Ok(Some(destination)),
        Err(error) if error.kind() == ErrorKind::NotFound && access == Access::ReadOnly => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[derive(Default)]
struct There {
    table: Option<FoundTable>,
    ledger: Option<LedgerEntry>,
    committed: Vec<PartitionKey>,
    repaired: u32,
}

fn there(
    destination: &dyn Destination,
    request: &SyncRequest,
    shape: &Shape,
    access: Access,
    history: &History,
) -> Result<There> {
    let (spec, session) = (&request.spec, destination.session()?);
    let name = &spec.destination.table;
    // Where the last commit is in and nobody learnt it, no other one may follow that would do this.
    let repaired = match access {
        Access::ReadWrite => destination.repair(&session, name)?,
        Access::ReadOnly => 0,
    };
    let table = destination.table(&session, name, &shape.destination())?;
    let unfinished = history.unfinished.as_ref();
    let keys: Vec<PartitionKey> = unfinished
        .iter()
        .flat_map(|run| {
            run.partitions
                .iter()
                .map(|partition| PartitionKey::new(&spec.name, &run.run, &partition.id))
        })
        .collect();
    let entries = destination
        .newest(&session, name)
        .and_then(|ledger| Ok((ledger, destination.committed(&session, &keys)?)));
    let (ledger, committed) = match entries {
        Ok(found) => found,
        // A place that only other programs wrote to has no ledger.
        Err(error) if error.kind() == ErrorKind::NotFound => (None, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    Ok(There {
        table,
        ledger,
        committed: committed.into_iter().map(|entry| entry.key).collect(),
        repaired,
    })
}
