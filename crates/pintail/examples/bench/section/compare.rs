//! Postgres against a lake that was loaded from it: comparisons of all rows, and of keys.
//!
//! The lake is loaded once. Every round compares sides that are equal, then sides that differ in a few rows, and then looks
//! for rows that went. The scan that they are measured by reads every column of every row, and keeps nothing.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use pintail_lake::extension;

use super::{Bench, Section, datastores};
use crate::duckdb_script::contestant;
use crate::measure::{Sample, measure};
use crate::pintail::Workplace;
use crate::servers::{ORDERS, Postgres, SHOP};
use crate::table::{Bound, Table};

const SCAN: &str = "DuckDB scan to nothing";
const EQUAL: &str = "pintail hash, equal sides";
const CHANGED: &str = "pintail hash, 1,200 rows differ";
const STORED: &str = "pintail hash, stored, equal sides";
const GROUPED: &str = "the grouped query of pushdown, in Postgres";
const PUSHDOWN: &str = "pintail hash, pushdown, equal sides";
const DELETES: &str = "pintail deletes, 100 keys are gone";

const BOUNDS: &[Bound] = &[
    Bound {
        of: EQUAL,
        to: SCAN,
        at_most: 1.40,
    },
    Bound {
        of: CHANGED,
        to: SCAN,
        at_most: 1.50,
    },
    Bound {
        of: STORED,
        to: SCAN,
        at_most: 1.00,
    },
    Bound {
        of: PUSHDOWN,
        to: GROUPED,
        at_most: 1.15,
    },
    Bound {
        of: DELETES,
        to: SCAN,
        at_most: 0.70,
    },
];

/// Rows that a round changes, and those that it deletes, inserts, and deletes once more.
const ROWS_CHANGED: u64 = 1_000;
const ROWS_MOVED: u64 = 100;

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows;
    ensure!(
        rows / ROWS_CHANGED > 3 * (bench.options.rounds as u64 + 1),
        "so few rows cannot be changed in every round: give `--rows` a larger number"
    );
    let server = Postgres::start()?;
    server.make_orders(rows)?;
    let place = bench.workplace("compared")?;
    let shop = Compared {
        server: &server,
        place: &place,
        rows,
    };
    shop.pintail("full", &[])?;
    let grouped = shop.grouped_query()?;
    let mut table = Table::new(Section::Compare.heading(bench, rows), SCAN, BOUNDS);
    bench.rounds(|round| {
        table.add(SCAN, bench.script(&[server.process()?], |_| scan(&server))?);
        table.add(EQUAL, shop.pintail("stream", &[])?);
        shop.expect([0, 0, 0])?;
        table.add(GROUPED, grouped_alone(&server, &grouped)?);
        table.add(PUSHDOWN, shop.pintail("pushdown", &[])?);
        shop.expect([0, 0, 0])?;
        // Sums are kept by a run that reads both sides.
        shop.pintail("stored", &[])?;
        table.add(STORED, shop.pintail("stored", &[])?);
        shop.expect([0, 0, 0])?;
        shop.change(round as u64)?;
        table.add(CHANGED, shop.pintail("stream", &[])?);
        shop.expect([ROWS_MOVED, ROWS_CHANGED, ROWS_MOVED])?;
        shop.delete(3 * round as u64 + 3)?;
        table.add(DELETES, shop.pintail("", &["--deletes"])?);
        shop.expect([0, 0, ROWS_MOVED])?;
        Ok(())
    })?;
    place.remove()?;
    Ok(table)
}

/// Every value of every row is delivered. A count of rows would look at none.
fn scan(server: &Postgres) -> Result<Command> {
    contestant(
        &[extension::POSTGRES],
        &[
            server.attach_as_source(),
            format!("select any_value(columns(*)) from source.{ORDERS}"),
        ],
    )
}

