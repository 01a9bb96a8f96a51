//! A table, as a plan would take it.

use pintail_config::Location;
use pintail_lake::connector::{ColumnRead, Connector, ListedTable, SourceColumn, TableKind};
use pintail_lake::{DestinationPlace, Session};
use pintail_model::{ErrorKind, LogicalType, TableName};
use pintail_sync::columns::{self, ColumnProblem};
use pintail_sync::relation::Layout;
use pintail_sync::shape::Shape;
use pintail_sync::spec::{ColumnSource, ColumnSpec, DeltaSpec, copy_spec};

use super::SOURCE;
use crate::diagnostics::Diagnostic;

/// A table that was looked at.
pub(super) struct Surveyed {
    pub(super) name: TableName,
    pub(super) kind: TableKind,
    /// What there is to copy, or why nothing is.
    pub(super) found: Result<Found, String>,
}

/// What there is to copy.
pub(super) struct Found {
    pub(super) shape: Shape,
    /// Columns that cannot be carried as they are, with what is wrong, in the order of the source.
    pub(super) refused: Vec<Refused>,
}

/// A column that cannot be carried as it is.
pub(super) struct Refused {
    pub(super) column: String,
    pub(super) message: String,
    /// Whether it can be read as an exact number.
    pub(super) number: bool,
}

impl Surveyed {
    /// Looks a table up. A table that cannot be copied is no error; a source that cannot be asked is one.
    pub(super) fn of(
        listed: &ListedTable,
        session: &Session,
        connector: &dyn Connector,
        place: &dyn DestinationPlace,
        from: &Location,
        to: &Location,
    ) -> Result<Self, Diagnostic> {
        let surveyed = |found| Self {
            name: listed.name.clone(),
            kind: listed.kind,
            found,
        };
        let table = match connector.describe(session, SOURCE, &listed.name) {
            Ok(table) => table,
            // Dropped meanwhile, or of a form that no run can read either.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Data
                ) =>
            {
                return Ok(surveyed(Err(error.to_string())));
            }
            Err(error) => return Err(error.into()),
        };
        let mut spec = copy_spec(from, &listed.name, to);
        spec.columns = table.columns.iter().map(|column| plain(&column.name)).collect();
        let layout = Layout::new(&spec, table, Vec::new());
        let problems = match columns::resolve(&spec, &layout, connector, place) {
            Ok(_) => Vec::new(),
            Err(pintail_sync::Error::Columns { problems, .. }) => problems,
            Err(error) => return Err(error.into()),
        };
        let wrong = |name: &str| problems.iter().find(|problem| problem.column == *name);
        let table = &layout.table;
        let refused: Vec<Refused> = table
            .columns
            .iter()
            .filter_map(|column| Some(Refused::new(column, wrong(&column.name)?, connector)))
            .collect();
        spec.columns
            .retain(|column| column.source.column().is_some_and(|name| wrong(name).is_none()));
        if spec.columns.is_empty() {
            let why = "none of its columns has a lossless home".to_owned();
            return Ok(surveyed(Err(why)));
        }
        let reads: Vec<ColumnRead> = columns::resolve(&spec, &layout, connector, place)?;
        let shape = Shape::new(&spec, table, reads, Some(&DeltaSpec::default()));
        Ok(surveyed(Ok(Found { shape, refused })))
    }
}

impl Refused {
    fn new(column: &SourceColumn, problem: &ColumnProblem, connector: &dyn Connector) -> Self {
        let number = LogicalType::Decimal {
            precision: 38,
            scale: 9,
        };
        let text = connector.reads_as(column, LogicalType::Text);
        Self {
            column: column.name.clone(),
            message: problem.message.clone(),
            number: text
                && column.source_type.to_lowercase().starts_with("num")
                && connector.reads_as(column, number),
        }
    }
}

/// A column as it is.
fn plain(name: &str) -> ColumnSpec {
    ColumnSpec {
        hash_column: true,
        source: ColumnSource::Column(name.to_owned()),
        dest: name.to_owned(),
        roles: [].into(),
        data_type: None,
        length: None,
        nullable: None,
    }
}
