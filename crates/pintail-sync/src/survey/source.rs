//! The source, as a plan needs to know it.

use pintail_lake::connector::{Connector, ReadPoint, TableDescription};
use pintail_lake::{Relation, Session};
use pintail_model::{ErrorKind, TableName};

use crate::columns;
use crate::error::{Error, Result};
use crate::file_name::file_name;
use crate::grouping;
use crate::memberships::Kept;
use crate::plan::{Asked, Bounds, Candidate, Candidates, SOURCE, Wish};
use crate::relation::Layout;
use crate::run::SyncRequest;
use crate::shape::Shape;
use crate::spec::{FullSpec, PipelineSpec, StrategyKind};
use crate::state::History;

/// The source as it was found.
pub(super) struct Source {
    pub(super) session: Session,
    pub(super) layout: Layout,
    pub(super) shape: Shape,
    pub(super) hidden: Option<String>,
    pub(super) kept: Option<Kept>,
    pub(super) bounds: Bounds,
    /// Its clock, before anything of the destination was compared with it.
    pub(super) first: Option<ReadPoint>,
}

impl Source {
    pub(super) fn look(
        request: &SyncRequest,
        asked: &Asked,
        candidates: &Candidates<'_>,
        session: Session,
        history: &History,
    ) -> Result<Self> {
        let (spec, connector) = (&request.spec, request.source.as_ref());
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
        let kept = layout.main.as_ref().filter(|_| candidates.delta.is_some());
        let kept = kept.map(|_| {
            let folder = request.data.state.join("groups").join(file_name(&spec.name));
            Kept::look(folder)
        });
        let (relation, table) = (&layout.relation, &layout.table);
        let bounds = bounds(request, asked, candidates, &session, relation, table, history)?;
        let first = read_point(request, connector, &session, relation, &shape)?;
        Ok(Self {
            session,
            layout,
            shape,
            hidden,
            kept,
            bounds,
            first,
        })
    }
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

/// The source's clock and its open transactions, if a cursor is followed.
pub(super) fn read_point(
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
