//! `make bench`: Pintail beside what a careful person would script, on one table, in one run.
//!
//! A private Postgres gets the table of `bench/orders.sql`. Every contestant is a process of its own and does the
//! whole job from its start to its end; contestants take turns, round by round, and medians are compared. CPU is
//! that of the process and of Postgres together.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is what the benchmark is for"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use pintail_lake::connector::Attachment;
use pintail_lake::{Call, Engine, EngineSettings, extension};
use pintail_model::Secret;
use pintail_testkit::{PostgresOptions, PostgresServer};

const DATABASE: &str = "bench";
const TABLE: &str = "bench.orders";

const PAGE_PARTITIONS: &str = "pintail full, 50 partitions of pages";
const KEY_PARTITIONS: &str = "pintail full, 50 partitions of the key";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("duckdb-insert") => duckdb_insert(&arguments[1], Path::new(&arguments[2])),
        _ => bench(&Options::parse(&arguments)?),
    }
}

struct Options {
    rows: u64,
    rounds: usize,
    binary: PathBuf,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            rows: 5_000_000,
            rounds: 3,
            binary: PathBuf::from("target/debug/pintail"),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().with_context(|| format!("`{name}` needs a value"))?;
            match name.as_str() {
                "--rows" => options.rows = value.parse().context("`--rows` takes a number")?,
                "--rounds" => options.rounds = value.parse().context("`--rounds` takes a number")?,
                "--binary" => options.binary = PathBuf::from(value),
                _ => bail!("unknown option `{name}`: there are --rows, --rounds and --binary"),
            }
        }
        ensure!(
            options.binary.exists(),
            "`{}` is missing: run `cargo build -p pintail`",
            options.binary.display()
        );
        Ok(options)
    }
}

/// What one run of one contestant took.
#[derive(Clone, Copy)]
struct Sample {
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

/// A contestant and its samples, one a round.
struct Contestant {
    name: &'static str,
    samples: Vec<Sample>,
}

fn bench(options: &Options) -> Result<()> {
    let server = PostgresOptions::default()
        .with_setting("shared_buffers", "1GB")
        .with_setting("max_wal_size", "4GB")
        .start()?;
    server.create_database(DATABASE);
    eprintln!("making {} rows …", options.rows);
    let sql = include_str!("../../../bench/orders.sql").replace("{rows}", &options.rows.to_string());
    server.client(DATABASE).batch_execute(&sql)?;
    server
        .client(DATABASE)
        .batch_execute("vacuum (analyze) bench.orders")?;
    let postmaster = Postmaster::of(&server)?;

    let folder = tempfile::tempdir()?;
    let names = [
        "COPY binary to nothing, 1 connection",
        "COPY binary to nothing, 2 connections",
        "DuckDB insert into lake",
        "pintail full",
        PAGE_PARTITIONS,
        KEY_PARTITIONS,
        "pintail full, parity",
        "pintail delta, 1 % changed",
        "pintail, nothing to do",
        "pintail plan, 1,000 partitions",
    ];
    let mut contestants: Vec<Contestant> = names
        .iter()
        .map(|name| Contestant {
            name,
            samples: Vec::new(),
        })
        .collect();
    let mut read_ratio = Vec::new();
    for round in 0..options.rounds {
        eprintln!("round {} of {} …", round + 1, options.rounds);
        let run = Run {
            options,
            server: &server,
            postmaster: &postmaster,
            folder: folder.path(),
            round,
        };
        let (samples, ratio) = run.all()?;
        for (contestant, sample) in contestants.iter_mut().zip(samples) {
            contestant.samples.push(sample);
        }
        read_ratio.push(ratio);
    }
    print(options, &contestants, &read_ratio);
    Ok(())
}

/// One round.
struct Run<'a> {
    options: &'a Options,
    server: &'a PostgresServer,
    postmaster: &'a Postmaster,
    folder: &'a Path,
    round: usize,
}

