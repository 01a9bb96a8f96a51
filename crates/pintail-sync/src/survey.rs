//! Looking at both sides before a plan is made.
//!
//! The source's clock is read early and its open transactions late, with everything else in between: see
//! [`watermark::join`]. Nothing is written, but a lake that is to be written to is made where it is missing, and made
//! readable where a lost answer left it otherwise.

use pintail_lake::connector::{Connector, ReadPoint, TableDescription};
use pintail_lake::{Access, Call, Destination, Engine, FoundTable, LedgerEntry, Relation, Session};
use pintail_model::{ErrorKind, PartitionKey, TableName};

use crate::columns;
use crate::error::{Error, Result};
use crate::file_name::file_name;
use crate::grouping;
use crate::memberships::Kept;
use crate::parity;
use crate::plan::{Asked, Bounds, Candidate, Candidates, Facts, SOURCE, Task, Versions, Wish};
use crate::relation::Layout;
use crate::run::SyncRequest;
use crate::shape::Shape;
use crate::spec::{FullSpec, PipelineSpec, StrategyKind};
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
    engine
        .attach(&format!("attach source {address}"), &attachment)
        .map_err(|error| connector.explain(error))?;
    let session = engine.session()?;
    let layout = lay_out(spec, connector, &session)?;
    let columns = columns::resolve(spec, &layout, connector, request.destination.as_ref())?;
    let mut shape = Shape::new(spec, &layout.table, columns, candidates.delta_spec());
    if let Some(main) = &layout.main {
        shape.cursor = grouping::cursor(spec, candidates.delta_spec(), main);
    }
    let hidden = match candidates.may_delete() || layout.main.is_some() {
        true => hidden(connector, &session, &layout)?,
        false => None,
    };
    let source_identity = layout.identity(&connector.identity());
    let Layout {
        relation,
        table,
        main,
        ..
    } = layout;
    let kept = main.as_ref().filter(|_| candidates.delta.is_some()).map(|_| {
        let folder = request.data.state.join("groups").join(file_name(&spec.name));
        Kept::look(folder)
    });
    let bounds = bounds(request, asked, &candidates, &session, &relation, &table, &history)?;
    let look = |session: &Session| read_point(request, connector, session, &relation, &shape);
    let first = look(&session)?;

    let destination = attach(engine, request, access)?;
    if let Some(destination) = &destination {
        forget_lost_files(destination.as_ref(), &mut history)?;
    }
    let mut found = match &destination {
        Some(destination) => there(destination.as_ref(), request, &shape, access, &history)?,
        None => There::default(),
    };
    let compares = candidates.comparison().is_some() || relation.grouped();
    if let (Some(destination), true, Some(true)) = (
        &destination,
        compares,
        found.table.as_ref().map(|table| table.fits),
    ) {
        found.empty = has_no_rows(destination.as_ref(), request, &shape)?;
    }

    let versions = match &destination {
        Some(destination) if candidates.compares_versions(&history) => Some(Versions {
            lineage: connector.lineage(&session, SOURCE)?,
            token: {
                let session = destination.session()?;
                destination.rows_token(&session, &spec.destination.table, None)?
            },
        }),
        _ => None,
    };

    let second = look(&session)?;
    let read_point = first
        .zip(second)
        .map(|(first, second)| watermark::join(first, second));
    if asked.as_copies.is_some() {
        shape = shape.as_copies();
    }
    let shape = match asked.task {
        // None of its rows is marked, and nothing is to be written.
        Task::Verify { .. } if found.lacks_mark => shape.unmarked(),
        _ => shape,
    };
    let facts = Facts {
        now: request.clock.now(),
        source_identity,
        source_address: address,
        capabilities: connector.capabilities(),
        shape,
        read_point,
        relation,
        table,
        main,
        kept,
        hidden,
        bounds,
        noun: request.destination.noun(),
        destination_address: request.destination.address(),
        found: found.table,
        found_empty: found.empty,
        adds_mark: found.lacks_mark,
        ledger: found.ledger,
        versions,
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

/// Looks the tables of the source up, and lays them out.
fn lay_out(spec: &PipelineSpec, connector: &dyn Connector, session: &Session) -> Result<Layout> {
    let look_up = |table: &TableName| connector.describe(session, SOURCE, table);
    let main = look_up(&spec.source.table)?;
    let joins = spec.source.joins.iter();
    let joined = joins
        .map(|join| look_up(&join.table))
        .collect::<pintail_lake::Result<_>>()?;
    let mut layout = Layout::new(spec, main, joined);
    if layout.relation.query.is_some() {
        if !connector.reads_queries() {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!(
                    "a source of type `{}` takes no `join`, `filters`, expressions or groups yet",
                    connector.system()
                ),
                "Read a view of the source that does the same, or take them out of the pipeline.",
            ));
        }
        layout.learn(connector.expression_types(session, SOURCE, &layout.relation)?);
    }
    Ok(layout)
}

