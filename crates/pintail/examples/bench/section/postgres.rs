//! Postgres → Postgres, from one database of a server to another.

use std::process::Command;

use anyhow::{Result, ensure};
use pintail_lake::extension;

use super::{Bench, Section};
use crate::duckdb_script::contestant;
use crate::measure::{Sample, measure};
use crate::servers::{COPIES, ORDERS, Postgres, SHOP};
use crate::table::{Bound, Table};

const COPY: &str = "COPY binary piped into COPY";
const COPY_AND_KEY: &str = "COPY binary piped into COPY, then the key";
const INSERT: &str = "DuckDB insert into Postgres";
const FULL: &str = "pintail full";
const PARITY: &str = "pintail full, parity";

const BOUNDS: &[Bound] = &[Bound {
    of: FULL,
    to: COPY,
    at_most: 2.40,
}];

/// Makes the table that a script fills.
const MAKE: &str = "create table public.orders (id bigint not null, user_id int not null, status text not null, \
     amount numeric(12, 2) not null, discount numeric(12, 2), note text, order_date timestamptz not null, \
     updated_at timestamptz not null, meta jsonb)";

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows;
    let server = Postgres::start()?;
    server.make_orders(rows)?;
    let mut table = Table::new(Section::Postgres.heading(bench, rows), COPY, BOUNDS);
    bench.rounds(|_| {
        table.add(COPY, filled(&server, rows, || Ok(piped(&server, "")))?);
        let key = "alter table public.orders add primary key (id)";
        table.add(COPY_AND_KEY, filled(&server, rows, || Ok(piped(&server, key)))?);
        table.add(INSERT, filled(&server, rows, || insert(&server))?);
        for (name, arguments) in [(FULL, &["--no-parity"] as &[&str]), (PARITY, &[])] {
            table.add(name, load(bench, &server, rows, arguments)?);
        }
        Ok(())
    })?;
    Ok(table)
}

/// A script that fills the table.
fn filled(server: &Postgres, rows: u64, command: impl FnOnce() -> Result<Command>) -> Result<Sample> {
    server.execute(COPIES, MAKE)?;
    let sample = measure(vec![command()?], &[server.process()?])?;
    forget_copy(server, rows)?;
    Ok(sample)
}

fn piped(server: &Postgres, afterwards: &str) -> Command {
    let psql = "psql --quiet --no-psqlrc --set ON_ERROR_STOP=1";
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!(
        "{psql} --dbname '{}' --command 'copy {ORDERS} to stdout (format binary)' \
         | {psql} --dbname '{}' --command 'copy public.orders from stdin (format binary)' --command '{afterwards}'",
        server.conninfo(SHOP),
        server.conninfo(COPIES)
    ));
    shell
}

fn insert(server: &Postgres) -> Result<Command> {
    contestant(
        &[extension::POSTGRES],
        &[
            server.attach_as_source(),
            server.attach_to_write(),
            format!("insert into copies.public.orders select * from source.{ORDERS}"),
        ],
    )
}

fn load(bench: &Bench<'_>, server: &Postgres, rows: u64, arguments: &[&str]) -> Result<Sample> {
    let place = bench.workplace("load")?;
    let to = format!("{}?table=public.orders", server.url(COPIES));
    let command = place.copy(&server.url(SHOP), ORDERS, &to, arguments)?;
    let sample = measure(vec![command], &[server.process()?])?;
    place.expect_rows(rows)?;
    place.remove()?;
    forget_copy(server, rows)?;
    Ok(sample)
}

/// Takes the copy away, for the next contestant to find nothing. Fails if it is not whole.
pub(super) fn forget_copy(server: &Postgres, rows: u64) -> Result<()> {
    let found = server.number(COPIES, "select count(*) from public.orders")?;
    ensure!(
        u64::try_from(found)? == rows,
        "{rows} rows were to be copied, and {found} were"
    );
    server.execute(COPIES, "drop table public.orders")?;
    // What one contestant left to be written does not slow the next one down.
    server.execute(COPIES, "checkpoint")?;
    Ok(())
}
