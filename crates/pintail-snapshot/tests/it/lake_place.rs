//! A lake to take snapshots of, beside a folder of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pintail_lake::{
    Access, Call, Catalogue, DatabaseFile, Lake, LakeLocation, Maintained, Maintenance, Pin, Session,
};
use pintail_model::{Secret, TableName};
use pintail_snapshot::{
    CreateRequest, Created, Error, KnownLakes, Manifest, RestoreRequest, Restored, Unwatched,
};
use pintail_testkit::PostgresServer;
use serde::{Deserialize, Serialize};

use crate::place::{NOW, Place, at, id, told};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Sqlite,
    DuckDb,
    Postgres,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Sqlite, Kind::DuckDb, Kind::Postgres];

/// Where a lake is, in a form that another process can be told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Address {
    kind: Kind,
    folder: PathBuf,
    port: u16,
    database: String,
}

impl Address {
    fn new(kind: Kind, folder: &Path) -> Self {
        let (port, database) = match kind {
            Kind::Postgres => {
                let server = PostgresServer::shared();
                (server.port(), server.fresh_database().name().to_owned())
            }
            Kind::Sqlite | Kind::DuckDb => (0, String::new()),
        };
        Self {
            kind,
            folder: folder.to_path_buf(),
            port,
            database,
        }
    }

    pub(crate) fn location(&self) -> LakeLocation {
        let Self { port, database, .. } = self;
        let catalogue = match self.kind {
            Kind::Sqlite => Catalogue::Sqlite(self.folder.join("lake.sqlite")),
            Kind::DuckDb => Catalogue::DuckDb(self.folder.join("lake.ducklake")),
            Kind::Postgres => Catalogue::Postgres {
                connection: Secret::new(format!(
                    "host=127.0.0.1 port={port} user=postgres dbname={database}"
                )),
                options: String::new(),
                password: None,
                secrets: Vec::new(),
                address: format!("postgres://127.0.0.1:{port}/{database}"),
                metadata_schema: "public".to_owned(),
            },
        };
        LakeLocation {
            catalogue,
            data_path: self.folder.join("data"),
            bucket: None,
        }
    }
}

pub(crate) struct LakePlace {
    pub(crate) place: Place,
    pub(crate) address: Address,
    pub(crate) location: LakeLocation,
}

impl LakePlace {
    /// A lake without tables.
    pub(crate) fn new(kind: Kind) -> Self {
        let place = Place::new();
        let address = Address::new(kind, place.root());
        let lake = Self::at(place, address);
        Lake::attach(&lake.place.engine, &lake.location, Access::ReadWrite)
            .and_then(Lake::detach)
            .expect("a new lake");
        lake
    }

    /// A lake that is there.
    pub(crate) fn at(mut place: Place, address: Address) -> Self {
        let location = address.location();
        let lakes = Arc::new(KnownLakes(vec![location.clone()]));
        place.snapshots = place.snapshots.clone().with_lakes(lakes);
        Self {
            place,
            address,
            location,
        }
    }

    /// A lake with two tables of 1,000 and 10 rows.
    pub(crate) fn shop(kind: Kind) -> Self {
        let lake = Self::new(kind);
        lake.execute(
            "create schema lake.shop;
             create table lake.shop.orders (id bigint not null, n integer default 7, note varchar);
             insert into lake.shop.orders select i, 0, 'note ' || i from range(1000) as r (i);
             comment on table lake.shop.orders is 'what they bought';
             create table lake.shop.notes (id bigint, n integer);
             insert into lake.shop.notes select i, 0 from range(10) as r (i)",
        );
        lake
    }

    /// Does something with the lake attached.
    pub(crate) fn attached<T>(&self, access: Access, work: impl FnOnce(&Lake, &Session) -> T) -> T {
        let lake = Lake::attach(&self.place.engine, &self.location, access).expect("a lake");
        let session = lake.session().expect("a session");
        let done = work(&lake, &session);
        drop(session);
        lake.detach().expect("nobody uses it");
        done
    }

