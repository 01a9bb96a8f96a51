//! Looking at both sides before a plan is made.
//!
//! The source's clock is read early and its open transactions late, with everything else in between: see
//! [`watermark::join`]. Nothing is written, but a lake that is to be written to is made where it is missing, and made
//! readable where a lost answer left it otherwise.

use pintail_lake::connector::{Connector, ReadPoint, TableDescription};
use pintail_lake::{Access, Engine, Lake, LedgerEntry, Session};
use pintail_model::{ErrorKind, PartitionKey};

use crate::columns;
use crate::error::Result;
use crate::origin;
use crate::plan::{Asked, Candidates, Facts, SOURCE};
use crate::run::SyncRequest;
use crate::shape::Shape;
use crate::state::History;
use crate::watermark;

/// Both sides as they were found.
pub(crate) struct Survey {
    pub(crate) facts: Facts,
    /// The lake; `None` if it does not exist and was only to be looked at.
    pub(crate) lake: Option<Lake>,
    /// Files of the lake's table that an earlier run could not put back after a lost answer, and that are back now.
    pub(crate) repaired: u32,
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
    let attachment = connector.attachment(SOURCE);
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
    let columns = columns::resolve(spec, &table, connector)?;
    let shape = Shape::new(spec, &table, columns, candidates.delta_spec());
    let look = |session: &Session| read_point(request, connector, session, &table, &shape);
    let first = look(&session)?;

    let lake = attach(engine, request, access)?;
    let found = match &lake {
        Some(lake) => in_lake(lake, request, access, &history)?,
        None => InLake::default(),
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
        lake_address: request.destination.address(),
        lake_table: found.table,
        ledger: found.ledger,
        history,
        committed: found.committed,
    };
    Ok(Survey {
        facts,
        lake,
        repaired: found.repaired,
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

fn attach(engine: &Engine, request: &SyncRequest, access: Access) -> Result<Option<Lake>> {
    match Lake::attach(engine, &request.destination, access) {
        Ok(lake) => Ok(Some(lake)),
        Err(error) if error.kind() == ErrorKind::NotFound && access == Access::ReadOnly => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[derive(Default)]
struct InLake {
    table: Option<pintail_lake::LakeTable>,
    ledger: Option<LedgerEntry>,
    committed: Vec<PartitionKey>,
    repaired: u32,
}

fn in_lake(lake: &Lake, request: &SyncRequest, access: Access, history: &History) -> Result<InLake> {
    let (spec, session) = (&request.spec, lake.session()?);
    let table = lake.table(&session, &spec.destination.table)?;
    // Where the last commit is in and nobody learnt it, no other one may follow that would do this.
    let repaired = match &table {
        Some(table) if access == Access::ReadWrite => lake.repair(&session, table)?,
        _ => 0,
    };
    let unfinished = history.unfinished.as_ref();
    let keys: Vec<PartitionKey> = unfinished
        .iter()
        .flat_map(|run| {
            run.partitions
                .iter()
                .map(|partition| PartitionKey::new(&spec.name, &run.run, &partition.id))
        })
        .collect();
    let entries = lake
        .ledger()
        .newest(&session, &spec.destination.table)
        .and_then(|ledger| Ok((ledger, lake.ledger().committed(&session, &keys)?)));
    let (ledger, committed) = match entries {
        Ok(found) => found,
        // A lake of another program has no ledger.
        Err(error) if error.kind() == ErrorKind::NotFound => (None, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    Ok(InLake {
        table,
        ledger,
        committed: committed.into_iter().map(|entry| entry.key).collect(),
        repaired,
    })
}
