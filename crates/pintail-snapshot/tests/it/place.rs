//! A folder with databases and snapshots, which goes away with the test.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pintail_lake::{Access, Call, DatabaseFile, Engine, EngineSettings, quote};
use pintail_snapshot::{
    CreateRequest, Created, Error, Finding, Manifest, Problem, ProjectFolder, ProjectId, RestoreRequest,
    Restored, SnapshotId, Unwatched, Verified,
};
use pintail_storage::BucketSettings;
use pintail_testkit::S3Bucket;
use tempfile::TempDir;

pub(crate) struct Place {
    _folder: Option<TempDir>,
    root: PathBuf,
    bucket: Option<S3Bucket>,
    pub(crate) engine: Engine,
    pub(crate) snapshots: ProjectFolder,
}

pub(crate) fn id(text: &str) -> SnapshotId {
    SnapshotId::parse(text).expect("an id")
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// Where keys of snapshots begin.
const PREFIX: &str = "kept/snapshots";

/// When things happen, unless a test says otherwise.
pub(crate) const NOW: &str = "2024-12-11T14:30:22Z";

pub(crate) fn project(root: &Path) -> ProjectFolder {
    ProjectFolder::new(root.join("snapshots"), ProjectId::parse("123").expect("an id"))
}

pub(crate) fn database(root: &Path, name: &str) -> DatabaseFile {
    DatabaseFile {
        path: root.join(name),
        address: format!("duckdb:{name}"),
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pintail-snapshot-")
            .tempdir()
            .expect("a temporary folder");
        let settings = EngineSettings {
            threads: 2,
            ..EngineSettings::default()
        };
        Self {
            root: folder.path().to_path_buf(),
            bucket: None,
            snapshots: project(folder.path()),
            engine: Engine::open(&settings).expect("an engine"),
            _folder: Some(folder),
        }
    }

    /// The same folder for an engine of its own.
    pub(crate) fn sharing(other: &Self) -> Self {
        Self {
            root: other.root.clone(),
            bucket: other.bucket.clone(),
            snapshots: other.snapshots.clone(),
            engine: Engine::open(&EngineSettings::default()).expect("an engine"),
            _folder: None,
        }
    }

    /// The same folder for an engine that may use so many bytes.
    pub(crate) fn with_memory(other: &Self, bytes: u64) -> Self {
        let settings = EngineSettings {
            threads: 1,
            memory_limit_bytes: bytes,
            ..EngineSettings::default()
        };
        Self {
            engine: Engine::open(&settings).expect("an engine"),
            ..Self::sharing(other)
        }
    }

    /// The folder outlives the test: for a child that somebody else cleans up after.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            bucket: None,
            snapshots: project(root),
            engine: Engine::open(&EngineSettings::default()).expect("an engine"),
            _folder: None,
        }
    }

    /// The same with its snapshots in a bucket.
    pub(crate) fn in_bucket(self, settings: &BucketSettings) -> Self {
        let project = ProjectId::parse("123").expect("an id");
        Self {
            snapshots: ProjectFolder::in_bucket(settings, PREFIX, project).expect("settings"),
            bucket: Some(S3Bucket::known(settings.clone())),
            ..self
        }
    }

    /// How the bucket is reached, if its snapshots lie in one.
    pub(crate) fn settings(&self) -> Option<&BucketSettings> {
        self.bucket.as_ref().map(S3Bucket::settings)
    }

    pub(crate) fn bucket(&self) -> &S3Bucket {
        self.bucket.as_ref().expect("its snapshots lie in one")
    }

    /// Keys in the folder of the project, without it.
    pub(crate) fn keys(&self) -> Vec<String> {
        let project = format!("{PREFIX}/123/");
        let keys = self.bucket().keys(&project);
        keys.iter().map(|key| key.replacen(&project, "", 1)).collect()
    }

    /// One of these keys as the bucket knows it.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{PREFIX}/123/{name}")
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self, name: &str) -> DatabaseFile {
        database(&self.root, name)
    }

    /// Runs statements in a database, which is made if there is none.
    pub(crate) fn execute(&self, name: &str, sql: &str) {
        self.attempt(name, sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", std::error::Error::source(&error)));
    }

    /// Runs statements that may fail.
    pub(crate) fn attempt(&self, name: &str, sql: &str) -> pintail_lake::Result<()> {
        let file = self.database(name);
        // Types of this year have no place in the oldest format.
        file.attach(&self.engine, "db", Access::ReadWrite, Some("v1.5.0"))?;
        let done = self.engine.session().and_then(|session| {
            session.batch(Call::new("use it"), "use db.main")?;
            session.batch(Call::new("execute"), sql)
        });
        file.detach(&self.engine, "db")?;
        done
    }

    /// All values of an answer as texts.
    pub(crate) fn ask(&self, name: &str, sql: &str) -> Vec<Vec<String>> {
        let file = self.database(name);
        file.attach(&self.engine, "db", Access::ReadOnly, None)
            .expect("it is there");
        let session = self.engine.session().expect("a session");
        session
            .batch(Call::new("use it"), "use db.main")
            .expect("it is there");
        let answer = session.table(Call::new("ask"), sql);
        drop(session);
        file.detach(&self.engine, "db").expect("nobody uses it");
        let answer =
            answer.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", std::error::Error::source(&error)));
        answer
            .rows
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .map(|value| value.unwrap_or_else(|| "NULL".to_owned()))
                    .collect()
            })
            .collect()
    }

    /// One value.
    pub(crate) fn value(&self, name: &str, sql: &str) -> String {
        self.ask(name, sql)[0][0].clone()
    }

    pub(crate) fn create_with(&self, name: &str, request: &CreateRequest) -> Result<Created, Error> {
        self.snapshots
            .create(&self.engine, &self.database(name), request, at(NOW), &Unwatched)
    }

    pub(crate) fn create(&self, name: &str, snapshot: &str) -> Manifest {
        let request = CreateRequest {
            id: Some(id(snapshot)),
            created_by: "ada".to_owned(),
            ..CreateRequest::default()
        };
        self.create_with(name, &request)
            .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
            .manifest
    }

    pub(crate) fn restore_with(
        &self,
        name: &str,
        snapshot: &str,
        request: &RestoreRequest,
    ) -> Result<Restored, Error> {
        let file = self.database(name);
        self.snapshots
            .restore(&self.engine, &file, &id(snapshot), request, at(NOW), &Unwatched)
    }

    pub(crate) fn restore(&self, name: &str, snapshot: &str) -> Restored {
        self.restore_with(name, snapshot, &RestoreRequest::default())
            .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
    }

    pub(crate) fn verify(&self) -> Verified {
        let ids = self.snapshots.ids().expect("a project");
        self.snapshots.verify(&ids, 2, &Unwatched).expect("folders")
    }

    /// The files that are not as they were written, each with what is wrong.
    pub(crate) fn problems(&self) -> Vec<(String, Problem)> {
        let found = self.verify().findings;
        found
            .into_iter()
            .map(|Finding { file, problem, .. }| (file, problem))
            .collect()
    }

    /// What is wrong with snapshots, where there may be none.
    pub(crate) fn verify_all(&self) -> Vec<Finding> {
        let ids = self.snapshots.ids().unwrap_or_default();
        self.snapshots
            .verify(&ids, 2, &Unwatched)
            .expect("folders")
            .findings
    }

    /// The files of a snapshot, by name.
    pub(crate) fn files(&self, snapshot: &str) -> Vec<PathBuf> {
        let folder = self.snapshots.snapshot(&id(snapshot));
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .expect("a snapshot")
            .map(|entry| entry.expect("a file").path())
            .collect();
        files.sort();
        files
    }

    /// What is in the folder of the project beside the registry, whose names begin with a dot.
    pub(crate) fn visible(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.snapshots.path())
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }
}

/// An error with what lies behind it.
pub(crate) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!("\n  caused by: {inner}"));
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text
}

/// A name in double quotes.
pub(crate) fn quoted(name: &str) -> String {
    quote::identifier(name)
}
