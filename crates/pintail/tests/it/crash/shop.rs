//! The source: orders that change between runs and under them.

use fastrand::Rng;
use pintail_testkit::{Database, PostgresServer};

use super::orders::{COLUMNS, Orders};
use crate::project::Project;

/// Orders of a new shop.
const ORDERS: i64 = 20_000;

/// Versions that one change uses.
const VERSIONS: i64 = 2_500;

/// Versions in a partition of a delta.
pub(crate) const STEP: i64 = 500;

/// Where the orders are.
enum Place {
    Sqlite(Project),
    Postgres(Project, Database<'static>),
}

/// A shop. Every change of it is one transaction, which gives the changed rows new, greater versions.
pub(crate) struct Shop {
    place: Place,
    orders: i64,
    version: i64,
}

impl Shop {
    pub(crate) fn sqlite() -> Self {
        let project = Project::empty();
        project.execute("pragma journal_mode = wal");
        Self::filled(Place::Sqlite(project))
    }

    pub(crate) fn postgres() -> Self {
        let database = PostgresServer::shared().fresh_database();
        Self::filled(Place::Postgres(Project::empty(), database))
    }

    fn filled(place: Place) -> Self {
        let mut shop = Self {
            place,
            orders: 0,
            version: 0,
        };
        shop.execute(
            "create table orders (id bigint primary key not null, note text, version bigint not null);
             create index orders_version on orders (version)",
        );
        shop.insert(ORDERS);
        if let Place::Postgres(_, database) = &shop.place {
            // Partitions of a full load are pages, and the plan takes their number from the statistics.
            database.execute("analyze orders");
        }
        shop
    }

    /// The folder of everything, the shop's file included.
    pub(crate) fn project(&self) -> &Project {
        match &self.place {
            Place::Sqlite(project) | Place::Postgres(project, _) => project,
        }
    }

    /// What its systems are called in a pipeline.
    pub(crate) fn system(&self) -> &'static str {
        match &self.place {
            Place::Sqlite(_) => "sqlite",
            Place::Postgres(..) => "postgres",
        }
    }

    /// Its entry in `datastores.yaml`.
    pub(crate) fn datastore(&self) -> String {
        match &self.place {
            Place::Sqlite(_) => "{type: sqlite, connection: {path: shop.db}}".to_owned(),
            Place::Postgres(_, database) => format!(
                "{{type: postgres, connection: {{host: 127.0.0.1, port: {}, user: postgres, dbname: {}}}}}",
                PostgresServer::shared().port(),
                database.name()
            ),
        }
    }

    /// Gives some orders a new note and a new version, and sometimes brings new ones.
    pub(crate) fn change(&mut self, random: &mut Rng) {
        let (parts, version) = (random.i64(3..9), self.version);
        let part = random.i64(0..parts);
        let note = if random.u8(..8) == 0 {
            "null".to_owned()
        } else {
            format!("'changed ' || {version}")
        };
        self.execute(&format!(
            "update orders set note = {note}, version = {version} + 1 + id % {VERSIONS} where id % {parts} = {part}"
        ));
        self.version += VERSIONS;
        if random.bool() {
            self.insert(random.i64(1..400));
        }
    }

    /// Takes some orders away, which only a full load notices.
    pub(crate) fn delete(&mut self, random: &mut Rng) {
        let (parts, part) = (random.i64(20..200), random.i64(0..20));
        self.execute(&format!("delete from orders where id % {parts} = {part}"));
    }

    /// Every order.
    pub(crate) fn orders(&self) -> Orders {
        self.rows(&format!("select {COLUMNS} from orders"))
    }

    /// Groups of orders, in the shape of orders: what an aggregate of them has to be.
    pub(crate) fn groups(&self) -> Orders {
        self.rows(
            "select id % 24 + 24 * (version % 3), cast(count(*) as text), cast(sum(id) as bigint) from orders group by 1",
        )
    }

    fn rows(&self, sql: &str) -> Orders {
        match &self.place {
            Place::Sqlite(project) => {
                let file = rusqlite::Connection::open(project.path("shop.db")).expect("the shop");
                let mut statement = file.prepare(sql).expect("a query");
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                Orders::of(rows.expect("rows").map(|row| row.expect("an order")))
            }
            Place::Postgres(_, database) => {
                let rows = database.client().query(sql, &[]).expect("rows");
                Orders::of(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))))
            }
        }
    }

    fn insert(&mut self, orders: i64) {
        let (ids, version) = (self.orders, self.version);
        self.execute(&format!(
            "with recursive numbers (i) as (select 1 union all select i + 1 from numbers where i < {orders})
             insert into orders select {ids} + i, 'new ' || i, {version} + i from numbers"
        ));
        self.orders += orders;
        self.version += orders;
    }

    fn execute(&self, statements: &str) {
        match &self.place {
            Place::Sqlite(project) => {
                project.execute(&format!(
                    "pragma busy_timeout = 20000; begin immediate; {statements}; commit"
                ));
            }
            Place::Postgres(_, database) => database.execute(&format!("begin; {statements}; commit")),
        }
    }
}
