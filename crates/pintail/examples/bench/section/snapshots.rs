//! Snapshots of a DuckDB file, beside a plain Parquet copy, a table filled from one, and `sha256sum`; and of a lake with the
//! same table.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use pintail_lake::extension;

use super::{Bench, Section};
use crate::duckdb_script::{attach_lake, contestant};
use crate::measure::measure;
use crate::pintail::Workplace;
use crate::table::{Bound, Limit, Table};

const COPY: &str = "DuckDB copy to Parquet, zstd";
const CREATE: &str = "pintail snapshot create --no-readback";
const PROVEN: &str = "pintail snapshot create";
const SAME: &str = "pintail snapshot create, nothing changed";
const FILL: &str = "DuckDB create table, filled from Parquet";
const RESTORE: &str = "pintail snapshot restore";
const SHA: &str = "sha256sum";
const VERIFY: &str = "pintail snapshot verify";
const PIN: &str = "pintail snapshot create, a lake";
const SAME_PIN: &str = "pintail snapshot create, unchanged lake";

/// How long a second snapshot of an unchanged lake table may take.
const LIMITS: &[Limit] = &[Limit {
    of: SAME_PIN,
    seconds_at_most: 0.15,
}];

const BOUNDS: &[Bound] = &[
    Bound {
        of: CREATE,
        to: COPY,
        at_most: 1.6,
    },
    Bound {
        of: PROVEN,
        to: COPY,
        at_most: 2.2,
    },
    Bound {
        of: SAME,
        to: COPY,
        at_most: 0.6,
    },
    Bound {
        of: RESTORE,
        to: FILL,
        at_most: 1.5,
    },
    Bound {
        of: VERIFY,
        to: SHA,
        at_most: 1.0 / 0.7,
    },
];

/// The table, with what Parquet loses of it.
const ORDERS: &str = "orders (id bigint primary key, status varchar not null, amount decimal(10, 2), note varchar, \
                      updated_at timestamp, number integer)";

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows;
    let place = bench.workplace("snapshots")?;
    run_once(contestant(&[], &[
        format!("attach '{}' as shop", file(&place, "shop.duckdb")),
        format!("create table shop.{ORDERS}"),
        format!(
            "insert into shop.orders
             select i, case i % 3 when 0 then 'new' else 'paid' end, (i % 100000) / 100.0,
               case when i % 7 = 0 then 'gift ' || hash(i) end, timestamp '2026-01-01' + to_seconds(i), hash(i) % 1000000
             from range({rows}) as r (i)"
        ),
    ])?)?;
    run_once(contestant(
        &[extension::SQLITE, extension::DUCKLAKE],
        &[
            attach_lake(place.folder()),
            format!("attach '{}' as shop (read_only)", file(&place, "shop.duckdb")),
            "create table lake.main.orders as from shop.orders".to_owned(),
        ],
    )?)?;
    let mut table = Table::new(Section::Snapshots.heading(bench, rows), COPY, BOUNDS).with_limits(LIMITS);
    let (mut unchanged_bytes, mut pinned_bytes) = (0, 0);
    bench.rounds(|number| {
        let parquet = file(&place, "plain.parquet");
        let attach = format!("attach '{}' as shop (read_only)", file(&place, "shop.duckdb"));
        let copy = format!("copy shop.orders to '{parquet}' (format parquet, compression zstd)");
        table.add(COPY, measure(vec![contestant(&[], &[attach, copy])?], &[])?);
        let create = |project: &str, arguments: &[&str]| {
            snapshot(
                bench,
                &place,
                project,
                &[&["create", "--database", "shop.duckdb"], arguments].concat(),
            )
        };
        let unproven = format!("unproven-{number}");
        let proven = format!("proven-{number}");
        table.add(CREATE, measure(vec![create(&unproven, &["--no-readback"])], &[])?);
        table.add(PROVEN, measure(vec![create(&proven, &["--id", "first"])], &[])?);
        table.add(SAME, measure(vec![create(&proven, &["--id", "second"])], &[])?);
        unchanged_bytes = size_of_manifest(&place, &proven)?;

        let filled = file(&place, "filled.duckdb");
        let fill = [
            format!("attach '{filled}' as filled"),
            format!("create table filled.{ORDERS}"),
            format!("insert into filled.orders select * from '{parquet}'"),
        ];
        table.add(FILL, measure(vec![contestant(&[], &fill)?], &[])?);
        std::fs::remove_file(&filled)?;
        let restore = ["restore", "first", "--database", "restored.duckdb"];
        table.add(
            RESTORE,
            measure(vec![snapshot(bench, &place, &proven, &restore)], &[])?,
        );
        std::fs::remove_file(file(&place, "restored.duckdb"))?;

        let kept = format!("snapshots/{proven}/first/main.orders.parquet");
        let mut sha = Command::new("sha256sum");
        sha.arg(file(&place, &kept)).stdout(Stdio::null());
        table.add(SHA, measure(vec![sha], &[])?);
        let verify = snapshot(bench, &place, &proven, &["verify", "first"]);
        table.add(VERIFY, measure(vec![verify], &[])?);
        let address = format!(
            "ducklake:sqlite:{0}/lake.sqlite?data_path={0}/data",
            place.folder().display()
        );
        let pinned = format!("pinned-{number}");
        let pin = |id| {
            snapshot(
                bench,
                &place,
                &pinned,
                &["create", "--database", &address, "--id", id],
            )
        };
        table.add(PIN, measure(vec![pin("first")], &[])?);
        table.add(SAME_PIN, measure(vec![pin("second")], &[])?);
        pinned_bytes = size_of_manifest(&place, &pinned)?;
        std::fs::remove_dir_all(place.folder().join("snapshots"))?;
        Ok(())
    })?;
    table.note(format!(
        "a snapshot of what did not change takes {unchanged_bytes} bytes beside what it shares"
    ));
    table.note(format!("one of an unchanged lake takes {pinned_bytes} bytes"));
    place.remove()?;
    Ok(table)
}

fn file(place: &Workplace, name: &str) -> String {
    place.folder().join(name).display().to_string()
}

fn run_once(mut command: Command) -> Result<()> {
    let status = command.status()?;
    status.success().then_some(()).context("the table cannot be made")
}

/// `pintail snapshot`, in the folder of the place.
fn snapshot(bench: &Bench<'_>, place: &Workplace, project: &str, arguments: &[&str]) -> Command {
    let binary = std::path::absolute(&bench.options.binary).unwrap_or_else(|_| bench.options.binary.clone());
    let mut command = Command::new(binary);
    command
        .arg("snapshot")
        .args(arguments)
        .args(["--project", project])
        .current_dir(place.folder())
        .stdout(Stdio::null());
    command
}

/// What the second snapshot of a project has for itself.
fn size_of_manifest(place: &Workplace, project: &str) -> Result<u64> {
    let manifest = Path::new("snapshots").join(project).join("second/metadata.json");
    Ok(std::fs::metadata(place.folder().join(manifest))?.len())
}
