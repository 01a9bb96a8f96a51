//! A snapshot on its way into a bucket: each file is made on this machine, put in place, and read there before it is removed here.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use pintail_model::ErrorKind;
use pintail_storage::{Condition, Outgoing, Put};

use super::claim::Claim;
use super::{InBucket, SILENCE};
use crate::error::{Error, Result};
use crate::file_hash::FileHash;
use crate::folder::taken;
use crate::id::SnapshotId;
use crate::manifest::TableEntry;
use crate::place::staging::Staging;
use crate::place::{Document, GoOn, Kept, Place, Stored, Work};
use crate::registry::Record;

/// A snapshot on its way.
pub(super) struct Upload {
    place: InBucket,
    id: SnapshotId,
    staging: Staging,
    /// Keys of the files that were put, and their sizes.
    files: Vec<(String, u64)>,
    published: bool,
    // Last: nothing of it is left when the claim is given back.
    claim: Claim,
}

impl Upload {
    pub(super) fn new(place: InBucket, id: SnapshotId, claim: Claim) -> Result<Self> {
        Ok(Self {
            place,
            id,
            staging: Staging::new()?,
            files: Vec::new(),
            published: false,
            claim,
        })
    }

    /// Puts a file under its name or, if something lies there that died or is used by others, under one that only this
    /// snapshot knows.
    fn put(&mut self, name: &str, bytes: u64, go_on: &GoOn<'_>) -> Result<String> {
        let stem = name.strip_suffix(".parquet").unwrap_or(name);
        let own = format!("{stem}.{}.parquet", self.claim.token());
        for (file, condition) in [(name, Condition::Absent), (&own, Condition::Always)] {
            // Nobody else puts files here as long as it is ours.
            self.claim.tell(|_| ())?;
            let stored = Stored {
                folder: &self.id,
                name: file,
            };
            let key = self.place.file_key(stored);
            let path = self.path(name);
            let mut content = Content {
                file: File::open(&path).map_err(Error::file("open", &path))?,
                path,
                key: key.clone(),
                claim: &self.claim,
                go_on,
            };
            let put = self.place.store.upload(&key, bytes, condition, &mut content)?;
            if let Put::Done(_) = put {
                self.files.push((key, bytes));
                return Ok(file.to_owned());
            }
        }
        Err(Error::refused(
            ErrorKind::Unavailable,
            format!(
                "cannot write `{}/{own}`: the server refuses it",
                self.place.folder(&self.id)
            ),
            "Nothing of the snapshot is visible. Try again.",
        ))
    }

    /// The error if what is about to be published is not there: somebody removed it.
    fn assert_complete(&self) -> Result<()> {
        let there = self.place.files(&self.id)?;
        let folder = self.place.folder_key(&self.id);
        for (key, bytes) in &self.files {
            let found = match key.strip_prefix(&folder) {
                Some(name) => there.get(name).copied(),
                None => self.place.store.find(key)?.map(|found| found.bytes),
            };
            if found != Some(*bytes) {
                return Err(Error::refused(
                    ErrorKind::Conflict,
                    format!(
                        "cannot keep snapshot `{}`: somebody removed `{}`",
                        self.id,
                        self.place.store.url(key)
                    ),
                    "Take it again.",
                ));
            }
        }
        Ok(())
    }
}

impl Work for Upload {
    fn path(&self, name: &str) -> PathBuf {
        self.staging.file(name)
    }

    fn keep(&mut self, name: &str, hash: &FileHash, prove: bool, go_on: &GoOn<'_>) -> Result<Kept> {
        let file = self.put(name, hash.bytes, go_on)?;
        let stored = Stored {
            folder: &self.id,
            name: &file,
        };
        let read = || self.place.stream(&self.place.file_key(stored), |_| go_on());
        if prove && read()?.as_ref() != Some(hash) {
            let url = self.place.store.url(&self.place.file_key(stored));
            return Err(Error::refused(
                ErrorKind::Data,
                format!("cannot keep `{url}`: it does not read back as it was written"),
                "No snapshot was made. If it happens again, the server does not keep what it is given.",
            ));
        }
        let path = self.path(name);
        std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        Ok(Kept {
            file,
            stored_in: None,
        })
    }