/// Why the source may not show all rows, if that is so for any of the tables.
fn hidden(connector: &dyn Connector, session: &Session, layout: &Layout) -> Result<Option<String>> {
    let query = layout.relation.query.as_ref();
    let joined = query
        .iter()
        .flat_map(|query| &query.joins)
        .map(|join| &join.table);
    for table in std::iter::once(&layout.relation.table).chain(joined) {
        if let Some(why) = connector.hides_rows(session, SOURCE, table)? {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

/// Asks the source where it would cut the table, if a full load is likely and would need to know.
fn bounds(
    request: &SyncRequest,
    asked: &Asked,
    candidates: &Candidates<'_>,
    session: &Session,
    relation: &Relation,
    table: &TableDescription,
    history: &History,
) -> Result<Bounds> {
    let full = match candidates.asked {
        Some(Candidate::Full(strategy)) => strategy,
        Some(Candidate::Delta(_)) if history.watermark.is_some() => return Ok(Bounds::default()),
        None if history.watermark.is_some() && candidates.delta.is_some() => return Ok(Bounds::default()),
        _ => candidates.full,
    };
    let settings = match full.map(|strategy| &strategy.kind) {
        Some(StrategyKind::Full(settings)) => settings.clone(),
        _ => FullSpec::default(),
    };
    let name = full.map_or("", |strategy| strategy.name.as_str());
    let wish = Wish::new(&request.spec, asked, name, &settings, table);
    let Some((columns, parts)) = wish.question(&request.source.capabilities()) else {
        return Ok(Bounds::default());
    };
    let values = request
        .source
        .bounds(session, SOURCE, relation, &columns, parts)?;
    let columns = columns.into_iter().map(|column| column.name).collect();
    Ok(Bounds { columns, values })
}

/// A staged file that is not there as it was recorded is not staged.
fn forget_lost_files(destination: &dyn Destination, history: &mut History) -> Result<()> {
    for partition in history.unfinished.iter_mut().flat_map(|run| &mut run.partitions) {
        if let Some(staged) = &partition.staged
            && destination.staged_bytes(&staged.path)? != Some(staged.bytes)
        {
            partition.staged = None;
        }
    }
    Ok(())
}

fn read_point(
    request: &SyncRequest,
    connector: &dyn Connector,
    session: &Session,
    relation: &Relation,
    shape: &Shape,
) -> Result<Option<ReadPoint>> {
    let Some(cursor) = shape.followed() else {
        return Ok(None);
    };
    let of = (cursor.source.as_str(), cursor.cursor_type);
    // How far the numbers of a table have come, all of its rows tell, and not only those that are read.
    let whole_table = Relation::from(&relation.table);
    let relation = if cursor.of_main_table {
        &whole_table
    } else {
        relation
    };
    Ok(Some(connector.read_point(
        session,
        SOURCE,
        relation,
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
    empty: bool,
    /// The table has all columns but that in which rows are marked, which can be added to it.
    lacks_mark: bool,
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
    let (table, lacks_mark) = look_up(destination, request, &session, shape, access)?;
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
        empty: false,
        lacks_mark,
        ledger,
        committed: committed.into_iter().map(|entry| entry.key).collect(),
        repaired,
    })
}

/// Looks the table up, and whether it lacks the column in which rows are marked. Whoever is about to write adds that.
fn look_up(
    destination: &dyn Destination,
    request: &SyncRequest,
    session: &Session,
    shape: &Shape,
    access: Access,
) -> Result<(Option<FoundTable>, bool)> {
    let name = &request.spec.destination.table;
    let found = destination.table(session, name, &shape.destination())?;
    let mark = shape
        .columns
        .iter()
        .find(|read| Some(read.column.name.as_str()) == shape.marked());
    let (Some(table), Some(mark)) = (&found, mark) else {
        return Ok((found, false));
    };
    if table.fits || !request.destination.adds_columns() {
        return Ok((found, false));
    }
    let without = destination.table(session, name, &shape.unmarked().destination())?;
    let Some(without) = without.filter(|table| table.fits) else {
        return Ok((found, false));
    };
    if access == Access::ReadOnly {
        return Ok((Some(without), true));
    }
    destination.add_column(session, name, &mark.column)?;
    Ok((destination.table(session, name, &shape.destination())?, true))
}

/// Whether the table of the destination has no rows. What a catalogue says of that may be an estimate.
fn has_no_rows(destination: &dyn Destination, request: &SyncRequest, shape: &Shape) -> Result<bool> {
    let session = destination.session()?;
    let version = destination.version(&session)?.map(|version| version.to_string());
    let table = &request.spec.destination.table;
    let rows = request
        .destination
        .rows(table, &shape.unmarked().destination(), version.as_deref());
    let sql = format!("select count(*) from (select 1 from {rows} as kept limit 1)");
    let found = parity::reading(&session, || {
        Ok(session.query(Call::new("look whether the table has rows"), &sql)?)
    })?;
    Ok(found.first().and_then(|row| row.integer(0)) == Some(0))
}
