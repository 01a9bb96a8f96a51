//! `pintail doctor`: what this machine has of what Pintail needs, and what to do about the rest.
//!
//! Everything is tried and not only looked up: each extension is loaded, a file is written, a lake is made and read
//! back. Nothing is installed or left behind.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use pintail_lake::extension::{DUCKLAKE, Extension, Found, HTTPFS, MYSQL, POSTGRES, SQLITE, platform};
use pintail_lake::{Access, Call, Catalogue, DUCKDB_VERSION, Engine, EngineSettings, Lake, LakeLocation};
use pintail_model::ErrorKind;
use serde::Serialize;
use serde_json::json;

use super::Outcome;
use crate::diagnostics::Diagnostic;
use crate::numbers;
use crate::terminal::{self, Palette, Tone};

/// Show what was found on this machine, where, and what to do about the rest.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pintail doctor --json")]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What came out of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Careful,
    Failed,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Ok,
            detail: detail.into(),
            hint: None,
        }
    }

    fn careful(name: &str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            status: Status::Careful,
            hint: Some(hint.into()),
            ..Self::ok(name, detail)
        }
    }

    fn failed(name: &str, diagnostic: &Diagnostic) -> Self {
        let hint = Some(diagnostic.hints()).filter(|hints| !hints.is_empty());
        Self {
            status: Status::Failed,
            hint,
            ..Self::ok(name, diagnostic.line())
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let settings = EngineSettings::default();
    let mut checks = vec![
        Check::ok(
            "pintail",
            format!("{} for {}", env!("CARGO_PKG_VERSION"), platform()),
        ),
        engine(&settings),
        temp_folder(&std::env::temp_dir()),
        memory(settings.memory_limit_bytes),
    ];
    checks.extend([DUCKLAKE, SQLITE, POSTGRES, MYSQL, HTTPFS].map(|wanted| extension(wanted, &settings)));
    checks.push(lake(&settings));
    let healthy = checks.iter().all(|check| check.status != Status::Failed);
    if arguments.json {
        let object = json!({
            "healthy": healthy,
            "pintail": env!("CARGO_PKG_VERSION"),
            "duckdb": DUCKDB_VERSION,
            "platform": platform(),
            "checks": checks,
        });
        terminal::data(format_args!("{object:#}"))?;
    } else {
        terminal::data(table(&checks, Palette::stdout()))?;
    }
    Ok(if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(ErrorKind::Unavailable.exit_code())
    })
}

fn table(checks: &[Check], palette: Palette) -> String {
    let mut text = String::new();
    for check in checks {
        let status = match check.status {
            Status::Ok => palette.paint(Tone::Done, "ok     "),
            Status::Careful => palette.paint(Tone::Careful, "careful"),
            Status::Failed => palette.paint(Tone::Failed, "failed "),
        };
        let _ = writeln!(text, "{status}  {:<17} {}", check.name, check.detail);
        if let Some(hint) = &check.hint {
            let _ = writeln!(text, "{:28}{} {hint}", "", palette.paint(Tone::Hint, "hint:"));
        }
    }
    let failed = checks
        .iter()
        .filter(|check| check.status == Status::Failed)
        .count();
    let careful = checks.iter().any(|check| check.status == Status::Careful);
    if failed == 0 && careful {
        text.push_str("nothing failed; what is marked `careful` may need what its hint says");
    } else if failed == 0 {
        text.push_str("everything that a sync needs is here");
    } else {
        let _ = write!(text, "{} failed", numbers::counted(failed as u64, "check"));
    }
    text
}

fn engine(settings: &EngineSettings) -> Check {
    let version = || -> pintail_lake::Result<String> {
        let engine = Engine::open(settings)?;
        let rows = engine
            .session()?
            .query(Call::new("read DuckDB's version"), "select version()")?;
        Ok(rows
            .first()
            .and_then(|row| row.text(0))
            .unwrap_or_default()
            .to_owned())
    };
    match version() {
        Ok(version) if version == format!("v{DUCKDB_VERSION}") => {
            let threads = numbers::counted(settings.threads as u64, "thread");
            Check::ok("duckdb", format!("{DUCKDB_VERSION}, {threads}"))
        }
        Ok(version) => Check::careful(
            "duckdb",
            format!("{version}, built for {DUCKDB_VERSION}"),
            "The library of the system has another version, so extensions may not load.",
        ),
        Err(error) => Check::failed("duckdb", &error.into()),
    }
}