    /// Runs statements, as any program would.
    pub(crate) fn execute(&self, sql: &str) {
        self.attempt(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", std::error::Error::source(&error)));
    }

    /// Runs statements that may fail.
    pub(crate) fn attempt(&self, sql: &str) -> pintail_lake::Result<()> {
        self.attached(Access::ReadWrite, |_, session| {
            session.batch(Call::new("execute"), sql)
        })
    }

    /// All values of an answer as texts.
    pub(crate) fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        let answer = self.attached(Access::ReadOnly, |_, session| {
            session.table(Call::new("ask"), sql)
        });
        let answer =
            answer.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", std::error::Error::source(&error)));
        let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
        let row = |row: Vec<Option<String>>| row.into_iter().map(text).collect();
        answer.rows.into_iter().map(row).collect()
    }

    /// One value.
    pub(crate) fn value(&self, sql: &str) -> String {
        self.ask(sql)[0][0].clone()
    }

    pub(crate) fn newest(&self) -> i64 {
        self.attached(Access::ReadOnly, |lake, session| {
            lake.snapshot(session).expect("a snapshot")
        })
    }

    pub(crate) fn pins(&self) -> Vec<Pin> {
        self.attached(Access::ReadOnly, |lake, _| lake.pins().expect("a catalogue"))
    }

    /// Expires everything that may expire, and removes every file that may go.
    pub(crate) fn maintain(&self) -> Maintained {
        let thorough = Maintenance {
            expire_older_than: Some(Duration::ZERO),
            clean_older_than: Duration::ZERO,
            ..Maintenance::default()
        };
        self.attached(Access::ReadWrite, |lake, _| {
            lake.maintain(&thorough)
                .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
        })
    }

    pub(crate) fn create_with(&self, request: &CreateRequest) -> Result<Created, Error> {
        let Place {
            engine, snapshots, ..
        } = &self.place;
        snapshots.create_of_lake(engine, &self.location, request, at(NOW), &Unwatched)
    }

    pub(crate) fn create(&self, snapshot: &str) -> Manifest {
        let request = CreateRequest {
            id: Some(id(snapshot)),
            created_by: "ada".to_owned(),
            ..CreateRequest::default()
        };
        self.create_with(&request)
            .unwrap_or_else(|error| panic!("{}", told(&error)))
            .manifest
    }

    pub(crate) fn export(&self, snapshot: &str) -> Manifest {
        let request = CreateRequest {
            id: Some(id(snapshot)),
            export: true,
            ..CreateRequest::default()
        };
        self.create_with(&request)
            .unwrap_or_else(|error| panic!("{}", told(&error)))
            .manifest
    }

    pub(crate) fn restore_with(&self, snapshot: &str, request: &RestoreRequest) -> Result<Restored, Error> {
        let Place {
            engine, snapshots, ..
        } = &self.place;
        snapshots.restore_into_lake(
            engine,
            &self.location,
            &id(snapshot),
            request,
            at(NOW),
            &Unwatched,
        )
    }

    pub(crate) fn restore(&self, snapshot: &str) -> Restored {
        self.restore_with(snapshot, &RestoreRequest::default())
            .unwrap_or_else(|error| panic!("{}", told(&error)))
    }

    pub(crate) fn file(&self, name: &str) -> DatabaseFile {
        self.place.database(name)
    }

    /// The data files of a table of the newest snapshot.
    pub(crate) fn data_files(&self, table: &str) -> Vec<PathBuf> {
        let name = TableName::new("shop", table);
        self.attached(Access::ReadOnly, |lake, session| {
            let newest = lake.snapshot(session).expect("a snapshot");
            let files = lake.files_at(session, &name, newest).expect("a table");
            files.into_iter().map(|file| file.path).collect()
        })
    }
}
