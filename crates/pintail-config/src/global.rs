//! `global_config.yaml`: what all pipelines of a project share.
//!
//! ```yaml
//! storage:
//!   state_dir: ./data/pipeline_states
//!   logs_dir: ./data/logs
//!   metrics_dir: ./data/metrics
//! build_system:
//!   user_config_dir: ./pipelines
//!   datastores_path: ./datastores.yaml
//! ```
//!
//! Relative paths start at the folder of the file. `storage`, and the two keys of `build_system` above, are used; `redis`,
//! `scheduler`, `worker` and the rest of `build_system` are checked, so that a file can hold them before their
//! commands arrive, and listed by [`GlobalConfig::not_used`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use pintail_model::Secret;

use crate::datastore::resolve;
use crate::decode::{Decoder, Shape, boolean, duration, mapping, one_of, shape_of, text, whole_number};
use crate::document::Document;
use crate::environment::Lookup;
use crate::node::Node;
use crate::problem::{Position, Problems};

/// The name of the file in the folder of a project.
pub const FILE_NAME: &str = "global_config.yaml";

/// A project's settings. Every section may be left out.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalConfig {
    /// The file.
    pub file: PathBuf,
    /// `redis`. Not used yet.
    pub redis: Option<RedisConfig>,
    /// `scheduler`. Not used yet.
    pub scheduler: Option<SchedulerConfig>,
    /// `worker`. Not used yet.
    pub worker: Option<WorkerConfig>,
    /// `storage`: where runs keep what they remember and report.
    pub storage: StorageConfig,
    /// `build_system`: where files are looked for.
    pub build_system: BuildSystemConfig,
    not_used: Vec<NotUsed>,
}

/// `redis`: the queue that schedulers and workers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// `url`: `redis://…`, `rediss://…` or `unix://…`. It may hold a password.
    pub url: Secret,
    /// `db`: number of the database. Default 0.
    pub db: u32,
}

/// `scheduler`: what starts pipelines by their `cron`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// `enabled`. Default `true`.
    pub enabled: bool,
    /// `http_port`: where its state is served. Default 8001.
    pub http_port: u16,
    /// `check_interval`: how often it looks for what is due, in seconds or as a duration. Default `60s`.
    pub check_interval: Duration,
    /// `slot_definitions`: jobs at once, by the name of a priority.
    pub slots: Vec<(String, u32)>,
}

/// `worker`: what runs pipelines for a scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// `max_jobs`: runs at once. Default 4.
    pub jobs_max: u32,
    /// `health_check_interval`: how often it says that it lives, in seconds or as a duration. Default `30s`.
    pub health_check_interval: Duration,
}

/// `storage`: folders, resolved. Without one of them, `data/` beside the pipeline file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageConfig {
    /// `state_dir`: the state, its locks, and what an engine spills.
    pub state_dir: Option<PathBuf>,
    /// `logs_dir`: a log for each run.
    pub logs_dir: Option<PathBuf>,
    /// `metrics_dir`: a report for each run.
    pub metrics_dir: Option<PathBuf>,
}

/// `build_system`: where files are looked for, and what a build does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildSystemConfig {
    /// `user_config_dir`: the pipeline files.
    pub user_config_dir: Option<PathBuf>,
    /// `datastores_path`: the datastores.
    pub datastores_path: Option<PathBuf>,
    /// `built_config_dir`: what a build writes. Not used yet.
    pub built_config_dir: Option<PathBuf>,
    /// `auto_build_on_startup`. Not used yet.
    pub auto_build_on_startup: Option<bool>,
    /// `ddl_check_on_build`. Not used yet.
    pub ddl_check_on_build: Option<DdlCheck>,
    /// `on_build_failure`. Not used yet.
    pub on_build_failure: Option<BuildFailure>,
}

/// `ddl_check_on_build`: whether a build looks for statements that a destination needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DdlCheck {
    /// `required`: a build fails while there are any.
    Required,
    /// `optional`: it says so.
    Optional,
    /// `skip`: it does not look.
    Skip,
}

/// `on_build_failure`: what becomes of an earlier build when a new one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildFailure {
    /// `keep_old`.
    KeepOld,
    /// `remove`.
    Remove,
}

/// A part of the file that this release checks and does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUsed {
    /// Its path, as `scheduler` or `build_system.built_config_dir`.
    pub what: String,
    /// Where it stands.
    pub position: Position,
}

impl GlobalConfig {
    /// Loads the file.
    pub fn load(file: &Path, lookup: Lookup<'_>) -> Result<Self, Problems> {
        Self::decode(Document::read(file, lookup)?)
    }

    /// Loads from a text; `file` is its name for messages, and its folder the one of relative paths.
    pub fn parse(file: &Path, text: &str, lookup: Lookup<'_>) -> Result<Self, Problems> {
        Self::decode(Document::parse(file, text, lookup)?)
    }

    /// What the file takes.
    #[must_use]
    pub fn shape() -> Shape {
        shape_of(|node, decoder| read(Path::new(FILE_NAME), node, decoder))
    }

    /// What of the file this release does not use, in the order of the file.
    #[must_use]
    pub fn not_used(&self) -> &[NotUsed] {
        &self.not_used
    }

    fn decode(document: Document) -> Result<Self, Problems> {
        let file = document.file.clone();
        document.decode(|node, decoder| read(&file, node, decoder))
    }
}

const NOT_USED: &[(&str, Option<&str>)] = &[
    ("redis", None),
    ("scheduler", None),
    ("worker", None),
    ("build_system", Some("built_config_dir")),
    ("build_system", Some("auto_build_on_startup")),
    ("build_system", Some("ddl_check_on_build")),
    ("build_system", Some("on_build_failure")),
];

