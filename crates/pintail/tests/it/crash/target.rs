//! The destination: where it is, and who looks at it.

use std::path::PathBuf;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::Access;
use pintail_lake::depot::Depot;
use pintail_testkit::{Database, MariaDbDatabase, MariaDbServer, PostgresServer, S3Bucket, S3Server};

use super::witness::{DatabaseWitness, FilesWitness, LakeWitness, Names, Witness};
use crate::project::Project;

/// What rows are brought into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    LakeOnSqlite,
    LakeOnDuckDb,
    LakeOnPostgres,
    /// A lake on SQLite whose files lie in a bucket.
    LakeInBucket,
    /// The same on Postgres.
    LakeOnPostgresInBucket,
    Postgres,
    Sqlite,
    DuckDb,
    MariaDb,
    /// Files of CSV in a folder.
    Folder,
    /// Files of JSON in a bucket.
    Bucket,
}

impl Kind {
    fn is_lake(self) -> bool {
        matches!(self, Self::LakeOnSqlite | Self::LakeOnDuckDb)
            || self.is_lake_on_postgres()
            || self == Self::LakeInBucket
    }

    fn is_lake_on_postgres(self) -> bool {
        matches!(self, Self::LakeOnPostgres | Self::LakeOnPostgresInBucket)
    }

    fn is_in_bucket(self) -> bool {
        matches!(
            self,
            Self::Bucket | Self::LakeInBucket | Self::LakeOnPostgresInBucket
        )
    }
}

/// A destination that nobody has made yet.
pub(crate) struct Target {
    kind: Kind,
    /// The database on a Postgres server, if there is one.
    database: Option<Database<'static>>,
    /// The one on a MariaDB server.
    mariadb: Option<MariaDbDatabase<'static>>,
    /// The bucket, if there is one.
    bucket: Option<S3Bucket>,
    folder: PathBuf,
}

impl Target {
    pub(crate) fn new(kind: Kind, project: &Project) -> Self {
        let on_server = kind == Kind::Postgres || kind.is_lake_on_postgres();
        Self {
            kind,
            database: on_server.then(|| PostgresServer::shared().fresh_database()),
            mariadb: (kind == Kind::MariaDb).then(|| MariaDbServer::shared().fresh_database()),
            bucket: kind.is_in_bucket().then(|| S3Server::shared().fresh_bucket()),
            folder: project.path(""),
        }
    }

