//! Which files are in use: those that a visible snapshot has, and those that one on its way is about to have.
//!
//! Whoever takes a snapshot says in its claim which files it is going to use, and then looks whether the snapshot that it has
//! them from is still there. Whoever removes files looks at manifests, then at claims, then at manifests again. So a file that gets
//! into use meanwhile is seen in one of the three, or its new user saw that it is about to go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::InBucket;
use super::claim::Note;
use crate::each::each;
use crate::error::Result;
use crate::id::SnapshotId;
use crate::place::Place;

/// Keys of the files in use. `None` if a manifest cannot be read at all: then it is not known what it uses.
pub(super) fn in_use(place: &InBucket) -> Result<Option<BTreeSet<String>>> {
    let mut used = BTreeSet::new();
    let first = place.contents()?;
    if !add(place, &first.visible, &mut used)? {
        return Ok(None);
    }
    for object in place.store.list(&place.claims_key())? {
        let note = place.store.get(&object.key)?;
        let note = note.and_then(|(content, _)| serde_json::from_slice::<Note>(&content).ok());
        used.extend(note.into_iter().flat_map(|note| note.uses));
    }
    let second = place.contents()?;
    let new = second.visible.difference(&first.visible).cloned().collect();
    Ok(add(place, &new, &mut used)?.then_some(used))
}

/// False if one of the manifests cannot be read.
fn add(place: &InBucket, ids: &BTreeSet<SnapshotId>, used: &mut BTreeSet<String>) -> Result<bool> {
    let ids: Vec<&SnapshotId> = ids.iter().collect();
    let read = each(&ids, place.questions(), |id| place.manifest(id));
    for (id, manifest) in ids.into_iter().zip(read) {
        let Some(content) = manifest? else { continue };
        let Some(files) = files(place, id, &content) else {
            tracing::warn!(%id, "no files are removed: a manifest does not tell which it uses");
            return Ok(false);
        };
        used.extend(files);
    }
    Ok(true)
}

/// Keys of the files of a manifest. It is read without looking at anything else, so that one of a later format, or one that
/// was changed by hand, keeps its files.
pub(super) fn files(place: &InBucket, id: &SnapshotId, manifest: &[u8]) -> Option<Vec<String>> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let key = |table: &Value| {
        let file = table.get("file")?.as_str()?;
        let folder = table
            .get("stored_in")
            .and_then(Value::as_str)
            .unwrap_or(id.as_str());
        Some(format!("{}{folder}/{file}", place.project_key()))
    };
    let tables = manifest.get("tables")?.as_array()?;
    Some(tables.iter().filter_map(key).collect())
}