fn temp_folder(folder: &Path) -> Check {
    let written = tempfile::Builder::new()
        .prefix("pintail-doctor-")
        .tempfile_in(folder)
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"pintail"));
    match written {
        Ok(()) => Check::ok("temporary folder", format!("{}, writable", folder.display())),
        Err(error) => Check::failed(
            "temporary folder",
            &Diagnostic::new(
                ErrorKind::Unavailable,
                format!("cannot write to `{}`", folder.display()),
            )
            .cause(error.to_string())
            .hint("Set TMPDIR to a folder that may be written to, with room for what a run spills."),
        ),
    }
}

fn memory(limit_bytes: u64) -> Check {
    /// What a run takes beside the engine's own budget.
    const BESIDE_BYTES: u64 = 144 << 20;
    let needed = limit_bytes + BESIDE_BYTES;
    match available_bytes() {
        Some(available) if available < needed => Check::careful(
            "memory",
            format!(
                "{} available, a run takes up to {}",
                numbers::bytes(available),
                numbers::bytes(needed)
            ),
            "Lower `limits.memory` of the pipeline: the engine then spills to its temporary folder.",
        ),
        Some(available) => Check::ok(
            "memory",
            format!(
                "{} available, a run takes up to {}",
                numbers::bytes(available),
                numbers::bytes(needed)
            ),
        ),
        None => Check::ok("memory", format!("a run takes up to {}", numbers::bytes(needed))),
    }
}

/// What the kernel would give to a new process; `None` where it does not say.
fn available_bytes() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let machine = kibibytes * 1024;
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|limit| limit.trim().parse().ok());
    Some(container.unwrap_or(machine).min(machine))
}

fn extension(wanted: Extension, settings: &EngineSettings) -> Check {
    let name = wanted.0;
    let place = match wanted.find(settings.extension_folder.as_deref()) {
        Found::Folder(path) | Found::Installed(path) => path,
        Found::Nowhere => {
            return Check::careful(
                name,
                "not found; DuckDB would download it when it is first needed",
                "Run `scripts/setup`, or put the file into a folder and set PINTAIL_EXTENSION_DIR to it.",
            );
        }
    };
    match Engine::open(settings).and_then(|engine| engine.load(wanted)) {
        Ok(()) => Check::ok(name, format!("loads from {}", place.display())),
        Err(error) => Check::failed(name, &error.into()),
    }
}

/// Makes a small lake, and reads it back.
fn lake(settings: &EngineSettings) -> Check {
    let missing = |wanted: Extension| wanted.find(settings.extension_folder.as_deref()) == Found::Nowhere;
    if missing(DUCKLAKE) || missing(SQLITE) {
        return Check::careful(
            "lake",
            "not tried: it needs `ducklake` and `sqlite_scanner`",
            "See above.",
        );
    }
    let started_at = Instant::now();
    let tried = tempfile::Builder::new()
        .prefix("pintail-doctor-")
        .tempdir()
        .map_err(|error| {
            Diagnostic::new(ErrorKind::Unavailable, "cannot make a temporary folder").cause(error.to_string())
        });
    let tried = tried.and_then(|folder| Ok(try_lake(settings, folder.path())?));
    match tried {
        Ok(()) => Check::ok(
            "lake",
            format!(
                "made, written and read back in {}",
                numbers::duration(started_at.elapsed())
            ),
        ),
        Err(diagnostic) => Check::failed("lake", &diagnostic),
    }
}

fn try_lake(settings: &EngineSettings, folder: &Path) -> pintail_lake::Result<()> {
    let location = LakeLocation {
        catalogue: Catalogue::Sqlite(folder.join("lake.sqlite")),
        data_path: folder.join("lake.files"),
        bucket: None,
    };
    let engine = Engine::open(settings)?;
    let lake = Lake::attach(&engine, &location, Access::ReadWrite)?;
    let session = lake.session()?;
    let label = "try a lake";
    session.batch(
        Call::new(label),
        "create table lake.main.probe as select 42 as answer",
    )?;
    let rows = session.query(Call::new(label), "select answer from lake.main.probe")?;
    if rows.first().and_then(|row| row.integer(0)) == Some(42) {
        return Ok(());
    }
    Err(pintail_lake::Error::Refused {
        kind: ErrorKind::Internal,
        message: "a lake gave back another value than was written to it".to_owned(),
        hint: None,
    })
}
