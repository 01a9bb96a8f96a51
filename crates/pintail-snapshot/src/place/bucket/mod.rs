//! A bucket of an object store.
//!
//! ```text
//! <prefix>/<project>/<snapshot_id>/metadata.json, <bucket>.<table>.parquet
//!                    .registry/<snapshot_id>.json, .settings.json
//!                    .work/<snapshot_id>.json        the claim of whoever takes or removes that one
//! ```
//!
//! - Files are put first, under names that nobody has, and the manifest last, if there is none: that is when the snapshot is
//!   visible. Nothing that is there is ever replaced, but documents.
//! - A file of an earlier snapshot is referred to. It goes when the last snapshot goes that does: see `sweep`.
//! - A bucket has no locks that die with their holders. A *claim* is an object that its holder renews; one that was not renewed for a
//!   while is that of a holder who died, or is taken for dead and gets to know it before it publishes: see `claim`.

mod claim;
mod references;
mod sweep;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pintail_model::ErrorKind;
use pintail_storage::{BucketSettings, Store};
use sha2::{Digest, Sha256};

use self::claim::{Claim, Doing};
use self::work::Upload;
use super::staging::Staging;
use super::{Begun, Change, Document, Fetched, GoOn, Identity, Place, Stored, Swept};
use crate::error::{Error, Result};
use crate::file_hash::{FileHash, hexadecimal};
use crate::id::{ProjectId, SnapshotId};
use crate::manifest::{self, TableEntry};
use crate::registry::Record;

/// How often a taker says that it is there.
const BEAT: Duration = Duration::from_mins(1);

/// After so long without a word somebody is taken for dead.
pub(crate) const SILENCE: Duration = Duration::from_mins(15);

/// How many questions are asked at a time.
const QUESTIONS: usize = 8;

/// The snapshots of a project in a bucket.
#[derive(Debug, Clone)]
pub(crate) struct InBucket {
    store: Store,
    /// Ends with a slash, unless it is empty.
    prefix: String,
    project: ProjectId,
    beat: Duration,
    /// Where files are fetched to, once one is.
    fetched: Arc<OnceLock<Staging>>,
}

impl InBucket {
    /// Nothing is asked yet.
    pub(crate) fn new(settings: &BucketSettings, prefix: &str, project: &ProjectId) -> Result<Self> {
        let prefix = prefix.trim_matches('/');
        Ok(Self {
            store: Store::new(settings)?,
            prefix: match prefix {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            },
            project: project.clone(),
            beat: BEAT,
            fetched: Arc::default(),
        })
    }

    pub(crate) fn beating(self, beat: Duration) -> Self {
        Self { beat, ..self }
    }

    /// Where all keys of the project begin.
    fn project_key(&self) -> String {
        format!("{}{}/", self.prefix, self.project)
    }

    fn folder_key(&self, id: &SnapshotId) -> String {
        format!("{}{id}/", self.project_key())
    }

    fn manifest_key(&self, id: &SnapshotId) -> String {
        format!("{}{}", self.folder_key(id), manifest::FILE_NAME)
    }

    fn file_key(&self, file: Stored<'_>) -> String {
        format!("{}{}", self.folder_key(file.folder), file.name)
    }

    fn claims_key(&self) -> String {
        format!("{}.work/", self.project_key())
    }

    fn claim_key(&self, id: &SnapshotId) -> String {
        format!("{}{id}.json", self.claims_key())
    }

    fn registry_key(&self) -> String {
        format!("{}.registry/", self.project_key())
    }

    fn document_key(&self, document: Document<'_>) -> String {
        match document {
            Document::Record(id) => format!("{}{id}.json", self.registry_key()),
            Document::Settings => format!("{}{}", self.project_key(), crate::settings::FILE_NAME),
            Document::SystemSettings => format!("{}{}", self.prefix, crate::settings::FILE_NAME),
            Document::Pins => format!("{}{}", self.project_key(), crate::release::FILE_NAME),
        }
    }

    /// Claims the name of a snapshot. `None` if somebody else has it, who was heard within `silence`.
    fn claim(&self, id: &SnapshotId, doing: Doing, silence: Duration) -> Result<Option<Claim>> {
        Claim::take(&self.store, &self.claim_key(id), id, doing, silence, self.beat)
    }

    /// Reads an object as a whole and hands its bytes on. `None` if it is not there.
    fn stream(&self, key: &str, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<Option<FileHash>> {
        let mut hash = Sha256::new();
        let bytes = self.store.download(key, |piece: &[u8]| {
            hash.update(piece);
            take(piece)
        })?;
        Ok(bytes.map(|bytes| FileHash {
            bytes,
            sha256: hexadecimal(&hash.finalize()),
        }))
    }
}

impl Place for InBucket {
    fn questions(&self) -> usize {
        QUESTIONS
    }

    fn root(&self) -> String {
        self.store.url(self.prefix.trim_end_matches('/'))
    }

    fn folder(&self, id: &SnapshotId) -> String {
        self.store.url(self.folder_key(id).trim_end_matches('/'))
    }

    fn name(&self, document: Document<'_>) -> String {
        self.store.url(&self.document_key(document))
    }

