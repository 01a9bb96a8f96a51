//! A database.

use std::path::{Path, PathBuf};

use pintail_lake::{Access, Call, Destination, DestinationPlace, Engine, EngineSettings, Row, Session};
use pintail_model::ErrorKind;

use super::{Witness, files_below};
use crate::crash::orders::{COLUMNS, Orders};

/// Where a database has its things.
pub(crate) struct Names {
    /// Of its tables.
    schema: String,
    /// The ledger, with its schema.
    ledger: String,
    /// Whether tables that helped a killed run may lie there until the next commit.
    swept_later: bool,
}

impl Names {
    pub(crate) fn new(schema: &str, ledger: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            ledger: ledger.to_owned(),
            swept_later: false,
        }
    }

    pub(crate) fn swept_later(self) -> Self {
        Self {
            swept_later: true,
            ..self
        }
    }
}

/// A database that is attached.
pub(crate) struct DatabaseWitness {
    _database: Box<dyn Destination>,
    session: Session,
    names: Names,
    folder: PathBuf,
}

impl DatabaseWitness {
    /// Attaches a database; `None` if nobody has made it. Runs stage their files below `folder`.
    #[track_caller]
    pub(crate) fn of(place: &dyn DestinationPlace, names: Names, folder: &Path) -> Option<Self> {
        let settings = EngineSettings {
            threads: 1,
            ..EngineSettings::default()
        };
        let engine = Engine::open(&settings).expect("an engine");
        let database = match place.attach(&engine, Access::ReadOnly) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            attached => attached.unwrap_or_else(|error| panic!("{error}: {error:?}")),
        };
        let session = database.session().expect("a session");
        Some(Self {
            _database: database,
            session,
            names,
            folder: folder.to_path_buf(),
        })
    }

    /// Tables and views of the database, but for those of the system. To MariaDB a database is a schema, so that those of
    /// other tests show, too.
    fn tables(&self) -> Vec<String> {
        let own = &self.names.schema;
        let of = |kind| {
            format!(
                "select concat_ws('.', schema_name, {kind}_name)
                 from duckdb_{kind}s() where database_name = 'destination' and not internal and schema_name <> 'mysql'
                     and (schema_name = '{own}' or not starts_with(schema_name, 'fresh_'))"
            )
        };
        let rows = self.query(&format!("{} union {} order by 1", of("table"), of("view")));
        rows.iter()
            .map(|row| row.text(0).expect("a name").to_owned())
            .collect()
    }

    /// Fails if there are tables beside those of the rows and of the ledger, but for helping ones.
    #[track_caller]
    fn assert_tables(&self, helping_too: bool, context: &str) {
        let Names { schema, ledger, .. } = &self.names;
        let mut expected = [ledger.clone(), format!("{schema}.orders")];
        expected.sort();
        let mut tables = self.tables();
        let helping = format!("{schema}.pintail_");
        tables.retain(|table| !helping_too || table == ledger || !table.starts_with(&helping));
        assert_eq!(tables, expected, "{context}: tables of the database");
    }

    #[track_caller]
    fn query(&self, sql: &str) -> Vec<Row> {
        self.session
            .query(Call::new("look"), sql)
            .unwrap_or_else(|error| match &error {
                pintail_lake::Error::Statement { source, .. } => panic!("{sql}: {}", source.raw_text()),
                other => panic!("{sql}: {other:?}"),
            })
    }
}

impl Witness for DatabaseWitness {
    #[track_caller]
    fn orders(&self) -> Orders {
        let orders = format!("{}.orders", self.names.schema);
        if !self.tables().contains(&orders) {
            return Orders::default();
        }
        let rows = self.query(&format!("select {COLUMNS} from destination.{orders}"));
        let integer = |row: &Row, index| row.integer(index).expect("an integer");
        Orders::of(
            rows.iter()
                .map(|row| (integer(row, 0), row.text(1).map(str::to_owned), integer(row, 2))),
        )
    }

    #[track_caller]
    fn assert_once(&self, context: &str) {
        for key in ["partition_key", "(fence, position)"] {
            let sql = format!(
                "select {key}::varchar from destination.{} group by all having count(*) > 1",
                self.names.ledger
            );
            let twice = self.query(&sql);
            assert!(twice.is_empty(), "{context}: twice in the ledger: {twice:?}");
        }
    }

    #[track_caller]
    fn assert_nothing_left(&self, context: &str) {
        self.assert_tables(self.names.swept_later, context);
        let mut staged = files_below(&self.folder);
        // What is on record of rows and groups is no staged file.
        let kept = |file: &PathBuf| file.components().any(|part| part.as_os_str() == "groups");
        staged.retain(|file| file.extension().is_some_and(|extension| extension == "parquet") && !kept(file));
        assert!(
            staged.is_empty(),
            "{context}: staged files stay behind: {staged:?}"
        );
    }

    #[track_caller]
    fn assert_swept(&self, context: &str) {
        self.assert_nothing_left(context);
        self.assert_tables(false, context);
    }
}
