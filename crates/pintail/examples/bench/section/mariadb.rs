//! MariaDB → lake.

use anyhow::Result;
use pintail_lake::extension;

use super::{Bench, Section};
use crate::duckdb_script::{attach_lake, contestant};
use crate::measure::{Sample, measure};
use crate::servers::MariaDb;
use crate::table::{Bound, Table};

const INSERT: &str = "DuckDB insert into lake";
const UNCOMPRESSED: &str = "DuckDB insert into lake, uncompressed";
const FULL: &str = "pintail full";
const PARITY: &str = "pintail full, parity";

// DuckDB's scanner has the server compress what it sends, unless told otherwise. The bound holds beside both.
const BOUNDS: &[Bound] = &[
    Bound {
        of: FULL,
        to: INSERT,
        at_most: 1.10,
    },
    Bound {
        of: FULL,
        to: UNCOMPRESSED,
        at_most: 1.10,
    },
];

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows;
    let server = MariaDb::start()?;
    let database = server.make_orders(rows);
    let mut table = Table::new(Section::MariaDb.heading(bench, rows), INSERT, BOUNDS);
    bench.rounds(|_| {
        table.add(INSERT, insert(bench, &server, database.name(), "")?);
        let compression = " compression=disabled";
        table.add(
            UNCOMPRESSED,
            insert(bench, &server, database.name(), compression)?,
        );
        for (name, arguments) in [(FULL, &["--no-parity"] as &[&str]), (PARITY, &[])] {
            let place = bench.workplace("load")?;
            let command = place.copy(&database.url(), "orders", &place.lake(), arguments)?;
            table.add(name, measure(vec![command], &[server.process()?])?);
            place.expect_rows(rows)?;
            place.remove()?;
        }
        Ok(())
    })?;
    Ok(table)
}

fn insert(bench: &Bench<'_>, server: &MariaDb, database: &str, compression: &str) -> Result<Sample> {
    bench.script(&[server.process()?], |place| {
        contestant(
            &[extension::MYSQL, extension::SQLITE, extension::DUCKLAKE],
            &[
                format!(
                    "attach 'host=127.0.0.1 port={} user=root database={database}{compression}' as source (type mysql, read_only)",
                    server.port()
                ),
                attach_lake(place.folder()),
                "create table lake.orders as select * from source.orders limit 0".to_owned(),
                "insert into lake.orders select * from source.orders".to_owned(),
            ],
        )
    })
}