impl Run<'_> {
    fn all(&self) -> Result<(Vec<Sample>, f64)> {
        let pages: i64 = self
            .server
            .client(DATABASE)
            .query_one("select pg_relation_size('bench.orders') / 8192", &[])?
            .get(0);
        let half = pages / 2;
        let mut samples = vec![
            self.copy_to_nothing(&[String::new()])?,
            self.copy_to_nothing(&[
                format!("where ctid < '({half},0)'"),
                format!("where ctid >= '({half},0)'"),
            ])?,
        ];
        let lake = self.folder.join(format!("duckdb-{}", self.round));
        let mut insert = Command::new(std::env::current_exe()?);
        insert.arg("duckdb-insert").arg(self.conninfo()).arg(&lake);
        samples.push(self.measure(vec![insert])?);
        std::fs::remove_dir_all(&lake)?;

        samples.push(self.pintail("full", &["--no-parity"])?);
        samples.push(self.pintail("many", &["--no-parity", "--partitions", "50"])?);
        samples.push(self.pintail_by_key("by-key")?);
        samples.push(self.pintail("parity", &[])?);

        let changed = self.server.client(DATABASE).execute(
            &format!(
                "update {TABLE} set amount = amount + 1, updated_at = clock_timestamp() where id % 100 = {}",
                self.round % 100
            ),
            &[],
        )?;
        self.server
            .client(DATABASE)
            .batch_execute(&format!("vacuum (analyze) {TABLE}"))?;
        // A delta looks back 2 seconds: what changed just now would be read again by the run that has nothing to do.
        self.server
            .client(DATABASE)
            .batch_execute("select pg_sleep(2.5)")?;
        samples.push(self.pintail("parity", &[])?);
        let read = self.report("parity")?["rows_processed"]
            .as_u64()
            .context("a report says how many rows it processed")?;
        samples.push(self.pintail("parity", &[])?);
        ensure!(
            self.report("parity")?["rows_processed"] == 0,
            "a run with nothing to do processed rows"
        );
        samples.push(self.pintail("full", &["--plan", "--partitions", "1000"])?);
        for name in ["full", "many", "by-key", "parity"] {
            std::fs::remove_dir_all(self.folder.join(format!("{name}-{}", self.round)))?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a ratio of row counts")]
        Ok((samples, read as f64 / changed.max(1) as f64))
    }

    fn conninfo(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user=postgres dbname={DATABASE}",
            self.server.port()
        )
    }

    fn copy_to_nothing(&self, conditions: &[String]) -> Result<Sample> {
        let commands = conditions.iter().map(|condition| {
            let mut psql = Command::new("psql");
            let copy = format!("copy (select * from {TABLE} {condition}) to stdout (format binary)");
            psql.args([
                "--quiet",
                "--no-psqlrc",
                "--command",
                &copy,
                "--dbname",
                &self.conninfo(),
            ]);
            psql
        });
        self.measure(commands.collect())
    }

    fn pintail(&self, name: &str, arguments: &[&str]) -> Result<Sample> {
        let folder = self.folder.join(format!("{name}-{}", self.round));
        let lake = format!(
            "ducklake:sqlite:{0}/lake.sqlite?data_path={0}/data",
            folder.display()
        );
        let mut command = Command::new(&self.options.binary);
        command
            .arg("copy")
            .arg(self.server.url(DATABASE))
            .arg(TABLE)
            .arg(lake)
            .arg("--json");
        command
            .arg("--state-dir")
            .arg(folder.join("state"))
            .args(arguments);
        std::fs::create_dir_all(&folder)?;
        command.stdout(std::fs::File::create(self.report_path(name))?);
        self.measure(vec![command])
    }

    /// The same full load by a pipeline file, which cuts by ranges of the key.
    fn pintail_by_key(&self, name: &str) -> Result<Sample> {
        let folder = self.folder.join(format!("{name}-{}", self.round));
        std::fs::create_dir_all(&folder)?;
        let datastores = format!(
            "datastores:\n  shop:\n    type: postgres\n    connection: {{host: 127.0.0.1, port: {}, user: postgres, dbname: \
             {DATABASE}}}\n  lake:\n    type: ducklake\n    connection: {{catalog: 'sqlite:lake.sqlite', data_path: data}}\n",
            self.server.port()
        );
        let pipeline = "name: by_key\n\
             source_provider:\n  data_backend: {type: postgres, datastore_name: shop, table: orders, schema: bench}\n\
             destination_provider:\n  data_backend: {type: ducklake, datastore_name: lake, table: orders}\n\
             strategies:\n  - {name: full, type: full, partitions: 50, primary_partitions: [{column: id}]}\n";
        std::fs::write(folder.join("datastores.yaml"), datastores)?;
        std::fs::write(folder.join("pipeline.yaml"), pipeline)?;
        let mut command = Command::new(&self.options.binary);
        command
            .args(["run", "--no-parity", "--json", "--config"])
            .arg(folder.join("pipeline.yaml"))
            .stdout(std::fs::File::create(self.report_path(name))?);
        let sample = self.measure(vec![command])?;
        ensure!(
            self.report(name)?["partitions_total"] == 50,
            "the key was not cut into 50 ranges"
        );
        Ok(sample)
    }

    fn report_path(&self, name: &str) -> PathBuf {
        self.folder
            .join(format!("{name}-{}", self.round))
            .join("report.json")
    }

    fn report(&self, name: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&std::fs::read(self.report_path(name))?)?)
    }

    /// Runs commands side by side and waits for all of them.
    fn measure(&self, commands: Vec<Command>) -> Result<Sample> {
        let postgres_before = self.postmaster.cpu_seconds()?;
        let started_at = Instant::now();
        let mut children = Vec::new();
        for mut command in commands {
            // Reports go to a file that was set before; everything else goes to nothing.
            if command.get_program() == "psql" {
                command.stdout(Stdio::null());
            }
            children.push((
                command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn()?,
                command,
            ));
        }
        let (mut cpu_seconds, mut peak_mib) = (0.0, 0.0_f64);
        for (child, command) in children {
            let (usage, status, errors) = wait(child)?;
            ensure!(status == 0, "{command:?} failed with {status}: {errors}");
            cpu_seconds += usage.0;
            peak_mib = peak_mib.max(usage.1);
        }
        let wall_seconds = started_at.elapsed().as_secs_f64();
        cpu_seconds += self.postmaster.cpu_seconds()? - postgres_before;
        Ok(Sample {
            wall_seconds,
            cpu_seconds,
            peak_mib,
        })
    }
}