    fn ids(&self) -> Result<Option<Vec<SnapshotId>>> {
        let project = self.project_key();
        let objects = self.store.list(&project)?;
        let id = |key: &str| {
            let (folder, file) = key.strip_prefix(&project)?.split_once('/')?;
            (file == manifest::FILE_NAME).then(|| SnapshotId::parse(folder).ok())?
        };
        let ids = objects.iter().filter_map(|object| id(&object.key)).collect();
        Ok((!objects.is_empty()).then_some(ids))
    }

    fn visible(&self, id: &SnapshotId) -> Result<bool> {
        Ok(self.store.find(&self.manifest_key(id))?.is_some())
    }

    fn manifest(&self, id: &SnapshotId) -> Result<Option<Vec<u8>>> {
        Ok(self
            .store
            .get(&self.manifest_key(id))?
            .map(|(content, _)| content))
    }

    fn begin(&self, id: &SnapshotId) -> Result<Begun> {
        if self.visible(id)? {
            return Ok(Begun::Taken("already"));
        }
        let Some(claim) = self.claim(id, Doing::Taking, SILENCE)? else {
            return Ok(Begun::Taken("that is being taken right now"));
        };
        if self.visible(id)? {
            return Ok(Begun::Taken("already"));
        }
        Ok(Begun::Mine(Box::new(Upload::new(
            self.clone(),
            id.clone(),
            claim,
        )?)))
    }

    fn sweep(
        &self,
        going: &[SnapshotId],
        over: &dyn Fn(&Record) -> bool,
        silence: Duration,
    ) -> Result<Swept> {
        sweep::run(self, going, over, silence)
    }

    fn read(&self, document: Document<'_>) -> Result<Option<Vec<u8>>> {
        let found = self.store.get(&self.document_key(document))?;
        Ok(found.map(|(content, _)| content))
    }

    fn change(&self, document: Document<'_>, change: &mut Change<'_>) -> Result<()> {
        self.store.change(&self.document_key(document), change)
    }

    fn files(&self, id: &SnapshotId) -> Result<BTreeMap<String, u64>> {
        let folder = self.folder_key(id);
        let objects = self.store.list(&folder)?.into_iter();
        Ok(objects
            .filter_map(|object| Some((object.key.strip_prefix(&folder)?.to_owned(), object.bytes)))
            .collect())
    }

    fn identity(&self, file: Stored<'_>) -> Identity {
        Identity::Name(self.file_key(file))
    }

    fn hash(&self, file: Stored<'_>) -> Result<Option<FileHash>> {
        self.stream(&self.file_key(file), |_| Ok(()))
    }

    fn looks_sound(&self, file: Stored<'_>, written: &TableEntry) -> Result<bool> {
        let key = self.file_key(file);
        match self.store.find(&key)? {
            Some(found) => Ok(found.bytes == written.size_bytes),
            None => Err(Error::Refused {
                kind: ErrorKind::NotFound,
                message: format!("cannot read `{}`: it is not there", self.store.url(&key)),
                hint: Some(
                    "`pintail snapshot verify --all` says which snapshots are sound; `list --table` which have the table."
                        .to_owned(),
                ),
            }),
        }
    }

    fn fetch(&self, file: Stored<'_>, written: &TableEntry, go_on: &GoOn<'_>) -> Result<Option<Fetched>> {
        let staging = match self.fetched.get() {
            Some(staging) => staging,
            None => {
                let staging = Staging::new()?;
                self.fetched.get_or_init(|| staging)
            }
        };
        let path = staging.temporary()?;
        let mut local = File::create(&path).map_err(Error::file("create", &path))?;
        let hash = self.stream(&self.file_key(file), |piece| {
            go_on()?;
            local.write_all(piece).map_err(Error::file("write", &path))
        })?;
        Ok(match hash {
            Some(hash) if hash.is_of(written) => Some(Fetched {
                path: path.to_path_buf(),
                _fetched: Some(path),
            }),
            _ => None,
        })
    }
}

/// The ids and the kinds of what lies in a project.
#[derive(Debug, Default)]
struct Contents {
    /// Files in the folders of snapshots, without manifests.
    files: BTreeMap<SnapshotId, Vec<String>>,
    visible: BTreeSet<SnapshotId>,
    claimed: BTreeSet<SnapshotId>,
    recorded: BTreeSet<SnapshotId>,
}

impl InBucket {
    fn contents(&self) -> Result<Contents> {
        let project = self.project_key();
        let mut contents = Contents::default();
        for object in self.store.list(&project)? {
            let Some((folder, name)) = object
                .key
                .strip_prefix(&project)
                .and_then(|key| key.split_once('/'))
            else {
                continue;
            };
            let document = || SnapshotId::parse(name.strip_suffix(".json")?).ok();
            match folder {
                ".work" => contents.claimed.extend(document()),
                ".registry" => contents.recorded.extend(document()),
                folder => {
                    let Ok(id) = SnapshotId::parse(folder) else {
                        continue;
                    };
                    if name == manifest::FILE_NAME {
                        contents.visible.insert(id);
                    } else {
                        contents.files.entry(id).or_default().push(object.key);
                    }
                }
            }
        }
        Ok(contents)
    }
}