    /// Its `type:` in a pipeline.
    pub(crate) fn system(&self) -> &'static str {
        match self.kind {
            kind if kind.is_lake() => "ducklake",
            Kind::Postgres => "postgres",
            Kind::Sqlite => "sqlite",
            Kind::DuckDb => "duckdb",
            Kind::MariaDb => "mysql",
            Kind::Folder => "files",
            _ => "s3",
        }
    }

    /// Its entry in `datastores.yaml`.
    pub(crate) fn datastore(&self) -> String {
        let connection = match self.kind {
            Kind::Postgres => format!(
                "host: 127.0.0.1, port: {}, user: postgres, dbname: {}",
                PostgresServer::shared().port(),
                self.server_database()
            ),
            Kind::MariaDb => format!(
                "host: 127.0.0.1, port: {}, user: root, database: {}",
                MariaDbServer::shared().port(),
                self.mariadb().name()
            ),
            Kind::Sqlite => "path: copy.sqlite".to_owned(),
            Kind::DuckDb => "path: copy.duckdb".to_owned(),
            Kind::Folder => "path: copy/, format: csv".to_owned(),
            Kind::Bucket => format!(
                "bucket: {}, prefix: copy/, format: json, {}",
                self.bucket().name(),
                bucket_options("")
            ),
            _ if self.kind.is_in_bucket() => format!(
                "catalog: '{}', data_path: '{}', {}",
                self.address(),
                self.bucket().url("lake/"),
                bucket_options("s3_")
            ),
            _ => format!("catalog: '{}', data_path: lake", self.address()),
        };
        format!("{{type: {}, connection: {{{connection}}}}}", self.system())
    }

    /// The database, or the catalogue of the lake, as on a command line.
    fn address(&self) -> String {
        match self.kind {
            Kind::LakeOnSqlite | Kind::LakeInBucket => "sqlite:lake.sqlite".to_owned(),
            Kind::LakeOnDuckDb => "duckdb:lake.duckdb".to_owned(),
            Kind::Sqlite => "sqlite:copy.sqlite".to_owned(),
            Kind::DuckDb => "duckdb:copy.duckdb".to_owned(),
            Kind::Folder => "files:copy/?format=csv".to_owned(),
            Kind::Bucket => {
                let bucket = self.bucket();
                format!("{}?format=json&{}", bucket.url("copy/"), bucket.parameters(""))
            }
            Kind::MariaDb => self.mariadb().url(),
            Kind::LakeOnPostgres | Kind::LakeOnPostgresInBucket | Kind::Postgres => {
                PostgresServer::shared().url(self.server_database())
            }
        }
    }

    fn bucket(&self) -> &S3Bucket {
        self.bucket.as_ref().expect("a bucket")
    }

    fn mariadb(&self) -> &MariaDbDatabase<'static> {
        self.mariadb.as_ref().expect("a database of MariaDB")
    }

    fn server_database(&self) -> &str {
        self.database.as_ref().expect("a database on a server").name()
    }

    /// Somebody who looks at it; `None` if nobody has made it.
    #[track_caller]
    pub(crate) fn witness(&self, access: Access) -> Option<Box<dyn Witness>> {
        let read = |address: &str| Location::parse(address, &self.folder).expect("an address");
        if self.kind.is_lake() {
            return Some(Box::new(self.lake(access)?));
        }
        let location = read(&self.address());
        let place = registry::destination(&location.datastore, &self.folder).expect("a destination");
        if matches!(self.kind, Kind::Folder | Kind::Bucket) {
            let (depot, above) = match &self.bucket {
                Some(bucket) => (Depot::Bucket(bucket.store()), bucket.url("copy/").into()),
                None => (Depot::Folder, self.folder.join("copy")),
            };
            return Some(Box::new(FilesWitness::of(place, depot, above.join("orders"))?));
        }
        let names = match self.kind {
            Kind::Postgres => Names::new("public", "pintail.ledger"),
            Kind::Sqlite => Names::new("main", "main.pintail_ledger"),
            Kind::MariaDb => {
                let schema = self.mariadb().name();
                Names::new(schema, &format!("{schema}.pintail_ledger")).swept_later()
            }
            _ => Names::new("main", "pintail.ledger"),
        };
        Some(Box::new(DatabaseWitness::of(
            place.as_ref(),
            names,
            &self.folder,
        )?))
    }

    /// Somebody who looks at it, if it is a lake; `None` if nobody has made it.
    #[track_caller]
    pub(crate) fn lake(&self, access: Access) -> Option<LakeWitness> {
        let data = match &self.bucket {
            Some(bucket) => format!("{}&{}", bucket.url("lake/"), bucket.parameters("s3_")),
            None => "lake".to_owned(),
        };
        let address = format!("ducklake:{}?data_path={data}", self.address());
        let location = Location::parse(&address, &self.folder).expect("an address");
        let lake = registry::lake_location(&location.datastore).expect("a lake");
        LakeWitness::of(&lake, access)
    }

    /// Waits until no server works for a killed run any more. False if there is no server.
    pub(crate) fn settles(&self) -> bool {
        if let Some(database) = &self.mariadb {
            database.execute(
                "begin not atomic
                     declare attempt int default 0;
                     while (select count(*) from information_schema.processlist
                            where db = database() and id <> connection_id()) > 0 do
                         set attempt = attempt + 1;
                         if attempt > 2000 then
                             signal sqlstate '45000' set message_text = 'a killed client is still served';
                         end if;
                         do sleep(0.01);
                     end while;
                 end",
            );
            return true;
        }
        let Some(database) = &self.database else {
            return false;
        };
        database.execute(
            "do $$
             begin
                 for attempt in 1..2000 loop
                     if not exists (
                         select 1 from pg_stat_activity
                         where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
                     ) then
                         return;
                     end if;
                     perform pg_sleep(0.01);
                     perform pg_stat_clear_snapshot();
                 end loop;
                 raise exception 'a killed client is still served';
             end $$",
        );
        true
    }
}

/// How the bucket is reached; `before` stands before the name of each option.
fn bucket_options(before: &str) -> String {
    format!(
        "{before}endpoint: 'http://{}', {before}access_key_id: {}, {before}secret_access_key: {}",
        S3Server::shared().endpoint(),
        S3Server::KEY_ID,
        S3Server::SECRET
    )
}
