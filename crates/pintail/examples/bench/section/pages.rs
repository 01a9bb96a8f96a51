//! Partitions of pages against partitions of the key, by pipeline files that differ in nothing else.

use anyhow::{Result, ensure};

use super::{Bench, Section};
use crate::measure::{Sample, measure};
use crate::servers::{Postgres, SHOP};
use crate::table::{Bound, Table};

const PAGES: &str = "pintail full, 50 partitions of pages";
const KEYS: &str = "pintail full, 50 partitions of the key";

const BOUNDS: &[Bound] = &[Bound {
    of: PAGES,
    to: KEYS,
    at_most: 1.10,
}];

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows;
    let server = Postgres::start()?;
    server.make_orders(rows)?;
    let mut table = Table::new(Section::Pages.heading(bench, rows), KEYS, BOUNDS);
    bench.rounds(|_| {
        let by_key = ", primary_partitions: [{column: id}]";
        table.add(KEYS, load(bench, &server, rows, by_key)?);
        table.add(PAGES, load(bench, &server, rows, "")?);
        Ok(())
    })?;
    Ok(table)
}

/// A load by a strategy that says so much more than "50 partitions".
fn load(bench: &Bench<'_>, server: &Postgres, rows: u64, more: &str) -> Result<Sample> {
    let datastores = format!(
        "datastores:\n  shop:\n    type: postgres\n    connection: {{host: 127.0.0.1, port: {}, user: postgres, dbname: \
         {SHOP}}}\n  lake:\n    type: ducklake\n    connection: {{catalog: 'sqlite:lake.sqlite', data_path: data}}\n",
        server.port()
    );
    let pipeline = format!(
        "name: orders\n\
         source_provider:\n  data_backend: {{type: postgres, datastore_name: shop, table: orders, schema: bench}}\n\
         destination_provider:\n  data_backend: {{type: ducklake, datastore_name: lake, table: orders}}\n\
         strategies:\n  - {{name: full, type: full, partitions: 50{more}}}\n"
    );
    let place = bench.workplace("load")?;
    let command = place.run(&datastores, &pipeline, &["--no-parity"])?;
    let sample = measure(vec![command], &[server.process()?])?;
    place.expect_rows(rows)?;
    ensure!(
        place.reported("partitions_total")? == 50,
        "the table was not cut into 50 ranges"
    );
    place.remove()?;
    Ok(sample)
}
