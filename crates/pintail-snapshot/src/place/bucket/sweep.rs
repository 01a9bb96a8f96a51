//! Removing: snapshots that are to go, and what takers and sweepers who died left behind.
//!
//! A snapshot goes in this order: it is claimed; its record says that it goes, so that nobody holds it any more; its manifest is
//! deleted, and nobody sees it any more; its files are deleted, but for those that others use; its record, and the claim.
//! Whatever the moment of a crash, the next sweep goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::claim::{Claim, Doing};
use super::{InBucket, SILENCE, references};
use crate::error::Result;
use crate::id::SnapshotId;
use crate::place::{Document, Place, Swept};
use crate::registry::Record;

/// Names that this sweep has claimed, and the files that may go with each.
type Claimed = BTreeMap<SnapshotId, (Claim, BTreeSet<String>)>;

pub(super) fn run(
    place: &InBucket,
    going: &[SnapshotId],
    over: &dyn Fn(&Record) -> bool,
    silence: Duration,
) -> Result<Swept> {
    let mut swept = Swept::default();
    let mut claimed = Claimed::new();
    for id in going {
        if let Some((claim, files)) = take_away(place, id, over, silence)? {
            claimed.insert(id.clone(), (claim, files));
            swept.gone.push(id.clone());
        }
    }
    for id in left(place, &claimed, silence)? {
        let Some(claim) = place.claim(&id, Doing::Removing, silence)? else {
            continue;
        };
        // It may have become visible since it was listed.
        if place.visible(&id)? {
            continue;
        }
        swept.given_up += u64::from(claim.taken_over == Some(Doing::Taking));
        let files = old_files(place, &id, claim.taken_over.is_some(), silence)?;
        claimed.insert(id, (claim, files));
    }
    let any = claimed.values().any(|(_, files)| !files.is_empty());
    let used = if any { references::in_use(place)? } else { None };
    for (id, (claim, files)) in claimed {
        if let Some(used) = &used {
            for key in files.difference(used) {
                // Nobody else may put a file there in the meantime.
                claim.assure(SILENCE / 3)?;
                place.store.delete(key)?;
            }
        }
        claim.assure(SILENCE / 3)?;
        place.store.delete(&place.document_key(Document::Record(&id)))?;
    }
    Ok(swept)
}

/// Makes a snapshot invisible, if its record still says so.
fn take_away(
    place: &InBucket,
    id: &SnapshotId,
    over: &dyn Fn(&Record) -> bool,
    silence: Duration,
) -> Result<Option<(Claim, BTreeSet<String>)>> {
    let Some(claim) = place.claim(id, Doing::Removing, silence)? else {
        return Ok(None);
    };
    let Some(manifest) = place.manifest(id)? else {
        return Ok(None);
    };
    let document = Document::Record(id);
    let mut goes = false;
    place.change(document, &mut |content| {
        let mut record = Record::read(content, &place.name(document))?;
        goes = over(&record);
        record.going = true;
        Ok(goes.then(|| record.content()))
    })?;
    if !goes {
        return Ok(None);
    }
    claim.assure(SILENCE / 3)?;
    place.store.delete(&place.manifest_key(id))?;
    let mut files: BTreeSet<String> = references::files(place, id, &manifest)
        .into_iter()
        .flatten()
        .collect();
    let beside = place.files(id)?;
    files.extend(
        beside
            .keys()
            .map(|name| format!("{}{name}", place.folder_key(id))),
    );
    Ok(Some((claim, files)))
}

/// Names of which there is something without a snapshot, for so long that nobody can be at it.
fn left(place: &InBucket, claimed: &Claimed, silence: Duration) -> Result<Vec<SnapshotId>> {
    let contents = place.contents()?;
    let mut left = Vec::new();
    let known = contents
        .files
        .keys()
        .chain(&contents.claimed)
        .chain(&contents.recorded);
    for id in known.collect::<BTreeSet<_>>() {
        let old = |key: &str| Ok(place.store.age(key)?.is_some_and(|age| age >= silence));
        let goes = if claimed.contains_key(id) {
            false
        } else if contents.claimed.contains(id) {
            // Also that of a snapshot whose taker died just after it became visible.
            old(&place.claim_key(id))?
        } else if contents.visible.contains(id) {
            false
        } else if contents.recorded.contains(id) {
            old(&place.document_key(Document::Record(id)))?
        } else {
            // Some that are used by others stay for long, and are looked at each time.
            let files = contents.files.get(id).into_iter().flatten();
            files
                .map(|key| old(key))
                .collect::<Result<Vec<bool>>>()?
                .contains(&true)
        };
        if goes {
            left.push(id.clone());
        }
    }
    Ok(left)
}

/// What lies in the folder of a snapshot that is none. What somebody else brought there needs its time.
fn old_files(
    place: &InBucket,
    id: &SnapshotId,
    given_up: bool,
    silence: Duration,
) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for name in place.files(id)?.into_keys() {
        let key = format!("{}{name}", place.folder_key(id));
        if given_up || place.store.age(&key)?.is_some_and(|age| age >= silence) {
            files.insert(key);
        }
    }
    Ok(files)
}