/// Waits for a child; gives its CPU seconds and peak memory in MiB, its status, and what it wrote to stderr.
#[expect(unsafe_code, reason = "the standard library does not tell what a child used")]
fn wait(mut child: std::process::Child) -> Result<((f64, f64), i32, String)> {
    let mut errors = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        std::io::Read::read_to_string(&mut stderr, &mut errors)?;
    }
    let pid = i32::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: `rusage` is plain data, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, and nobody else waits for this child.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    ensure!(
        waited == pid,
        "cannot wait for a child: {}",
        std::io::Error::last_os_error()
    );
    #[expect(clippy::cast_precision_loss, reason = "seconds and kibibytes of a benchmark")]
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    #[expect(clippy::cast_precision_loss, reason = "seconds and kibibytes of a benchmark")]
    let peak_mib = usage.ru_maxrss as f64 / 1024.0;
    Ok((
        (seconds(usage.ru_utime) + seconds(usage.ru_stime), peak_mib),
        status,
        errors,
    ))
}

/// The server's processes, for their CPU time.
struct Postmaster {
    pid: i64,
}

impl Postmaster {
    fn of(server: &PostgresServer) -> Result<Self> {
        let backend: i32 = server
            .client(DATABASE)
            .query_one("select pg_backend_pid()", &[])?
            .get(0);
        let pid = stat(i64::from(backend))?.context("the backend runs")?.parent;
        Ok(Self { pid })
    }

    /// CPU of the server, of its running children and of all that ended.
    fn cpu_seconds(&self) -> Result<f64> {
        let mut ticks = 0;
        for entry in std::fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match stat(pid)? {
                Some(process) if pid == self.pid => ticks += process.own_ticks + process.children_ticks,
                Some(process) if process.parent == self.pid => ticks += process.own_ticks,
                _ => {}
            }
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of a benchmark; Linux counts 100 ticks a second"
        )]
        Ok(ticks as f64 / 100.0)
    }
}

