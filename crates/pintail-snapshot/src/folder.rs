//! The snapshots of a project, wherever they lie: which there are, and what their manifests say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pintail_model::ErrorKind;
use pintail_storage::BucketSettings;

use crate::each::each;
use crate::error::{Error, Result};
use crate::id::{ProjectId, SnapshotId};
use crate::lakes::{KnownLakes, Lakes};
use crate::manifest::{self, Manifest};
use crate::place::bucket::{InBucket, SILENCE};
use crate::place::folder::Folder;
use crate::place::{Begun, Place, Work};

/// A snapshot whose manifest cannot be used, and why.
pub type Broken = (SnapshotId, Error);

/// The snapshots of a project, in a folder of this machine or in a bucket.
#[derive(Debug, Clone)]
pub struct ProjectFolder {
    place: Arc<dyn Place>,
    project: ProjectId,
    lakes: Arc<dyn Lakes>,
}

impl ProjectFolder {
    /// Snapshots of `project` below `root`. Nothing is looked at yet.
    #[must_use]
    pub fn new(root: impl AsRef<Path>, project: ProjectId) -> Self {
        Self {
            place: Arc::new(Folder::new(root.as_ref(), &project)),
            project,
            lakes: Arc::new(KnownLakes::default()),
        }
    }

    /// Snapshots of `project` in a bucket, where keys begin with `prefix`. Nothing is asked yet.
    ///
    /// # Errors
    /// `Invalid` for settings that make no address.
    pub fn in_bucket(settings: &BucketSettings, prefix: &str, project: ProjectId) -> Result<Self> {
        Ok(Self {
            place: Arc::new(InBucket::new(settings, prefix, &project)?),
            project,
            lakes: Arc::new(KnownLakes::default()),
        })
    }

    /// The same, where whoever takes a snapshot says so often that it is there.
    ///
    /// # Errors
    /// As there.
    pub fn in_bucket_beating(
        settings: &BucketSettings,
        prefix: &str,
        project: ProjectId,
        beat: Duration,
    ) -> Result<Self> {
        Ok(Self {
            place: Arc::new(InBucket::new(settings, prefix, &project)?.beating(beat)),
            project,
            lakes: Arc::new(KnownLakes::default()),
        })
    }

    /// The same, where snapshots may be pinned in lakes.
    #[must_use]
    pub fn with_lakes(self, lakes: Arc<dyn Lakes>) -> Self {
        Self { lakes, ..self }
    }

    /// Who knows how lakes are reached.
    pub(crate) fn lakes(&self) -> &dyn Lakes {
        &*self.lakes
    }

    pub(crate) fn place(&self) -> &dyn Place {
        &*self.place
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// The folder of the project; in a bucket its address.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(&self.place.root()).join(self.project.as_str())
    }

    /// The folder of a snapshot; in a bucket its address.
    #[must_use]
    pub fn snapshot(&self, id: &SnapshotId) -> PathBuf {
        PathBuf::from(self.place.folder(id))
    }

    /// Ids of the snapshots that are visible, in the order of their letters.
    ///
    /// # Errors
    /// `NotFound` if the project has none, and no folder.
    pub fn ids(&self) -> Result<Vec<SnapshotId>> {
        let Some(mut ids) = self.place.ids()? else {
            return Err(Error::refused(
                ErrorKind::NotFound,
                format!(
                    "there is no project `{}` in `{}`",
                    self.project,
                    self.place.root()
                ),
                "`pintail snapshot create` makes it; `--dir` says where snapshots lie.",
            ));
        };
        ids.sort();
        Ok(ids)
    }

    /// Whether there is such a snapshot.
    ///
    /// # Errors
    /// Those of the object store.
    pub fn visible(&self, id: &SnapshotId) -> Result<bool> {
        self.place.visible(id)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// `NotFound` for a snapshot or a project that is not there, and those of [`Manifest::read`].
    pub fn manifest(&self, id: &SnapshotId) -> Result<Manifest> {
        Ok(self.sealed_manifest(id)?.0)
    }

    /// A manifest and its hash.
    pub(crate) fn sealed_manifest(&self, id: &SnapshotId) -> Result<(Manifest, String)> {
        let Some(content) = self.place.manifest(id)? else {
            // A project that is not there is told first.
            let known = self.ids()?;
            return Err(self.unknown(id, &known));
        };
        let place = format!("{}/{}", self.place.folder(id), manifest::FILE_NAME);
        let (manifest, hash) = Manifest::read(&content, &place)?;
        if manifest.snapshot_id != *id || manifest.project_id != self.project {
            return Err(Error::refused(
                ErrorKind::Data,
                format!(
                    "cannot use manifest `{place}`: it is that of snapshot `{}` of project `{}`",
                    manifest.snapshot_id, manifest.project_id
                ),
                "Give the folder its own name back.",
            ));
        }
        Ok((manifest, hash))
    }

    pub(crate) fn unknown(&self, id: &SnapshotId, known: &[SnapshotId]) -> Error {
        let hint = match known.last() {
            None => "It has none yet.".to_owned(),
            Some(_) => format!("`pintail snapshot list --project {}` shows them.", self.project),
        };
        Error::refused(
            ErrorKind::NotFound,
            format!("project `{}` has no snapshot `{id}`", self.project),
            hint,
        )
    }

    /// Manifests of all visible snapshots, oldest first. Those that cannot be read come beside them.
    pub fn manifests(&self) -> Result<(Vec<Manifest>, Vec<Broken>)> {
        let mut manifests = Vec::new();
        let mut broken = Vec::new();
        let ids = self.ids()?;
        let read = each(&ids, self.place.questions(), |id| self.manifest(id));
        for (id, manifest) in ids.into_iter().zip(read) {
            match manifest {
                Ok(manifest) => manifests.push(manifest),
                // Gone between the list and now.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => broken.push((id, error)),
            }
        }
        manifests.sort_by(|a, b| (a.created_at, &a.snapshot_id).cmp(&(b.created_at, &b.snapshot_id)));
        Ok((manifests, broken))
    }

    /// Begins a snapshot: from now on nobody else can take one of that name.
    ///
    /// # Errors
    /// `Conflict` if there is one, or one is being taken.
    pub(crate) fn begin(&self, id: &SnapshotId) -> Result<Box<dyn Work>> {
        match self.place.begin(id)? {
            Begun::Mine(work) => Ok(work),
            Begun::Taken(what) => Err(taken(&self.project, id, what)),
        }
    }

    /// Removes what takers and sweepers that died left behind. Returns how many snapshots were never taken. In a bucket, those
    /// of which nothing was heard for `silence` are taken for dead.
    ///
    /// # Errors
    /// `Unavailable` or `Unauthorized` for a place that cannot be changed.
    pub fn sweep_after(&self, silence: Duration) -> Result<u64> {
        Ok(self.place.sweep(&[], &|_| false, silence)?.given_up)
    }

    /// The same after the usual quarter of an hour.
    ///
    /// # Errors
    /// As there.
    pub fn sweep(&self) -> Result<u64> {
        self.sweep_after(SILENCE)
    }
}

/// The error for a name that somebody else has.
pub(crate) fn taken(project: &ProjectId, id: &SnapshotId, how: &str) -> Error {
    Error::refused(
        ErrorKind::Conflict,
        format!("project `{project}` has a snapshot `{id}` {how}"),
        "Choose another `--id`, or none: one is made of the time then.",
    )
}
