//! A folder of tables in files, or the same in a bucket.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pintail_lake::depot::Depot;
use pintail_lake::{
    Access, Call, Destination, DestinationPlace, Engine, EngineSettings, Row, Session, SweepPolicy,
};
use pintail_model::{Column, ErrorKind, LogicalType, TableName};
use serde_json::Value;

use super::Witness;
use crate::crash::orders::{COLUMNS, Orders};

/// A folder that is attached.
pub(crate) struct FilesWitness {
    place: Box<dyn DestinationPlace>,
    files: Box<dyn Destination>,
    session: Session,
    depot: Depot,
    /// The table's folder.
    folder: PathBuf,
}

impl FilesWitness {
    /// Attaches a folder; `None` if nobody has made it, or no table in it. The table's own folder is `folder`.
    #[track_caller]
    pub(crate) fn of(place: Box<dyn DestinationPlace>, depot: Depot, folder: PathBuf) -> Option<Self> {
        let settings = EngineSettings {
            threads: 1,
            ..EngineSettings::default()
        };
        let engine = Engine::open(&settings).expect("an engine");
        let files = match place.attach(&engine, Access::ReadOnly) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            attached => attached.unwrap_or_else(|error| panic!("{error}: {error:?}")),
        };
        let session = files.session().expect("a session");
        Some(Self {
            place,
            files,
            session,
            depot,
            folder,
        })
    }

    /// The newest manifest; null if there is none.
    fn manifest(&self) -> Value {
        let notes = self
            .depot
            .inside(&self.folder.join("_pintail"))
            .expect("a folder");
        let newest = notes.into_iter().filter(|path| whole(path)).max();
        let content = newest.and_then(|path| self.depot.read(&path).expect("a manifest"));
        content.map_or(Value::Null, |content| {
            serde_json::from_slice(&content).expect("a manifest")
        })
    }

    /// Files to which the manifest does not refer. Fails if one to which it does is missing.
    #[track_caller]
    fn strays(&self, context: &str) -> Vec<PathBuf> {
        let manifest = self.manifest();
        let known: BTreeSet<PathBuf> = manifest["files"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|file| self.folder.join(file["path"].as_str().expect("a path")))
            .collect();
        let found = self.depot.below(&self.folder).expect("a folder");
        let mut found: Vec<PathBuf> = found.into_iter().map(|file| file.path).collect();
        let missing: Vec<_> = known.iter().filter(|file| !found.contains(file)).collect();
        assert!(
            missing.is_empty(),
            "{context}: the manifest refers to {missing:?}"
        );
        found.retain(|file| !known.contains(file) && !whole(file));
        found
    }
}

impl Witness for FilesWitness {
    #[track_caller]
    fn orders(&self) -> Orders {
        let found = self.files.table(&self.session, &table(), &columns());
        if found.expect("a manifest").is_none() {
            return Orders::default();
        }
        let sql = format!(
            "select {COLUMNS} from {}",
            self.place.rows(&table(), &columns(), None)
        );
        let rows = self.session.query(Call::new("look"), &sql);
        let rows = rows.unwrap_or_else(|error| match &error {
            pintail_lake::Error::Statement { source, .. } => panic!("{sql}: {}", source.raw_text()),
            other => panic!("{sql}: {other:?}"),
        });
        let integer = |row: &Row, index| row.integer(index).expect("an integer");
        Orders::of(
            rows.iter()
                .map(|row| (integer(row, 0), row.text(1).map(str::to_owned), integer(row, 2))),
        )
    }

    #[track_caller]
    fn assert_once(&self, context: &str) {
        let manifest = self.manifest();
        let mut keys = BTreeSet::new();
        for entry in manifest["committed"].as_array().into_iter().flatten() {
            let key = entry["key"].as_str().expect("a key");
            assert!(keys.insert(key.to_owned()), "{context}: `{key}` came in twice");
        }
    }

    /// What a killed run began to write of a manifest is left to a sweep of old files.
    #[track_caller]
    fn assert_nothing_left(&self, context: &str) {
        let mut strays = self.strays(context);
        strays.retain(|file| file.extension().is_none_or(|end| end != "part"));
        assert!(strays.is_empty(), "{context}: nobody refers to {strays:?}");
    }

    #[track_caller]
    fn assert_swept(&self, context: &str) {
        let policy = SweepPolicy {
            own_runs: Vec::new(),
            older_than: Some(Duration::ZERO),
        };
        self.files.sweep(&table(), &policy).expect("a sweep");
        let strays = self.strays(context);
        assert!(
            strays.is_empty(),
            "{context}: after a sweep, nobody refers to {strays:?}"
        );
    }
}

/// Whether a file is a manifest.
fn whole(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("manifest-") && name.ends_with(".json")
}

fn table() -> TableName {
    TableName::bare("orders")
}

fn columns() -> Vec<Column> {
    [
        ("id", LogicalType::Int64),
        ("note", LogicalType::Text),
        ("version", LogicalType::Int64),
    ]
    .into_iter()
    .map(|(name, logical_type)| Column {
        name: name.to_owned(),
        logical_type,
        nullable: true,
        origin: None,
    })
    .collect()
}
