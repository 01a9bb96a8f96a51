//! A lake → Postgres.

use std::path::Path;

use anyhow::Result;
use pintail_lake::extension;

use super::lake::load_lake;
use super::postgres::forget_copy;
use super::{Bench, Section};
use crate::duckdb_script::{attach_lake, contestant};
use crate::measure::{Sample, measure};
use crate::servers::{COPIES, ORDERS, Postgres};
use crate::table::{Bound, Table};

const INSERT: &str = "DuckDB insert into Postgres";
const FULL: &str = "pintail full";
const PARITY: &str = "pintail full, parity";

const BOUNDS: &[Bound] = &[Bound {
    of: FULL,
    to: INSERT,
    at_most: 1.20,
}];

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows;
    let server = Postgres::start()?;
    server.make_orders(rows)?;
    let lake = bench.workplace("lake")?;
    measure(vec![load_lake(&server, lake.folder())?], &[])?;
    let mut table = Table::new(Section::ToPostgres.heading(bench, rows), INSERT, BOUNDS);
    bench.rounds(|_| {
        table.add(INSERT, insert(&server, lake.folder())?);
        forget_copy(&server, rows)?;
        for (name, arguments) in [(FULL, &["--no-parity"] as &[&str]), (PARITY, &[])] {
            let place = bench.workplace("load")?;
            let to = format!("{}?table=public.orders", server.url(COPIES));
            let command = place.copy(&lake.lake(), ORDERS, &to, arguments)?;
            table.add(name, measure(vec![command], &[server.process()?])?);
            place.expect_rows(rows)?;
            place.remove()?;
            forget_copy(&server, rows)?;
        }
        Ok(())
    })?;
    lake.remove()?;
    Ok(table)
}

fn insert(server: &Postgres, lake: &Path) -> Result<Sample> {
    let script = contestant(
        &[extension::POSTGRES, extension::SQLITE, extension::DUCKLAKE],
        &[
            attach_lake(lake),
            server.attach_to_write(),
            format!("create table copies.public.orders as select * from lake.{ORDERS} limit 0"),
            format!("insert into copies.public.orders select * from lake.{ORDERS}"),
        ],
    )?;
    measure(vec![script], &[server.process()?])
}
