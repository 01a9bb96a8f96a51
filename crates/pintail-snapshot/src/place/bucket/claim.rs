//! Claims: who takes or removes a snapshot of some name right now.
//!
//! A claim is an object that is put if there is none, and renewed by a thread of its own under the condition that nobody else put
//! another one. One that was not renewed for a while may be taken over. Its holder, if it lives after all, cannot renew it
//! any more, and it has to once more before it publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pintail_model::ErrorKind;
use pintail_storage::{Condition, Put, Store};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::SnapshotId;

/// What the holder of a claim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Doing {
    Taking,
    Removing,
}

/// What stands in a claim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    /// Nobody else's.
    token: String,
    pub(super) doing: Doing,
    /// How often it was renewed: what makes each time another object.
    beats: u64,
    /// Keys of files of other snapshots that this one refers to, or is about to.
    #[serde(default)]
    pub(super) uses: BTreeSet<String>,
    /// Ids of uploads that were begun, by key.
    #[serde(default)]
    uploads: BTreeMap<String, String>,
}

/// A claim that this process holds. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    shared: Arc<Shared>,
    heart: Option<(Sender<()>, JoinHandle<()>)>,
    /// What its holder before did, if that died.
    pub(super) taken_over: Option<Doing>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    key: String,
    id: SnapshotId,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    note: Note,
    etag: String,
    renewed_at: Instant,
    lost: bool,
}

impl Claim {
    pub(super) fn take(
        store: &Store,
        key: &str,
        id: &SnapshotId,
        doing: Doing,
        silence: Duration,
        beat: Duration,
    ) -> Result<Option<Self>> {
        let note = Note {
            token: format!("{:016x}", fastrand::u64(..)),
            doing,
            beats: 0,
            uses: BTreeSet::new(),
            uploads: BTreeMap::new(),
        };
        let content = content(&note);
        let asked_at = Instant::now();
        let (etag, before) = match store
            .put_for_certain(key, &content, Condition::Absent)
            .map_err(|error| told(store, error))?
        {
            Put::Done(etag) => (etag, None),
            Put::Refused => {
                let Some((found, etag)) = store.get(key)? else {
                    return Ok(None);
                };
                if store.age(key)?.is_none_or(|age| age < silence) {
                    return Ok(None);
                }
                match store.put_for_certain(key, &content, Condition::Unchanged(&etag))? {
                    Put::Done(etag) => (etag, serde_json::from_slice::<Note>(&found).ok()),
                    Put::Refused => return Ok(None),
                }
            }
        };
        let shared = Arc::new(Shared {
            store: store.clone(),
            key: key.to_owned(),
            id: id.clone(),
            state: Mutex::new(State {
                note,
                etag,
                renewed_at: asked_at,
                lost: false,
            }),
        });
        for (key, upload) in before.iter().flat_map(|note| &note.uploads) {
            store.give_up_upload(key, upload)?;
        }
        let claim = Self {
            heart: Some(shared.beat(beat)),
            shared,
            taken_over: before.map(|note| note.doing),
        };
        if doing == Doing::Taking {
            assert_conditions(store, key)?;
        }
        Ok(Some(claim))
    }

    /// A word that no other claim has.
    pub(super) fn token(&self) -> String {
        self.shared.state().note.token.clone()
    }

    /// Says what else is to be known about the holder. Others know it when this is done.
    ///
    /// # Errors
    /// `Conflict` if somebody else took the claim over.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Note)) -> Result<()> {
        self.shared.renew(change)
    }

    /// That an upload was begun which has to be given up if its holder dies.
    pub(super) fn tell_upload(&self, key: &str, upload: &str) -> Result<()> {
        self.tell(|note| {
            note.uploads.insert(key.to_owned(), upload.to_owned());
        })
    }

    /// Whether others respect it for `time` to come, at least.
    ///
    /// # Errors
    /// `Conflict` if somebody else took the claim over.
    pub(super) fn assure(&self, time: Duration) -> Result<()> {
        let fresh = {
            let state = self.shared.state();
            !state.lost && state.renewed_at.elapsed() < time
        };
        if fresh { Ok(()) } else { self.tell(|_| ()) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((stop, heart)) = self.heart.take() {
            drop(stop);
            let _ = heart.join();
        }
        let state = self.shared.state();
        if !state.lost
            && let Err(error) = self.shared.give_back(&state)
        {
            tracing::warn!(%error, "a claim was left to the next sweep");
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// A thread that renews the claim until its sender is dropped.
    fn beat(self: &Arc<Self>, beat: Duration) -> (Sender<()>, JoinHandle<()>) {
        let (stop, stopped) = channel();
        let shared = Arc::clone(self);
        let heart = std::thread::spawn(move || {
            while stopped.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                match shared.renew(|_| ()) {
                    Err(error) if error.kind() == ErrorKind::Conflict => return,
                    Err(error) => tracing::warn!(%error, "a claim was not renewed"),
                    Ok(()) => {}
                }
            }
        });
        (stop, heart)
    }

    fn renew(&self, change: impl FnOnce(&mut Note)) -> Result<()> {
        let mut state = self.state();
        if !state.lost {
            let mut note = state.note.clone();
            note.beats += 1;
            change(&mut note);
            let asked_at = Instant::now();
            let condition = Condition::Unchanged(&state.etag);
            match self
                .store
                .put_for_certain(&self.key, &content(&note), condition)?
            {
                Put::Done(etag) => {
                    state.note = note;
                    state.etag = etag;
                    state.renewed_at = asked_at;
                    return Ok(());
                }
                Put::Refused => state.lost = true,
            }
        }
        Err(Error::refused(
            ErrorKind::Conflict,
            format!(
                "snapshot `{}` was given up: somebody took its taker for dead",
                self.id
            ),
            "Nothing was heard of it for too long: the connection was away, or this machine stood still. Take it again.",
        ))
    }

    /// The condition that it still is ours is looked at first: a delete takes none.
    fn give_back(&self, state: &State) -> Result<()> {
        let found = self.store.find(&self.key)?;
        match found.is_some_and(|found| found.etag == state.etag) {
            true => Ok(self.store.delete(&self.key)?),
            false => Ok(()),
        }
    }
}

fn content(note: &Note) -> Vec<u8> {
    serde_json::to_vec(note).expect("a claim has a JSON form")
}

/// Makes sure that the server does not put what it is to refuse: without that two could take one snapshot.
fn assert_conditions(store: &Store, key: &str) -> Result<()> {
    match store.put_for_certain(key, b"{}", Condition::Absent) {
        Ok(Put::Refused) => Ok(()),
        Ok(Put::Done(_)) => {
            store.delete(key)?;
            Err(unconditional(store))
        }
        Err(error) => Err(told(store, error)),
    }
}

/// An error of a conditional put.
fn told(store: &Store, error: pintail_storage::Error) -> Error {
    match error {
        // Not implemented.
        pintail_storage::Error::Refused { status: 501, .. } => unconditional(store),
        error => error.into(),
    }
}

fn unconditional(store: &Store) -> Error {
    Error::refused(
        ErrorKind::Invalid,
        format!(
            "cannot keep snapshots in `{}`: the server does not know conditional puts",
            store.url("")
        ),
        "It has to look at `If-None-Match` and `If-Match` of PUT, as Amazon S3, MinIO and Cloudflare R2 do today.",
    )
}
