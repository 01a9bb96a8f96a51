//! Types that are hard to carry: Postgres → lake.
//!
//! DuckDB's scanner makes a double of an unbounded number. Who wants the number has the server write it as text, over one
//! connection: these are the casts that Pintail makes, too.

use std::process::Command;

use anyhow::Result;
use pintail_lake::extension;

use super::{Bench, Section};
use crate::duckdb_script::{attach_lake, contestant};
use crate::servers::{HARD, Postgres};
use crate::table::{Bound, Table};

const SCAN: &str = "DuckDB scan to nothing, same casts";
const ROUNDED: &str = "DuckDB scan to nothing, numbers rounded";
const INSERT: &str = "DuckDB insert into lake, same casts";
const FULL: &str = "pintail full";
const PARITY: &str = "pintail full, parity";

const BOUNDS: &[Bound] = &[Bound {
    of: FULL,
    to: SCAN,
    at_most: 1.60,
}];

/// With 5,000,000 orders, one million of these.
const ORDERS_A_ROW: u64 = 5;

/// What Pintail is told of the numbers.
const AS_TEXT: [&str; 4] = ["--type", "amount=text", "--type", "ratio=text"];

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows.div_ceil(ORDERS_A_ROW);
    let server = Postgres::start()?;
    server.make_hard(rows)?;
    let by_server = format!(
        "postgres_query('source', 'select id, amount::text as amount, ratio::text as ratio, document, scores, tags, note \
         from {HARD}')"
    );
    let by_scanner = format!(
        "(select id, amount::varchar as amount, ratio::varchar as ratio, document, scores, tags, note from source.{HARD})"
    );
    let mut table = Table::new(Section::Hard.heading(bench, rows), SCAN, BOUNDS);
    bench.rounds(|_| {
        let process = [server.process()?];
        for (name, from) in [(SCAN, &by_server), (ROUNDED, &by_scanner)] {
            table.add(name, bench.script(&process, |_| scan(&server, from))?);
        }
        let insert = bench.script(&process, |place| {
            contestant(
                &[extension::POSTGRES, extension::SQLITE, extension::DUCKLAKE],
                &[
                    server.attach_as_source(),
                    attach_lake(place.folder()),
                    format!("create table lake.hard as select * from {by_server} limit 0"),
                    format!("insert into lake.hard select * from {by_server}"),
                ],
            )
        });
        table.add(INSERT, insert?);
        let without_parity = [AS_TEXT.as_slice(), &["--no-parity"]].concat();
        table.add(FULL, bench.load_of(&server, HARD, &without_parity, rows)?);
        table.add(PARITY, bench.load_of(&server, HARD, &AS_TEXT, rows)?);
        Ok(())
    })?;
    Ok(table)
}

/// Hashing looks at every value, where a count would look at none.
fn scan(server: &Postgres, from: &str) -> Result<Command> {
    contestant(
        &[extension::POSTGRES],
        &[
            server.attach_as_source(),
            format!("select bit_xor(hash(scanned)) from {from} as scanned"),
        ],
    )
}
