//! Orders by user, Postgres → lake: all groups computed anew, and those of changed rows.

use anyhow::{Result, ensure};

use super::{Bench, Section, datastores};
use crate::measure::{Sample, measure};
use crate::pintail::Workplace;
use crate::servers::{ORDERS, Postgres, SHOP};
use crate::table::{Bound, Table};

const FULL: &str = "pintail full, all groups";
const DELTA: &str = "pintail delta, 1 % of the groups changed";

const BOUNDS: &[Bound] = &[Bound {
    of: DELTA,
    to: FULL,
    at_most: 0.15,
}];

const PIPELINE: &str = "name: users
sync_type: aggregate
source_provider:
  data_backend: {type: postgres, datastore_name: shop, table: orders, schema: bench, group_by: [user_id]}
destination_provider:
  data_backend: {type: ducklake, datastore_name: lake, table: users}
column_map:
  - {source: user_id}
  - {source: count(*), dest: orders}
  - {source: sum(amount), dest: amount}
  - {source: max(order_date), dest: newest}
strategies:
  - {name: full, type: full}
  - {name: changes, type: delta, column: updated_at}
";

/// A change touches the groups whose number ends in two chosen digits.
const GROUPS_TO_ONE_CHANGED: usize = 100;

pub(super) fn run(bench: &Bench<'_>) -> Result<Table> {
    let rows = bench.options.rows;
    ensure!(
        bench.options.rounds <= GROUPS_TO_ONE_CHANGED,
        "so many rounds would meet the same groups: give `--rounds` a smaller number"
    );
    let server = Postgres::start()?;
    server.make_orders(rows)?;
    server.execute(SHOP, &format!("create index on {ORDERS} (user_id)"))?;
    let place = bench.workplace("grouped")?;
    let mut table = Table::new(Section::Aggregates.heading(bench, rows), FULL, BOUNDS);
    bench.rounds(|round| {
        table.add(FULL, pintail(&server, &place, "full")?);
        let changed = change(&server, round)?;
        table.add(DELTA, pintail(&server, &place, "changes")?);
        let updated = place.reported("rows_updated")?;
        ensure!(
            updated == changed,
            "{changed} groups were to change, and {updated} did"
        );
        Ok(())
    })?;
    place.remove()?;
    Ok(table)
}

fn pintail(server: &Postgres, place: &Workplace, strategy: &str) -> Result<Sample> {
    let command = place.run(&datastores(server), PIPELINE, &["--strategy", strategy])?;
    measure(vec![command], &[server.process()?])
}

/// Changes one row of each chosen group; returns how many these are.
fn change(server: &Postgres, round: usize) -> Result<u64> {
    let changed = server.execute(
        SHOP,
        &format!(
            "update {ORDERS} set amount = amount + 1, updated_at = now() where id in \
             (select min(id) from {ORDERS} where user_id % {GROUPS_TO_ONE_CHANGED} = {round} group by user_id)"
        ),
    )?;
    server.execute(SHOP, &format!("vacuum (analyze) {ORDERS}"))?;
    Ok(changed)
}
