//! The sections: one pair of source and destination each, with its contestants and bounds.

mod aggregates;
mod compare;
mod hard;
mod lake;
mod mariadb;
mod pages;
mod postgres;
mod snapshots;
mod to_postgres;

use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::measure::{Sample, measure};
use crate::options::Options;
use crate::pintail::Workplace;
use crate::servers::{Postgres, SHOP};
use crate::table::Table;

/// A part of the benchmark that can be run alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Postgres → lake, full loads and deltas.
    Lake,
    /// The same in partitions: pages against keys.
    Pages,
    /// MariaDB → lake.
    MariaDb,
    /// Postgres → Postgres.
    Postgres,
    /// Lake → Postgres.
    ToPostgres,
    /// Types that are hard to carry, Postgres → lake.
    Hard,
    /// Comparisons, Postgres against a lake.
    Compare,
    /// Groups of rows, Postgres → lake.
    Aggregates,
    /// Snapshots of a DuckDB file.
    Snapshots,
}

impl Section {
    pub(crate) const ALL: [Self; 9] = [
        Self::Lake,
        Self::Pages,
        Self::MariaDb,
        Self::Postgres,
        Self::ToPostgres,
        Self::Hard,
        Self::Compare,
        Self::Aggregates,
        Self::Snapshots,
    ];

    /// What `--only` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lake => "lake",
            Self::Pages => "pages",
            Self::MariaDb => "mariadb",
            Self::Postgres => "postgres",
            Self::ToPostgres => "to-postgres",
            Self::Hard => "hard",
            Self::Compare => "compare",
            Self::Aggregates => "aggregates",
            Self::Snapshots => "snapshots",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Lake => "Postgres → lake",
            Self::Pages => "Postgres → lake, in partitions",
            Self::MariaDb => "MariaDB → lake",
            Self::Postgres => "Postgres → Postgres",
            Self::ToPostgres => "lake → Postgres",
            Self::Hard => "Postgres → lake, a table of unbounded numbers, documents, arrays and texts",
            Self::Compare => "comparisons, Postgres against a lake",
            Self::Aggregates => "groups of rows, Postgres → lake",
            Self::Snapshots => "snapshots of a DuckDB file and of a lake",
        }
    }

    pub(crate) fn run(self, bench: &Bench<'_>) -> Result<Table> {
        match self {
            Self::Lake => lake::run(bench),
            Self::Pages => pages::run(bench),
            Self::MariaDb => mariadb::run(bench),
            Self::Postgres => postgres::run(bench),
            Self::ToPostgres => to_postgres::run(bench),
            Self::Hard => hard::run(bench),
            Self::Compare => compare::run(bench),
            Self::Aggregates => aggregates::run(bench),
            Self::Snapshots => snapshots::run(bench),
        }
    }

    fn heading(self, bench: &Bench<'_>, rows: u64) -> String {
        format!(
            "{}, {rows} rows, medians of {} interleaved rounds",
            self.title(),
            bench.options.rounds
        )
    }
}

/// What all sections share.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    folder: TempDir,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(options: &'a Options) -> Result<Self> {
        Ok(Self {
            options,
            folder: TempDir::new()?,
        })
    }

    /// Runs a round as often as was asked for.
    fn rounds(&self, mut round: impl FnMut(usize) -> Result<()>) -> Result<()> {
        for number in 0..self.options.rounds {
            eprintln!("  round {} of {} …", number + 1, self.options.rounds);
            round(number)?;
        }
        Ok(())
    }

    /// A folder for one contestant of one round.
    fn workplace(&self, name: &str) -> Result<Workplace> {
        Workplace::new(self.folder.path().join(name), &self.options.binary)
    }

    /// A full load from Postgres into a lake that goes afterwards.
    fn load_of(&self, server: &Postgres, table: &str, arguments: &[&str], rows: u64) -> Result<Sample> {
        let place = self.workplace("load")?;
        let command = place.copy(&server.url(SHOP), table, &place.lake(), arguments)?;
        let sample = measure(vec![command], &[server.process()?])?;
        place.expect_rows(rows)?;
        place.remove()?;
        Ok(sample)
    }

    /// A contestant with a folder of its own that goes afterwards.
    fn script(&self, servers: &[u32], command: impl FnOnce(&Workplace) -> Result<Command>) -> Result<Sample> {
        let place = self.workplace("script")?;
        let sample = measure(vec![command(&place)?], servers)?;
        place.remove()?;
        Ok(sample)
    }
}

/// The datastores of a pipeline from `shop`, the database of the orders, into `lake`, which lies beside the file.
fn datastores(server: &Postgres) -> String {
    format!(
        "datastores:\n  shop:\n    type: postgres\n    connection: {{host: 127.0.0.1, port: {}, user: postgres, dbname: {SHOP}}}\n\
         \x20 lake:\n    type: ducklake\n    connection: {{catalog: 'sqlite:lake.sqlite', data_path: data}}\n",
        server.port()
    )
}
