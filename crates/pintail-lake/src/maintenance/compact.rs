//! One table: files with many deletes are written anew, and small ones merged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::measure::Measured;
use super::{Compacted, Maintenance, TableMaintained, step};
use crate::commit::guard;
use crate::depot::Depot;
use crate::error::Result;
use crate::lake::{ALIAS, Lake};
use crate::metadata;
use crate::quote;
use crate::session::{Call, Session};

/// Files that one step merges at most: a commit waits for no more than that.
const FILES_MAX: u32 = 100;

pub(super) fn compact(lake: &Lake, table: &Measured, asked: &Maintenance) -> Result<TableMaintained> {
    let mut done = table.untouched();
    if done.skipped.is_some() {
        return Ok(done);
    }
    let name = quote::literal(&table.name.table);
    let schema = quote::literal(table.name.schema_or("main"));
    if table.to_rewrite(asked).from > 0 {
        let sql = format!(
            "from ducklake_rewrite_data_files('{ALIAS}', {name}, schema => {schema}, delete_threshold => {})",
            asked.rewrite_from
        );
        done.rewritten = call(lake, table, "write files of a table anew", &sql)?;
    }
    // One more than there is to do: what was written anew is small, too.
    if table.to_merge(asked).from > 0 || done.rewritten.to > 0 {
        let sql = format!(
            "from ducklake_merge_adjacent_files('{ALIAS}', {name}, schema => {schema}, max_compacted_files => {FILES_MAX})"
        );
        loop {
            let merged = call(lake, table, "merge files of a table", &sql)?;
            done.merged.from += merged.from;
            done.merged.to += merged.to;
            // A file for a file is no progress, and would go on for ever.
            if merged.from <= merged.to {
                break;
            }
        }
    }
    Ok(done)
}

/// Runs one of DuckLake's functions in a step, and brings what it wrote to disk before it is referred to.
fn call(lake: &Lake, table: &Measured, what: &str, sql: &str) -> Result<Compacted> {
    let label = format!("{what} of the lake: \"{}\"", table.name);
    step(lake, &table.name, |session| {
        let folder = metadata::place(lake, session, &table.name)?.map(|place| place.folder);
        // Its files may be waiting to be put back, after an answer that was lost.
        if let Some(folder) = &folder {
            guard::put_back(lake, session, folder)?;
        }
        let depot = lake.depot();
        let before = match &folder {
            Some(folder) => written(depot, folder)?,
            None => BTreeSet::new(),
        };
        let compacted = compacted(session, &label, sql)?;
        if let Some(folder) = &folder {
            bring_to_disk(depot, written(depot, folder)?.difference(&before))?;
        }
        Ok(compacted)
    })
}

fn compacted(session: &Session, label: &str, sql: &str) -> Result<Compacted> {
    let sql = format!(
        "select coalesce(sum(files_processed), 0)::bigint, coalesce(sum(files_created), 0)::bigint from ({sql})"
    );
    let rows = session.query(Call::new(label), &sql)?;
    let number = |index| {
        let number = rows.first().and_then(|row| row.integer(index));
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    };
    Ok(Compacted {
        from: number(0),
        to: number(1),
    })
}

/// Files of DuckLake below the folder of a table.
fn written(depot: &Depot, folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let own = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("ducklake-"))
    };
    let found = depot.below(folder)?.into_iter().map(|file| file.path);
    Ok(found.filter(own).collect())
}

fn bring_to_disk<'a>(depot: &Depot, files: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let files: Vec<&Path> = files.map(PathBuf::as_path).collect();
    for file in &files {
        depot.secure(file)?;
    }
    depot.secure_names(files)
}
