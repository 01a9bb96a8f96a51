//! Postgres → lake: full loads, deltas, and runs with nothing to do.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use pintail_lake::extension;

use super::{Bench, Section};
use crate::duckdb_script::{attach_lake, contestant};
use crate::measure::{Sample, measure};
use crate::servers::{ORDERS, Postgres, SHOP};
use crate::table::{Bound, Table};

const ONE_COPY: &str = "COPY binary to nothing, 1 connection";
const TWO_COPIES: &str = "COPY binary to nothing, 2 connections";
const INSERT: &str = "DuckDB insert into lake";
const FULL: &str = "pintail full";
const PARTITIONS: &str = "pintail full, 50 partitions";
const PARITY: &str = "pintail full, parity";
const DELTA: &str = "pintail delta, 1 % changed (with parity)";
const NOTHING: &str = "pintail, nothing to do";
const PLAN: &str = "pintail plan, 1,000 partitions";

const BOUNDS: &[Bound] = &[
    Bound {
        of: FULL,
        to: INSERT,
        at_most: 1.10,
    },
    Bound {
        of: PARTITIONS,
        to: INSERT,
        at_most: 1.30,
    },
];

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows;
    let server = Postgres::start()?;
    server.make_orders(rows)?;
    let mut table = Table::new(Section::Lake.heading(bench, rows), INSERT, BOUNDS);
    let mut read_most = 0.0_f64;
    bench.rounds(|number| {
        let pages = server.number(SHOP, &format!("select pg_relation_size('{ORDERS}') / 8192"))?;
        let half = pages / 2;
        table.add(ONE_COPY, copy_to_nothing(&server, &[String::new()])?);
        let halves = [
            format!("where ctid < '({half},0)'"),
            format!("where ctid >= '({half},0)'"),
        ];
        table.add(TWO_COPIES, copy_to_nothing(&server, &halves)?);
        table.add(INSERT, insert(bench, &server)?);
        let mut load = |name, arguments: &[&str]| -> Result<()> {
            table.add(name, bench.load_of(&server, ORDERS, arguments, rows)?);
            Ok(())
        };
        load(FULL, &["--no-parity"])?;
        load(PARTITIONS, &["--no-parity", "--partitions", "50"])?;
        read_most = read_most.max(followed(bench, &server, &mut table, number)?);
        table.add(PLAN, plan(bench, &server)?);
        Ok(())
    })?;
    table.note(format!(
        "delta: {:.2} × the full load with parity; read {read_most:.3} times the changed rows",
        table.ratio(DELTA, PARITY)
    ));
    Ok(table)
}

fn copy_to_nothing(server: &Postgres, conditions: &[String]) -> Result<Sample> {
    let commands = conditions.iter().map(|condition| {
        let mut psql = Command::new("psql");
        let copy = format!("copy (select * from {ORDERS} {condition}) to stdout (format binary)");
        psql.args(["--quiet", "--no-psqlrc", "--command", &copy, "--dbname"]);
        psql.arg(server.conninfo(SHOP)).stdout(Stdio::null());
        psql
    });
    measure(commands.collect(), &[server.process()?])
}

fn insert(bench: &Bench<'_>, server: &Postgres) -> Result<Sample> {
    bench.script(&[server.process()?], |place| load_lake(server, place.folder()))
}

/// DuckDB's own load of the orders into a lake in `folder`.
pub(super) fn load_lake(server: &Postgres, folder: &Path) -> Result<Command> {
    contestant(
        &[extension::POSTGRES, extension::SQLITE, extension::DUCKLAKE],
        &[
            server.attach_as_source(),
            attach_lake(folder),
            "create schema lake.bench".to_owned(),
            format!("create table lake.{ORDERS} as select * from source.{ORDERS} limit 0"),
            format!("insert into lake.{ORDERS} select * from source.{ORDERS}"),
        ],
    )
}

/// A load that is followed. Returns how many times the changed rows a delta read.
fn followed(bench: &Bench<'_>, server: &Postgres, table: &mut Table, round: usize) -> Result<f64> {
    let place = bench.workplace("followed")?;
    let from = server.url(SHOP);
    let copy = |arguments: &[&str]| -> Result<Sample> {
        let command = place.copy(&from, ORDERS, &place.lake(), arguments)?;
        measure(vec![command], &[server.process()?])
    };
    table.add(PARITY, copy(&[])?);
    let changed = server.execute(
        SHOP,
        &format!(
            "update {ORDERS} set amount = amount + 1, updated_at = clock_timestamp() where id % 100 = {}",
            round % 100
        ),
    )?;
    server.execute(SHOP, &format!("vacuum (analyze) {ORDERS}"))?;
    // A delta looks back 2 seconds: what changed just now would be read again by the run that has nothing to do.
    server.execute(SHOP, "select pg_sleep(2.5)")?;
    table.add(DELTA, copy(&[])?);
    let read = place.reported("rows_processed")?;
    table.add(NOTHING, copy(&[])?);
    ensure!(
        place.reported("rows_processed")? == 0,
        "a run with nothing to do processed rows"
    );
    place.remove()?;
    #[expect(clippy::cast_precision_loss, reason = "a ratio of row counts")]
    Ok(read as f64 / changed.max(1) as f64)
}

fn plan(bench: &Bench<'_>, server: &Postgres) -> Result<Sample> {
    let place = bench.workplace("plan")?;
    let arguments = &["--plan", "--partitions", "1000"];
    let command = place.copy(&server.url(SHOP), ORDERS, &place.lake(), arguments)?;
    let sample = measure(vec![command], &[server.process()?])?;
    place.remove()?;
    Ok(sample)
}
