//! The destination, as a plan needs to know it.

use pintail_lake::{Access, Destination, Engine, FoundTable, LedgerEntry};
use pintail_model::{ErrorKind, PartitionKey, RunId};

use crate::error::Result;
use crate::parity;
use crate::run::SyncRequest;
use crate::shape::Shape;
use crate::state::History;

/// A destination, and what is on record of its table, whatever rows that is to hold.
pub(super) struct Reached {
    pub(super) destination: Option<Box<dyn Destination>>,
    pub(super) ledger: Option<LedgerEntry>,
    pub(super) committed: Vec<PartitionKey>,
    pub(super) repaired: u32,
}

impl Reached {
    pub(super) fn look(
        engine: &Engine,
        request: &SyncRequest,
        access: Access,
        history: &History,
    ) -> Result<Self> {
        let Some(destination) = attach(engine, request, access)? else {
            return Ok(Self {
                destination: None,
                ledger: None,
                committed: Vec::new(),
                repaired: 0,
            });
        };
        let (spec, session) = (&request.spec, destination.session()?);
        let name = &spec.destination.table;
        // Where the last commit is in and nobody learnt it, no other one may follow that would do this.
        let repaired = match access {
            Access::ReadWrite => destination.repair(&session, name)?,
            Access::ReadOnly => 0,
        };
        if repaired > 0 {
            tracing::warn!(table = %name, files = repaired, "files of an earlier commit were put back");
        }
        let key = |run: &RunId, partition: &str| PartitionKey::new(&spec.name, run, partition);
        let unfinished = history.unfinished.iter();
        let keys: Vec<PartitionKey> = unfinished
            .flat_map(|run| {
                run.partitions
                    .iter()
                    .map(|partition| key(&run.run, &partition.id))
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
        drop(session);
        Ok(Self {
            destination: Some(destination),
            ledger,
            committed: committed.into_iter().map(|entry| entry.key).collect(),
            repaired,
        })
    }
}

fn attach(engine: &Engine, request: &SyncRequest, access: Access) -> Result<Option<Box<dyn Destination>>> {
    match request.destination.attach(engine, access) {
        Ok(destination) => Ok(Some(destination)),
        Err(error) if error.kind() == ErrorKind::NotFound && access == Access::ReadOnly => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A staged file that is not there as it was recorded is not staged.
pub(super) fn forget_lost_files(destination: &dyn Destination, history: &mut History) -> Result<()> {
    for partition in history.unfinished.iter_mut().flat_map(|run| &mut run.partitions) {
        if let Some(staged) = &partition.staged
            && destination.staged_bytes(&staged.path)? != Some(staged.bytes)
        {
            partition.staged = None;
        }
    }
    Ok(())
}

/// The table of the destination, for the rows that it is to hold.
#[derive(Default)]
pub(super) struct Found {
    pub(super) table: Option<FoundTable>,
    pub(super) empty: bool,
    /// The table has all columns but that in which rows are marked, which can be added to it.
    pub(super) lacks_mark: bool,
}

/// Looks the table up, and whether it lacks the column in which rows are marked. Whoever is about to write adds that.
pub(super) fn look_up(
    destination: &dyn Destination,
    request: &SyncRequest,
    shape: &Shape,
    access: Access,
) -> Result<Found> {
    let (session, name) = (destination.session()?, &request.spec.destination.table);
    let found = |table, lacks_mark| Found {
        table,
        empty: false,
        lacks_mark,
    };
    let table = destination.table(&session, name, &shape.destination())?;
    let mark = shape
        .columns
        .iter()
        .find(|read| Some(read.column.name.as_str()) == shape.marked());
    let (Some(as_wanted), Some(mark)) = (&table, mark) else {
        return Ok(found(table, false));
    };
    if as_wanted.fits || !request.destination.adds_columns() {
        return Ok(found(table, false));
    }
    let without = destination.table(&session, name, &shape.unmarked().destination())?;
    let Some(without) = without.filter(|table| table.fits) else {
        return Ok(found(table, false));
    };
    if access == Access::ReadOnly {
        return Ok(found(Some(without), true));
    }
    destination.add_column(&session, name, &mark.column)?;
    let table = destination.table(&session, name, &shape.destination())?;
    Ok(found(table, true))
}

/// Whether the table of the destination has no rows. What a catalogue says of that may be an estimate.
pub(super) fn has_no_rows(destination: &dyn Destination, request: &SyncRequest) -> Result<bool> {
    let (session, table) = (destination.session()?, &request.spec.destination.table);
    parity::reading(&session, || Ok(!destination.has_rows(&session, table)?))
}
