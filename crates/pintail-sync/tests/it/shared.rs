//! Databases of servers that all tests of a process share, behind one face.

use mysql::prelude::Queryable;
use pintail_testkit::{Database, MariaDbDatabase, MariaDbServer, PostgresServer, TcpProxy};

/// A database with a table `orders`.
pub(crate) trait Shared {
    fn name(&self) -> &str;
    fn url(&self) -> String;
    /// Another way to its server.
    fn proxy(&self) -> TcpProxy;
    fn execute(&self, statements: &str);
    /// Every row as Postgres writes it, in the order of its key.
    fn orders(&self) -> Vec<String>;
    /// What tells how many connections of others the database has.
    fn watch(&self) -> Box<dyn FnMut() -> i64 + Send>;
}

/// How its server spells what tests say.
pub(crate) trait Dialect: Shared {
    /// Its name as in `type:`.
    const SYSTEM: &'static str;
    /// Its type of instants with microseconds.
    const INSTANT: &'static str;
    /// What tells its planner how many rows `orders` has.
    const ANALYZE: &'static str;

    /// A relation `ids` with a column `id` of the numbers from 1.
    fn numbers(count: u32) -> String;
    /// The instant so many minutes before the statement began.
    fn ago(minutes: &str) -> String;
}

impl Shared for Database<'static> {
    fn name(&self) -> &str {
        self.name()
    }

    fn url(&self) -> String {
        self.url()
    }

    fn proxy(&self) -> TcpProxy {
        TcpProxy::start(PostgresServer::shared().address())
    }

    fn execute(&self, statements: &str) {
        self.execute(statements);
    }

    fn orders(&self) -> Vec<String> {
        let sql = "select orders::text from orders order by id";
        let rows = self.client().query(sql, &[]).expect("a table");
        rows.iter().map(|row| row.get(0)).collect()
    }

    fn watch(&self) -> Box<dyn FnMut() -> i64 + Send> {
        let mut client = self.client();
        let sql = "select count(*) from pg_stat_activity
                   where application_name = 'pintail' and datname = current_database()";
        Box::new(move || client.query_one(sql, &[]).expect("a count").get(0))
    }
}

impl Dialect for Database<'static> {
    const SYSTEM: &'static str = "postgres";
    const INSTANT: &'static str = "timestamptz";
    const ANALYZE: &'static str = "analyze orders";

    fn numbers(count: u32) -> String {
        format!("generate_series(1, {count}) as ids (id)")
    }

    fn ago(minutes: &str) -> String {
        format!("now() - ({minutes}) * interval '1 minute'")
    }
}

impl Shared for MariaDbDatabase<'static> {
    fn name(&self) -> &str {
        self.name()
    }

    fn url(&self) -> String {
        self.url()
    }

    fn proxy(&self) -> TcpProxy {
        TcpProxy::start_mysql(MariaDbServer::shared().address())
    }

    fn execute(&self, statements: &str) {
        self.execute(statements);
    }

    /// Of tables with these columns; the server's clock is in UTC.
    fn orders(&self) -> Vec<String> {
        let sql = r#"select concat('(', concat_ws(',', id, item, version,
                         concat('"', regexp_replace(updated_at, '[.]?0*$', ''), '+00"')), ')')
                     from orders order by id"#;
        self.client().query(sql).expect("a table")
    }

    fn watch(&self) -> Box<dyn FnMut() -> i64 + Send> {
        let mut client = self.client();
        let sql = "select count(*) from information_schema.processlist
                   where db = database() and id <> connection_id()";
        Box::new(move || client.query_first(sql).expect("a count").expect("a row"))
    }
}

impl Dialect for MariaDbDatabase<'static> {
    const SYSTEM: &'static str = "mysql";
    const INSTANT: &'static str = "timestamp(6)";
    const ANALYZE: &'static str = "analyze table orders";

    fn numbers(count: u32) -> String {
        format!("(select seq as id from seq_1_to_{count}) as ids")
    }

    fn ago(minutes: &str) -> String {
        format!("now(6) - interval ({minutes}) minute")
    }
}
