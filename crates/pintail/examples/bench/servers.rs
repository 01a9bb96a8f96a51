//! Private servers with the tables of the benchmark. They are stopped when the benchmark ends, in whatever way.

use anyhow::{Context, Result};
use pintail_testkit::{MariaDbDatabase, MariaDbOptions, MariaDbServer, PostgresOptions, PostgresServer};

/// The database that is read.
pub(crate) const SHOP: &str = "bench";
/// The database that is written to.
pub(crate) const COPIES: &str = "copies";
/// The table of `bench/orders.sql`.
pub(crate) const ORDERS: &str = "bench.orders";
/// The table of `bench/hard.sql`.
pub(crate) const HARD: &str = "bench.hard";

/// A Postgres with two empty databases.
pub(crate) struct Postgres(PostgresServer);

impl Postgres {
    pub(crate) fn start() -> Result<Self> {
        let server = PostgresOptions::default()
            .with_setting("shared_buffers", "1GB")
            .with_setting("max_wal_size", "4GB")
            .start()?;
        server.create_database(SHOP);
        server.create_database(COPIES);
        Ok(Self(server))
    }

    /// Makes the orders.
    pub(crate) fn make_orders(&self, rows: u64) -> Result<()> {
        self.make(include_str!("../../../../bench/orders.sql"), ORDERS, rows)
    }

    /// Makes the table of types that are hard to carry.
    pub(crate) fn make_hard(&self, rows: u64) -> Result<()> {
        self.make(include_str!("../../../../bench/hard.sql"), HARD, rows)
    }

    fn make(&self, script: &str, table: &str, rows: u64) -> Result<()> {
        eprintln!("  making {rows} rows of {table} …");
        let mut client = self.0.client(SHOP);
        client.batch_execute(&script.replace("{rows}", &rows.to_string()))?;
        Ok(client.batch_execute(&format!("vacuum (analyze) {table}"))?)
    }

    /// Runs statements, and returns how many rows the last one changed.
    pub(crate) fn execute(&self, database: &str, sql: &str) -> Result<u64> {
        Ok(self.0.client(database).execute(sql, &[])?)
    }

    /// One number.
    pub(crate) fn number(&self, database: &str, sql: &str) -> Result<i64> {
        Ok(self.0.client(database).query_one(sql, &[])?.get(0))
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.0.url(database)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }

    /// For libpq.
    pub(crate) fn conninfo(&self, database: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user=postgres dbname={database}",
            self.port()
        )
    }

    /// For a script of DuckDB: the database that is read, as `source`.
    pub(crate) fn attach_as_source(&self) -> String {
        format!(
            "attach '{}' as source (type postgres, read_only)",
            self.conninfo(SHOP)
        )
    }

    /// The database that is written to, as `copies`.
    pub(crate) fn attach_to_write(&self) -> String {
        format!("attach '{}' as copies (type postgres)", self.conninfo(COPIES))
    }

    pub(crate) fn process(&self) -> Result<u32> {
        self.0.process_id().context("the server runs")
    }
}

/// A MariaDB, without tables.
pub(crate) struct MariaDb(MariaDbServer);

impl MariaDb {
    pub(crate) fn start() -> Result<Self> {
        let server = MariaDbOptions::default()
            .with_setting("innodb-buffer-pool-size", "1G")
            .with_setting("innodb-log-file-size", "512M")
            .start()?;
        Ok(Self(server))
    }

    /// A database with the orders.
    pub(crate) fn make_orders(&self, rows: u64) -> MariaDbDatabase<'_> {
        eprintln!("  making {rows} rows of orders …");
        let database = self.0.fresh_database();
        let script = include_str!("../../../../bench/orders.mariadb.sql");
        database.execute(&script.replace("{rows}", &rows.to_string()));
        database
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }

    pub(crate) fn process(&self) -> Result<u32> {
        self.0.process_id().context("the server runs")
    }
}
