//! DuckDB as a careful person would script it: statements, one after the other, in a process of their own.
//!
//! The engine is set up as Pintail's is, so that both have the same threads and the same memory.

use std::process::Command;

use anyhow::{Context, Result};
use pintail_lake::extension::{self, Extension};
use pintail_lake::{Call, Engine, EngineSettings};

/// The word that makes the benchmark's program one of its contestants.
pub(crate) const COMMAND: &str = "duckdb-script";

/// What a script needs, in the order in which it is loaded.
const EXTENSIONS: &[Extension] = &[
    extension::POSTGRES,
    extension::MYSQL,
    extension::SQLITE,
    extension::DUCKLAKE,
];

/// A contestant that loads `extensions` and runs `statements`.
pub(crate) fn contestant(extensions: &[Extension], statements: &[String]) -> Result<Command> {
    let names: Vec<&str> = extensions.iter().map(|extension| extension.0).collect();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(COMMAND).arg(names.join(",")).args(statements);
    Ok(command)
}

/// The lake in `folder`, attached as `lake`.
pub(crate) fn attach_lake(folder: &std::path::Path) -> String {
    format!(
        "attach 'ducklake:sqlite:{0}/lake.sqlite' as lake (data_path '{0}/data', meta_journal_mode 'WAL')",
        folder.display()
    )
}

/// Is the contestant.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (names, statements) = arguments.split_first().context("a script names extensions")?;
    let engine = Engine::open(&EngineSettings::default())?;
    for needed in EXTENSIONS {
        if names.split(',').any(|name| name == needed.0) {
            engine.load(*needed)?;
        }
    }
    let session = engine.session()?;
    for statement in statements {
        session.batch(Call::new("run a statement of the script"), statement)?;
    }
    Ok(())
}
