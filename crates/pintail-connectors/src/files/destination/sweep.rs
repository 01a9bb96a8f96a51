//! Files that no manifest names any more, and nothing else: below a table's folder lie those of other tables, and of other
//! programs.

use std::collections::BTreeSet;
use std::path::Path;

use pintail_lake::depot::FoundFile;
use pintail_lake::{Result, SweepPolicy, Swept};
use pintail_model::{RunId, TableName};

use super::super::layout::Layout;
use super::super::manifest::{FOLDER, begun};
use super::attached::FilesDestination;
use super::commit::PART;

/// What a file is that was found.
enum Kind<'a> {
    /// Data, after the beginning that all names have.
    Data(&'a str),
    /// Staged by a run, whose name it begins with.
    Staged(&'a str),
    /// A manifest that somebody began to write: of whom, nobody knows.
    Begun,
}

/// Removes files of a table that nothing refers to any more.
pub(super) fn sweep(
    destination: &FilesDestination,
    table: &TableName,
    policy: &SweepPolicy,
) -> Result<Swept> {
    let folder = destination.place.table_folder(table)?;
    let mut swept = Swept::default();
    // Listed before the manifest is read: what comes in between is younger than any policy, or of a live run.
    let found = destination.depot.below_unlinked(&folder)?;
    let Some(manifest) = destination.look_up(table)? else {
        return Ok(swept);
    };
    let layouts = [&manifest.layout, &destination.place.layout];
    let found: Vec<(&str, &FoundFile)> = found
        .iter()
        .filter_map(|file| Some((inside(&folder, &file.path)?, file)))
        .collect();
    let others: BTreeSet<&str> = found.iter().filter_map(|(inside, _)| other(inside)).collect();
    for (inside, file) in found {
        let of_other = others.iter().any(|other| lies_in(inside, other));
        let Some(kind) = kind(inside, layouts).filter(|_| !of_other && !manifest.keeps(inside)) else {
            continue;
        };
        let own = |name: &str| policy.own_runs.iter().any(|run| is_of(name, run.as_str()));
        let (own, known) = match kind {
            Kind::Data(name) => (own(name), name.split('-').next().and_then(RunId::parse).is_some()),
            Kind::Staged(name) => (own(name), true),
            Kind::Begun => (false, true),
        };
        let old = policy.older_than.is_some_and(|limit| file.age >= limit);
        if own || (known && old) {
            destination.depot.remove(&file.path)?;
            let stays = match kind {
                Kind::Data(_) => folder.clone(),
                Kind::Staged(_) | Kind::Begun => folder.join(FOLDER).join("stage"),
            };
            destination.depot.remove_empty_folders(&stays, &file.path);
            swept.files += 1;
            swept.bytes += file.bytes;
        }
    }
    Ok(swept)
}

/// The path of a file below a folder.
fn inside<'a>(folder: &Path, file: &'a Path) -> Option<&'a str> {
    file.strip_prefix(folder).ok()?.to_str()
}

/// The folder of another table that has this file among its notes.
fn other(inside: &str) -> Option<&str> {
    let (folder, _) = inside.split_once(&format!("/{FOLDER}/"))?;
    Some(folder)
}

fn lies_in(inside: &str, folder: &str) -> bool {
    let rest = inside.strip_prefix(folder);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// What a file of the table is; `None` for a manifest, and for files of others.
fn kind<'a>(inside: &'a str, layouts: [&Layout; 2]) -> Option<Kind<'a>> {
    if let Some(note) = inside.strip_prefix(&format!("{FOLDER}/")) {
        return match note.strip_prefix("stage/") {
            Some(staged) => Some(Kind::Staged(staged)),
            None => begun(note).then_some(Kind::Begun),
        };
    }
    let mut folders: Vec<&str> = inside.split('/').collect();
    let name = folders.pop()?.strip_prefix(PART)?;
    let usable = layouts.iter().any(|layout| layout.may_use(&folders));
    usable.then_some(Kind::Data(name))
}

/// Whether a name begins with that of a run.
fn is_of(name: &str, run: &str) -> bool {
    let rest = name.strip_prefix(run);
    rest.is_some_and(|rest| rest.starts_with(['-', '/']))
}