struct Process {
    parent: i64,
    own_ticks: i64,
    children_ticks: i64,
}

/// Reads `/proc/<pid>/stat`; `None` if the process is gone. Fields: proc_pid_stat(5).
fn stat(pid: i64) -> Result<Option<Process>> {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return Ok(None);
    };
    // The second field is a name in parentheses that may hold anything.
    let rest = text.rsplit_once(')').context("a name ends")?.1;
    let fields: Vec<i64> = rest
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let field = |number: usize| fields.get(number - 4).copied().unwrap_or(0);
    Ok(Some(Process {
        parent: field(4),
        own_ticks: field(14) + field(15),
        children_ticks: field(16) + field(17),
    }))
}

/// What a careful person would script: DuckDB's own INSERT from Postgres into a DuckLake.
fn duckdb_insert(conninfo: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let engine = Engine::open(&EngineSettings::default())?;
    // One after the other, as the LOAD statements of a script.
    for needed in [extension::POSTGRES, extension::SQLITE, extension::DUCKLAKE] {
        engine.load(needed)?;
    }
    let statements = [
        format!("attach '{conninfo}' as source (type postgres, read_only)"),
        format!(
            "attach 'ducklake:sqlite:{0}/lake.sqlite' as lake (data_path '{0}/data', meta_journal_mode 'WAL')",
            folder.display()
        ),
    ];
    engine.attach(
        "attach both sides",
        &Attachment {
            extensions: Vec::new(),
            statements: statements.into_iter().map(Secret::new).collect(),
            secrets: Vec::new(),
        },
    )?;
    let session = engine.session()?;
    let sql = format!(
        "create schema lake.bench; create table lake.{TABLE} as select * from source.{TABLE} limit 0"
    );
    session.batch(Call::new("make the table"), &sql)?;
    session.execute(
        Call::new("insert"),
        &format!("insert into lake.{TABLE} select * from source.{TABLE}"),
    )?;
    Ok(())
}

fn median(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(options: &Options, contestants: &[Contestant], read_ratio: &[f64]) {
    let Some(insert) = contestants
        .iter()
        .find(|contestant| contestant.name.starts_with("DuckDB"))
    else {
        return;
    };
    let base = (
        median(&insert.samples, |sample| sample.wall_seconds),
        median(&insert.samples, |sample| sample.cpu_seconds),
    );
    println!(
        "{} rows, medians of {} interleaved rounds; ratios to DuckDB's own insert",
        options.rows, options.rounds
    );
    println!(
        "{:<40} {:>8} {:>7} {:>8} {:>7} {:>9}",
        "", "wall s", "×", "CPU s", "×", "peak MiB"
    );
    for contestant in contestants {
        let wall = median(&contestant.samples, |sample| sample.wall_seconds);
        let cpu = median(&contestant.samples, |sample| sample.cpu_seconds);
        let peak = median(&contestant.samples, |sample| sample.peak_mib);
        println!(
            "{:<40} {wall:>8.2} {:>7.2} {cpu:>8.2} {:>7.2} {peak:>9.0}",
            contestant.name,
            wall / base.0,
            cpu / base.1
        );
    }
    let named = |name: &str| contestants.iter().find(|contestant| contestant.name == name);
    if let (Some(pages), Some(keys)) = (named(PAGE_PARTITIONS), named(KEY_PARTITIONS)) {
        let wall = |contestant: &Contestant| median(&contestant.samples, |sample| sample.wall_seconds);
        println!(
            "partitions of pages: {:.2} × partitions of the key; at most 1.10 is the aim",
            wall(pages) / wall(keys)
        );
    }
    let full = named("pintail full, parity");
    let delta = contestants
        .iter()
        .find(|contestant| contestant.name.starts_with("pintail delta"));
    if let (Some(full), Some(delta)) = (full, delta) {
        let ratio = median(&delta.samples, |sample| sample.wall_seconds)
            / median(&full.samples, |sample| sample.wall_seconds);
        let read = read_ratio.iter().copied().fold(0.0, f64::max);
        println!("delta: {ratio:.2} × the full load with parity; read {read:.3} times the changed rows");
    }
}
