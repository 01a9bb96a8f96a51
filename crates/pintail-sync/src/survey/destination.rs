//! The destination, as a plan needs to know it.

use pintail_lake::{Access, Destination, Engine, FoundTable, LedgerEntry};
use pintail_model::{ErrorKind, PartitionKey};

use crate::error::Result;
use crate::run::SyncRequest;
use crate::shape::Shape;
use crate::state::History;

/// A destination, and what is on record of its table, whatever rows that is to hold.
#[derive(Default)]
pub(super) struct Reached {
    pub(super) destination: Option<Box<dyn Destination>>,
    /// `None` if the table has to be looked up first.
    pub(super) entries: Option<Entries>,
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
            return Ok(Self::default());
        };
        let name = &request.spec.destination.table;
        // Where the last commit is in and nobody learnt it, no other one may follow that would do this.
        let repaired = match access {
            Access::ReadWrite => destination.repair(&destination.session()?, name)?,
            Access::ReadOnly => 0,
        };
        if repaired > 0 {
            tracing::warn!(table = %name, files = repaired, "files of an earlier commit were put back");
        }
        let apart = request.destination.ledger_stands_apart();
        let entries = apart.then(|| Entries::read(destination.as_ref(), request, history));
        Ok(Self {
            entries: entries.transpose()?,
            destination: Some(destination),
            repaired,
        })
    }
}

/// What the ledger says.
#[derive(Default)]
pub(super) struct Entries {
    /// Its newest entry for the table.
    pub(super) newest: Option<LedgerEntry>,
    /// Keys of the unfinished run that are in it.
    pub(super) committed: Vec<PartitionKey>,
}

impl Entries {
    pub(super) fn read(
        destination: &dyn Destination,
        request: &SyncRequest,
        history: &History,
    ) -> Result<Self> {
        let (spec, session) = (&request.spec, destination.session()?);
        let unfinished = history.unfinished.iter();
        let keys: Vec<PartitionKey> = unfinished
            .flat_map(|run| {
                run.partitions
                    .iter()
                    .map(move |partition| (&run.run, &partition.id))
            })
            .map(|(run, partition)| PartitionKey::new(&spec.name, run, partition))
            .collect();
        let read = destination
            .newest(&session, &spec.destination.table)
            .and_then(|newest| Ok((newest, destination.committed(&session, &keys)?)));
        match read {
            Ok((newest, committed)) => Ok(Self {
                newest,
                committed: committed.into_iter().map(|entry| entry.key).collect(),
            }),
            // A place that only other programs wrote to has no ledger.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
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
