//! Runs of Pintail, each with a state of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where Pintail works: its state and its reports.
pub(crate) struct Workplace {
    folder: PathBuf,
    binary: PathBuf,
}

impl Workplace {
    /// A new one.
    pub(crate) fn new(folder: PathBuf, binary: &Path) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            binary: binary.to_path_buf(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The URL of a lake in its folder.
    pub(crate) fn lake(&self) -> String {
        format!(
            "ducklake:sqlite:{0}/lake.sqlite?data_path={0}/data",
            self.folder.display()
        )
    }

    /// `pintail copy`.
    pub(crate) fn copy(&self, from: &str, table: &str, to: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(&self.binary);
        command.args(["copy", from, table, to, "--json"]).args(arguments);
        command.arg("--state-dir").arg(self.folder.join("state"));
        self.reporting(command)
    }

    /// `pintail run`, of a pipeline file with the datastores that it names.
    pub(crate) fn run(&self, datastores: &str, pipeline: &str, arguments: &[&str]) -> Result<Command> {
        std::fs::write(self.folder.join("datastores.yaml"), datastores)?;
        std::fs::write(self.folder.join("pipeline.yaml"), pipeline)?;
        let mut command = Command::new(&self.binary);
        command.args(["run", "--json", "--config"]);
        command.arg(self.folder.join("pipeline.yaml")).args(arguments);
        self.reporting(command)
    }

    fn reporting(&self, mut command: Command) -> Result<Command> {
        command.stdout(std::fs::File::create(self.folder.join("report.json"))?);
        Ok(command)
    }

    /// What the last run reported, or the last plan.
    pub(crate) fn report(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&std::fs::read(
            self.folder.join("report.json"),
        )?)?)
    }

    /// A number of the last run's report.
    pub(crate) fn reported(&self, name: &str) -> Result<u64> {
        let report = self.report()?;
        report[name]
            .as_u64()
            .with_context(|| format!("the report has no number `{name}`"))
    }

    /// Fails unless the last run read that many rows.
    pub(crate) fn expect_rows(&self, rows: u64) -> Result<()> {
        let read = self.reported("rows_processed")?;
        ensure!(read == rows, "{rows} rows were to be read, and {read} were");
        Ok(())
    }

    /// Removes it with all that is in it.
    pub(crate) fn remove(self) -> Result<()> {
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }
}
