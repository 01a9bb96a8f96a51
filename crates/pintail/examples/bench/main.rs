//! `make bench`: Pintail beside what a careful person would script, section by section, in one run.
//!
//! ```text
//! section ─▶ private servers, a table ─▶ rounds: every contestant once ─▶ medians, ratios, bounds
//! ```
//!
//! Every contestant is a process of its own and does the whole job from its start to its end. Contestants of a section take
//! turns, round by round, and medians are compared. CPU is that of the processes and of the servers together. A *bound* is
//! what a ratio, or Pintail's memory, may be at most.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is what the benchmark is for"
)]

mod duckdb_script;
mod measure;
mod options;
mod pintail;
mod section;
mod servers;
mod table;
mod usage;

use anyhow::Result;

use self::options::Options;
use self::section::Bench;
use self::table::Table;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == duckdb_script::COMMAND => duckdb_script::run(rest),
        _ => bench(&Options::parse(&arguments)?),
    }
}

fn bench(options: &Options) -> Result<()> {
    let bench = Bench::new(options)?;
    let mut tables: Vec<Table> = Vec::new();
    for section in &options.sections {
        eprintln!("{}: {}", section.name(), section.title());
        let table = section.run(&bench)?;
        println!("{table}");
        tables.push(table);
    }
    let bounds: Vec<bool> = tables.iter().flat_map(Table::bounds_met).collect();
    println!(
        "{} of {} bounds are met",
        bounds.iter().filter(|met| **met).count(),
        bounds.len()
    );
    Ok(())
}