    fn reuse(
        &mut self,
        of: &SnapshotId,
        before: &TableEntry,
        _: &str,
        prove: bool,
        go_on: &GoOn<'_>,
    ) -> Result<Option<Kept>> {
        let stored = before.stored(of);
        let key = self.place.file_key(stored);
        // In this order: see `references`.
        self.claim.tell(|note| {
            note.uses.insert(key.clone());
        })?;
        if !self.place.visible(of)? {
            return Ok(None);
        }
        let sound = match prove {
            true => {
                let read = self.place.stream(&key, |_| go_on())?;
                read.is_some_and(|hash| hash.is_of(before))
            }
            false => {
                let found = self.place.store.find(&key)?;
                found.is_some_and(|found| found.bytes == before.size_bytes)
            }
        };
        if !sound {
            return Ok(None);
        }
        self.files.push((key, before.size_bytes));
        Ok(Some(Kept {
            file: before.file.clone(),
            stored_in: Some(stored.folder.clone()),
        }))
    }

    fn publish(mut self: Box<Self>, manifest: &[u8], record: &Record) -> Result<()> {
        let store = &self.place.store;
        let key = self.place.document_key(Document::Record(&self.id));
        let before = store.get(&key)?;
        self.claim.tell(|_| ())?;
        self.assert_complete()?;
        // First, so that nobody ever sees it without its hold.
        let condition = match &before {
            Some((_, etag)) => Condition::Unchanged(etag),
            None => Condition::Absent,
        };
        let registered = store.put_for_certain(&key, &record.content(), condition)?;
        let manifest_key = self.place.manifest_key(&self.id);
        let put = match registered {
            Put::Done(_) => store.put_for_certain(&manifest_key, manifest, Condition::Absent),
            Put::Refused => Ok(Put::Refused),
        };
        match put {
            Ok(Put::Done(_)) => {}
            Ok(Put::Refused) => return Err(taken(&self.place.project, &self.id, "already")),
            Err(error) => {
                // Nobody knows whether it is visible. If it is, its files have to stay.
                self.published = true;
                return Err(error.into());
            }
        }
        self.published = true;
        // Whoever took the claim over while the manifest was on its way may have removed files.
        if let Err(error) = self.claim.tell(|_| ())
            && error.kind() == ErrorKind::Conflict
        {
            self.published = false;
            self.place.store.delete(&manifest_key)?;
            return Err(error);
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        // Once somebody else has the claim, others may have put files under all names but those with our word in them.
        let (ours, token) = (self.claim.assure(SILENCE / 3).is_ok(), self.claim.token());
        let own = self.place.folder_key(&self.id);
        for (key, _) in &self.files {
            if key.starts_with(&own)
                && (ours || key.contains(&token))
                && let Err(error) = self.place.store.delete(key)
            {
                tracing::warn!(%error, "a snapshot that was given up was left to the next sweep");
                return;
            }
        }
    }
}

/// A file on its way.
struct Content<'a> {
    file: File,
    path: PathBuf,
    key: String,
    claim: &'a Claim,
    go_on: &'a GoOn<'a>,
}

impl Outgoing for Content<'_> {
    type Error = Error;

    fn next(&mut self, bytes: u64) -> Result<Vec<u8>> {
        (self.go_on)()?;
        let mut piece = Vec::new();
        let read = (&self.file).take(bytes).read_to_end(&mut piece);
        read.map_err(Error::file("read", &self.path))?;
        Ok(piece)
    }

    fn begun(&mut self, upload: &str) -> Result<()> {
        self.claim.tell_upload(&self.key, upload)
    }
}
