//! A folder with a shop, a lake and their configuration, and the binary run in it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insta::internals::SettingsBindDropGuard;
use tempfile::TempDir;

/// What a user types for the lake of a [`Project`].
pub(crate) const LAKE: &str = "ducklake:sqlite:lake.sqlite?data_path=lake";

/// A folder that goes away with the test. While it exists, snapshots show neither paths nor times.
pub(crate) struct Project {
    folder: TempDir,
    _filters: SettingsBindDropGuard,
}

/// What a command printed, and how it ended.
pub(crate) struct Seen {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pintail-it-")
            .tempdir()
            .expect("a temporary folder");
        let mut settings = insta::Settings::clone_current();
        for (pattern, shown) in [
            (regex_of(folder.path()).as_str(), "[FOLDER]"),
            (r"\d{8}_\d{6}_[0-9a-f]{6}", "[RUN]"),
            (r"-(\d{6})-[0-9a-f]{8}-", "-${1}-[WORD]-"),
            (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z", "[TIME]"),
            (r"\b\d+(\.\d+)? (ms|s)\b", "[DURATION]"),
            (r"copy_([a-z]+)_[0-9a-f]{8}", "copy_${1}_[HASH]"),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
            (
                r"(Operation not permitted|Permission denied) \(os error \d+\)",
                "[REFUSED]",
            ),
            (r"port='?\d+'?", "port=[PORT]"),
            (r"port \d+", "port [PORT]"),
            (r"process \d+", "process [PID]"),
        ] {
            settings.add_filter(pattern, shown);
        }
        Self {
            folder,
            _filters: settings.bind_to_scope(),
        }
    }

    /// A folder with a shop of that many orders, and a pipeline that copies them.
    pub(crate) fn with_shop(orders: u32) -> Self {
        let project = Self::empty();
        project.execute(&format!(
            "create table orders (
                 id integer primary key,
                 status text not null,
                 amount decimal(10, 2) not null,
                 note text,
                 updated_at timestamp not null,
                 change_number integer not null
             );
             create index orders_change_number on orders (change_number);
             with recursive numbers (i) as (
                 select 1 union all select i + 1 from numbers where i < {orders}
             )
             insert into orders
             select i, case i % 3 when 0 then 'new' else 'paid' end, (100 + i % 9000) / 100.0,
                 case when i % 7 = 0 then 'gift' end, datetime('2026-01-01', '+' || i || ' seconds'), i
             from numbers"
        ));
        project.write_pipeline(PIPELINE);
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file in a temporary folder");
    }

    /// Writes a pipeline, and the datastores of every project.
    pub(crate) fn write_pipeline(&self, text: &str) {
        self.write("datastores.yaml", DATASTORES);
        self.write("pipeline.yaml", text);
    }

    /// Writes the pipeline with one part of it replaced.
    pub(crate) fn change_pipeline(&self, from: &str, to: &str) {
        let pipeline = std::fs::read_to_string(self.path("pipeline.yaml")).expect("the pipeline");
        assert!(pipeline.contains(from), "the pipeline has no `{from}`");
        self.write("pipeline.yaml", &pipeline.replace(from, to));
    }

    /// Runs statements in the shop.
    pub(crate) fn execute(&self, statements: &str) {
        self.execute_in("shop.db", statements);
    }

    /// Runs statements in a SQLite file, and closes it again.
    pub(crate) fn execute_in(&self, name: &str, statements: &str) {
        let file = rusqlite::Connection::open(self.path(name)).expect("a SQLite file");
        file.execute_batch(statements)
            .unwrap_or_else(|error| panic!("cannot execute `{statements}`: {error}"));
    }

    /// The binary with its arguments, in the folder and in an environment that says nothing of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pintail"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .env_remove("PINTAIL_LOG_LEVEL")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn pintail(&self, arguments: &[&str]) -> Seen {
        Seen::of(&mut self.command(arguments))
    }

    /// Runs the binary, which has to succeed.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Seen {
        let seen = self.pintail(arguments);
        assert_eq!(seen.code, Some(0), "{}\n{seen}", arguments.join(" "));
        seen
    }

    /// One value from the lake.
    #[track_caller]
    pub(crate) fn ask(&self, query: &str) -> String {
        let seen = self.succeed(&["sql", LAKE, query, "--format", "csv"]);
        seen.stdout.lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    /// The number of the lake's newest snapshot.
    #[track_caller]
    pub(crate) fn snapshot(&self) -> String {
        self.ask("from lake.current_snapshot()")
    }
}

impl Seen {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the binary starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the binary prints UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

fn regex_of(path: &Path) -> String {
    path.to_string_lossy().replace('.', "\\.")
}

const DATASTORES: &str = "\
datastores:
  shop: {type: sqlite, connection: {path: shop.db}}
  lake: {type: ducklake, connection: {catalog: 'sqlite:lake.sqlite', data_path: lake}}
";

const PIPELINE: &str = "\
name: orders
source_provider:
  data_backend: {type: sqlite, datastore_name: shop, table: orders}
destination_provider:
  data_backend: {type: ducklake, datastore_name: lake, schema: shop, table: orders}
strategies:
  - name: changes
    type: delta
    column: change_number
    primary_partitions: [{column: change_number, step: 1000}]
  - {name: everything, type: full}
";
