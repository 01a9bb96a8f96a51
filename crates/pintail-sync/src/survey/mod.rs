//! Looking at both sides before a plan is made.
//!
//! The source's clock is read early and its open transactions late, with the destination's table in between: see
//! [`watermark::join`]. Nothing is written, but a lake that is to be written to is made where it is missing, and made
//! readable where a lost answer left it otherwise.
//!
//! Where the two have nothing to do with each other, both sides are looked at side by side, each on sessions of its own.

mod destination;
mod source;

use pintail_lake::connector::Attachment;
use pintail_lake::{Access, Destination, Engine, FoundTable};

use self::destination::{Entries, Found, Reached, forget_lost_files, look_up};
use self::source::{Source, read_point};
use crate::error::Result;
use crate::plan::{Asked, Candidates, Facts, SOURCE, Task, Versions};
use crate::relation::Layout;
use crate::run::SyncRequest;
use crate::spec::DeletePolicy;
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
    let reach = || Reached::look(engine, request, access, &history);
    let look = || {
        engine
            .attach(&format!("attach source {address}"), &attachment)
            .map_err(|error| connector.explain(error))?;
        Source::look(request, asked, &candidates, engine.session()?, &history)
    };
    let (source, reached) = match side_by_side(request, &attachment, access) {
        true => at_once(look, reach)?,
        false => {
            // Both sides' extensions at once: loading is most of what a run with nothing to do costs.
            engine.load_all(&[attachment.extensions.clone(), request.destination.extensions()].concat())?;
            (look()?, reach()?)
        }
    };
    let Source {
        session,
        layout,
        mut shape,
        hidden,
        kept,
        bounds,
        first,
    } = source;
    let Reached {
        destination,
        mut entries,
        repaired,
    } = reached;
    let source_identity = layout.identity(&connector.identity());
    let Layout {
        relation,
        table,
        main,
        ..
    } = layout;
    let mut found = Found::default();
    if let Some(destination) = &destination {
        forget_lost_files(destination.as_ref(), &mut history)?;
        found = look_up(destination.as_ref(), request, &shape, access)?;
        if entries.is_none() {
            entries = Some(Entries::read(destination.as_ref(), request, &history)?);
        }
    }
    let entries = entries.unwrap_or_default();
    let compares = candidates.comparison().is_some() || relation.grouped();
    let keeps = spec.destination.supports_update == Some(false) || spec.deletes.policy != DeletePolicy::Hard;
    let asks = |table: &FoundTable| keeps || compares && table.fits;
    if let (Some(destination), true) = (&destination, found.table.as_ref().is_some_and(asks)) {
        found.empty = !destination.has_rows(&destination.session()?, &spec.destination.table)?;
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

    let second = read_point(request, connector, &session, &relation, &shape)?;
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
        ledger: entries.newest,
        versions,
        history,
        committed: entries.committed,
    };
    Ok(Survey {
        facts,
        destination,
        repaired,
        relay,
    })
}

/// Whether both sides may be looked at side by side: attaching the destination makes nothing that a source which cannot be
/// read would leave behind, and neither side sees what the other one attaches, or sets for all that share its extension.
fn side_by_side(request: &SyncRequest, source: &Attachment, access: Access) -> bool {
    let makes_nothing = access == Access::ReadOnly || request.destination.is_there();
    let own = request.destination.extensions();
    makes_nothing
        && request.source.capabilities().own_catalogue
        && !source.extensions.iter().any(|extension| own.contains(extension))
}

/// Looks at both sides, each by a thread of its own. Of two errors one is told: the source's, unless only the destination's
/// will be the same the next time.
fn at_once<S, D: Send>(
    source: impl FnOnce() -> Result<S>,
    destination: impl FnOnce() -> Result<D> + Send,
) -> Result<(S, D)> {
    let (source, destination) = std::thread::scope(|scope| {
        let named = std::thread::Builder::new().name("destination".to_owned());
        let destination = named
            .spawn_scoped(scope, destination)
            .expect("the system has room for a thread");
        let source = source();
        let destination = destination.join();
        (
            source,
            destination.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    match (source, destination) {
        (Err(error), Err(other)) if error.transient() && !other.transient() => {
            tracing::warn!(%error, "the source could not be looked at either");
            Err(other)
        }
        (Err(error), Err(other)) => {
            tracing::warn!(error = %other, "the destination could not be looked at either");
            Err(error)
        }
        (source, destination) => Ok((source?, destination?)),
    }
}