fn not_used(node: &Node) -> Vec<NotUsed> {
    let found = |(section, key): &(&str, Option<&str>)| {
        let section_node = node.get(section)?;
        let (what, place) = match key {
            None => ((*section).to_owned(), section_node),
            Some(key) => (format!("{section}.{key}"), section_node.get(key)?),
        };
        Some(NotUsed {
            what,
            position: place.position,
        })
    };
    let mut found: Vec<NotUsed> = NOT_USED.iter().filter_map(found).collect();
    found.sort_by_key(|part| part.position);
    found
}

fn read(file: &Path, node: &Node, decoder: &mut Decoder) -> Option<GlobalConfig> {
    let base = file.parent().unwrap_or(Path::new(""));
    let mut fields = decoder.fields(node)?;
    let redis = fields.optional("redis", redis);
    let scheduler = fields.optional("scheduler", scheduler);
    let worker = fields.optional("worker", worker);
    let storage = fields.optional("storage", |node, decoder| storage(base, node, decoder));
    let build_system = fields.optional("build_system", |node, decoder| build_system(base, node, decoder));
    fields.finish();
    Some(GlobalConfig {
        file: file.to_owned(),
        redis,
        scheduler,
        worker,
        storage: storage.unwrap_or_default(),
        build_system: build_system.unwrap_or_default(),
        not_used: not_used(node),
    })
}

fn redis(node: &Node, decoder: &mut Decoder) -> Option<RedisConfig> {
    let mut fields = decoder.fields(node)?;
    let url = fields.required("url", |node, decoder| {
        let url = text(node, decoder)?;
        let known = ["redis://", "rediss://", "unix://"];
        if !known.iter().any(|scheme| url.starts_with(scheme)) {
            // What is there may be a password.
            decoder.problem(node.position, "expected an address like `redis://localhost:6379`");
            return None;
        }
        Some(Secret::new(url))
    });
    let db = fields.with_default("db", 0, whole_number(0_u32..));
    fields.finish();
    Some(RedisConfig { url: url?, db })
}

fn scheduler(node: &Node, decoder: &mut Decoder) -> Option<SchedulerConfig> {
    let mut fields = decoder.fields(node)?;
    let config = SchedulerConfig {
        enabled: fields.with_default("enabled", true, boolean),
        http_port: fields.with_default("http_port", 8001, whole_number(1_u16..)),
        check_interval: fields.with_default("check_interval", Duration::from_mins(1), interval),
        slots: fields
            .optional(
                "slot_definitions",
                mapping(|_, node, decoder| whole_number(1_u32..)(node, decoder)),
            )
            .unwrap_or_default(),
    };
    fields.finish();
    Some(config)
}

fn worker(node: &Node, decoder: &mut Decoder) -> Option<WorkerConfig> {
    let mut fields = decoder.fields(node)?;
    let config = WorkerConfig {
        jobs_max: fields.with_default("max_jobs", 4, whole_number(1_u32..)),
        health_check_interval: fields.with_default(
            "health_check_interval",
            Duration::from_secs(30),
            interval,
        ),
    };
    fields.finish();
    Some(config)
}

/// A duration that is not nothing: doing something all the time is no interval.
fn interval(node: &Node, decoder: &mut Decoder) -> Option<Duration> {
    let interval = duration(node, decoder)?;
    if interval.is_zero() {
        decoder.expected("a duration above 0", node);
        return None;
    }
    Some(interval)
}

fn storage(base: &Path, node: &Node, decoder: &mut Decoder) -> Option<StorageConfig> {
    let mut fields = decoder.fields(node)?;
    let config = StorageConfig {
        state_dir: fields.optional("state_dir", |node, decoder| path(base, node, decoder)),
        logs_dir: fields.optional("logs_dir", |node, decoder| path(base, node, decoder)),
        metrics_dir: fields.optional("metrics_dir", |node, decoder| path(base, node, decoder)),
    };
    fields.finish();
    Some(config)
}

fn build_system(base: &Path, node: &Node, decoder: &mut Decoder) -> Option<BuildSystemConfig> {
    const CHECKS: &[(&str, DdlCheck)] = &[
        ("required", DdlCheck::Required),
        ("optional", DdlCheck::Optional),
        ("skip", DdlCheck::Skip),
    ];
    const FAILURES: &[(&str, BuildFailure)] = &[
        ("keep_old", BuildFailure::KeepOld),
        ("remove", BuildFailure::Remove),
    ];
    let mut fields = decoder.fields(node)?;
    let config = BuildSystemConfig {
        user_config_dir: fields.optional("user_config_dir", |node, decoder| path(base, node, decoder)),
        datastores_path: fields.optional("datastores_path", |node, decoder| path(base, node, decoder)),
        built_config_dir: fields.optional("built_config_dir", |node, decoder| path(base, node, decoder)),
        auto_build_on_startup: fields.optional("auto_build_on_startup", boolean),
        ddl_check_on_build: fields.optional("ddl_check_on_build", one_of("a check", CHECKS)),
        on_build_failure: fields.optional("on_build_failure", one_of("a policy", FAILURES)),
    };
    fields.finish();
    Some(config)
}

/// A path of this machine, relative to the file.
fn path(base: &Path, node: &Node, decoder: &mut Decoder) -> Option<PathBuf> {
    let path = text(node, decoder)?;
    if path.contains("://") {
        decoder.expected("a path of this machine", node);
        return None;
    }
    let path = path.strip_prefix("./").unwrap_or(&path);
    Some(resolve(base, path))
}
