//! A connector's system, attached to an engine of its own.

use pintail_lake::connector::{
    ColumnRead, Connector, ListedTable, ScanRequest, SourceColumn, TableDescription,
};
use pintail_lake::{Call, Engine, EngineSettings, Error, Relation, Result, Row, Session};
use pintail_model::{Column, KeyValue, LeafChecksums, LogicalType, Range, TableName};

/// The name under which the suite attaches.
pub(super) const ALIAS: &str = "outside";

/// An engine with one system attached.
pub struct Attached {
    connector: Box<dyn Connector>,
    engine: Engine,
    session: Session,
}

impl Attached {
    /// Attaches, or says why not.
    pub fn try_new(connector: Box<dyn Connector>) -> Result<Self> {
        let engine = Engine::open_own(&EngineSettings {
            threads: 2,
            ..EngineSettings::default()
        })?;
        engine.attach("attach the source", &connector.attachment(ALIAS))?;
        let session = engine.session()?;
        Ok(Self {
            connector,
            engine,
            session,
        })
    }

    /// Attaches.
    #[track_caller]
    pub fn new(connector: Box<dyn Connector>) -> Self {
        Self::try_new(connector).unwrap_or_else(|error| panic!("cannot attach: {}", whole_text(&error)))
    }

    pub fn connector(&self) -> &dyn Connector {
        self.connector.as_ref()
    }

    /// A session without a transaction.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Reads in a snapshot of the moment.
    #[track_caller]
    pub fn reading<T>(&self, work: impl FnOnce(&Session) -> T) -> T {
        self.connector
            .begin_snapshot(&self.session, ALIAS)
            .unwrap_or_else(|error| panic!("cannot open a snapshot: {}", whole_text(&error)));
        let result = work(&self.session);
        self.session.rollback();
        result
    }

    /// The checksums of a request at this moment.
    #[track_caller]
    pub fn checksums_now(&self, request: &ScanRequest) -> LeafChecksums {
        self.reading(|session| self.checksums(session, request))
    }

    /// The rows of a request at this moment, in no order.
    #[track_caller]
    pub fn rows(&self, request: &ScanRequest) -> Vec<Row> {
        let sql = self.connector.scan(ALIAS, request).sql;
        self.reading(|session| session.query(Call::new("read a table"), &sql))
            .unwrap_or_else(|error| panic!("cannot read {}: {}", request.range, whole_text(&error)))
    }

    /// How many rows the source counts at this moment.
    #[track_caller]
    pub fn count_now(&self, relation: &Relation, range: &Range) -> u64 {
        self.reading(|session| self.count(session, relation, range))
    }

    #[track_caller]
    pub fn another_session(&self) -> Session {
        self.engine.session().expect("an engine opens sessions")
    }

    #[track_caller]
    pub fn tables(&self) -> Vec<ListedTable> {
        let listed = self.connector.tables(&self.session, ALIAS);
        listed.unwrap_or_else(|error| panic!("cannot list the tables: {}", whole_text(&error)))
    }

    #[track_caller]
    pub fn describe(&self, table: &str) -> TableDescription {
        self.connector
            .describe(&self.session, ALIAS, &TableName::bare(table))
            .unwrap_or_else(|error| panic!("cannot describe \"{table}\": {}", whole_text(&error)))
    }

    /// Where the source would cut a table.
    #[track_caller]
    pub fn bounds(&self, table: &str, columns: &[SourceColumn], parts: u64) -> Vec<Vec<KeyValue>> {
        let relation = self.describe(table).name.into();
        self.connector
            .bounds(&self.session, ALIAS, &relation, columns, parts)
            .unwrap_or_else(|error| panic!("cannot cut \"{table}\": {}", whole_text(&error)))
    }

    /// All columns of a table as their own types.
    #[track_caller]
    pub fn request(&self, table: &str, range: Range) -> ScanRequest {
        let description = self.describe(table);
        let columns = description.columns.into_iter().map(|source| {
            let home = source
                .logical_type
                .unwrap_or_else(|| panic!("{source:?} has no home"));
            read_as(source, home)
        });
        ScanRequest {
            columns: columns.collect(),
            relation: description.name.into(),
            range,
        }
    }

    /// Reads a request in `session` and returns the checksums of its rows.
    pub fn try_checksums(&self, session: &Session, request: &ScanRequest) -> Result<LeafChecksums> {
        let tap = self.engine.tap();
        let names: Vec<&str> = request
            .columns
            .iter()
            .map(|read| read.column.name.as_str())
            .collect();
        let scan = self.connector.scan(ALIAS, request);
        let sql = format!(
            "select count(*) from ({}) where {}",
            scan.sql,
            tap.filter(None, &names)
        );
        session.query(Call::new("read a table"), &sql)?;
        Ok(tap.checksums())
    }

    #[track_caller]
    pub fn checksums(&self, session: &Session, request: &ScanRequest) -> LeafChecksums {
        self.try_checksums(session, request)
            .unwrap_or_else(|error| panic!("cannot read {}: {}", request.range, whole_text(&error)))
    }

    /// How many rows the source itself counts.
    #[track_caller]
    pub fn count(&self, session: &Session, relation: &Relation, range: &Range) -> u64 {
        let sql = self.connector.count(ALIAS, relation, range);
        let rows = session
            .query(Call::new("count a table"), &sql)
            .unwrap_or_else(|error| panic!("cannot count {range}: {}", whole_text(&error)));
        let number = rows
            .first()
            .and_then(|row| row.integer(0))
            .expect("a count is one number");
        u64::try_from(number).expect("a count is not negative")
    }
}

/// A column as one type, under its own name.
pub fn read_as(source: SourceColumn, logical_type: LogicalType) -> ColumnRead {
    let column = Column {
        name: source.name.clone(),
        logical_type,
        nullable: source.nullable,
        origin: None,
    };
    ColumnRead { source, column }
}

/// Everything that an error would show to a person, and for a test that failed also what DuckDB really said.
pub(super) fn whole_text(error: &Error) -> String {
    let raw = match error {
        Error::Statement { source, .. } | Error::Extension { source, .. } => source.raw_text(),
        _ => "",
    };
    format!("{} [{raw}]", shown_text(error))
}

/// Everything that an error shows to a person.
pub(super) fn shown_text(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error} {error:?}"));
        cause = error.source();
    }
    text.push_str(&error.hint().unwrap_or_default());
    text
}