/// The query by which Postgres sums its rows up, and nothing else.
fn grouped_alone(server: &Postgres, sql: &str) -> Result<Sample> {
    let mut psql = Command::new("psql");
    psql.args(["--quiet", "--no-psqlrc", "--command", sql, "--dbname"]);
    psql.arg(server.conninfo(SHOP)).stdout(Stdio::null());
    measure(vec![psql], &[server.process()?])
}

/// Both sides.
struct Compared<'a> {
    server: &'a Postgres,
    place: &'a Workplace,
    rows: u64,
}

impl Compared<'_> {
    /// A run by a strategy of the pipeline; without a name by none.
    fn pintail(&self, strategy: &str, arguments: &[&str]) -> Result<Sample> {
        let pipeline = "name: orders\n\
             source_provider:\n  data_backend: {type: postgres, datastore_name: shop, table: orders, schema: bench}\n\
             destination_provider:\n  data_backend: {type: ducklake, datastore_name: lake, table: orders}\n\
             strategies:\n  - {name: full, type: full}\n  - {name: stream, type: hash, compare: stream}\n\
             \x20 - {name: pushdown, type: hash, compare: pushdown}\n  - {name: stored, type: hash, compare: stored}\n";
        let named = ["--strategy", strategy];
        let named = if strategy.is_empty() {
            &[]
        } else {
            named.as_slice()
        };
        let command = self
            .place
            .run(&datastores(self.server), pipeline, &[named, arguments].concat())?;
        measure(vec![command], &[self.server.process()?])
    }

    /// What the plan of a comparison by pushdown has the source run.
    fn grouped_query(&self) -> Result<String> {
        self.pintail("pushdown", &["--plan"])?;
        let plan = self.place.report()?;
        let statements = plan["partitions"][0]["statements"].as_array();
        let of_source = statements
            .into_iter()
            .flatten()
            .find(|statement| statement["side"] == "source");
        let sql = of_source.and_then(|statement| statement["sql"].as_str());
        Ok(sql
            .context("the plan has no statement for the source")?
            .to_owned())
    }

    /// Changes, deletes and inserts rows. They lie all over the table, and no two rounds meet the same.
    fn change(&self, round: u64) -> Result<()> {
        let changed = self.some(ROWS_CHANGED, 3 * round + 1);
        self.execute(
            &format!("update {ORDERS} set amount = amount + 1 where {changed}"),
            ROWS_CHANGED,
        )?;
        self.delete(3 * round + 2)?;
        let first = self.rows + 1 + round * ROWS_MOVED;
        self.execute(
            &format!(
                "insert into {ORDERS} select {first} + row_number() over () - 1, user_id, status, amount, discount, note, \
                 order_date, updated_at, meta from {ORDERS} limit {ROWS_MOVED}"
            ),
            ROWS_MOVED,
        )
    }

    fn delete(&self, offset: u64) -> Result<()> {
        let gone = self.some(ROWS_MOVED, offset);
        self.execute(&format!("delete from {ORDERS} where {gone}"), ROWS_MOVED)
    }

    /// A condition that so many rows meet.
    fn some(&self, rows: u64, offset: u64) -> String {
        let step = self.rows / ROWS_CHANGED * (ROWS_CHANGED / rows);
        format!("id in (select {offset} + {step} * i from generate_series(0, {rows} - 1) as i)")
    }

    fn execute(&self, sql: &str, rows: u64) -> Result<()> {
        let changed = self.server.execute(SHOP, sql)?;
        ensure!(changed == rows, "{rows} rows were to change, and {changed} did");
        self.server.execute(SHOP, &format!("vacuum (analyze) {ORDERS}"))?;
        Ok(())
    }

    /// Fails unless the last run inserted, updated and deleted so many rows.
    fn expect(&self, counts: [u64; 3]) -> Result<()> {
        let reported = |name| self.place.reported(name);
        let found = [
            reported("rows_inserted")?,
            reported("rows_updated")?,
            reported("rows_deleted")?,
        ];
        ensure!(
            found == counts,
            "{counts:?} rows were to change, and {found:?} did"
        );
        Ok(())
    }
}
