//! A delta into files: those with rows under a staged key are written anew, wherever they lie.
//!
//! Small files of a folder are taken along once there are several of them, so that there are never many.

use std::collections::{BTreeMap, BTreeSet};

use pintail_lake::commit::{check_copies, copies, same_row};
use pintail_lake::quote::{self, identifier, identifiers};
use pintail_lake::{Call, Destination, Result, StagedFile};

use super::super::manifest::{DataFile, Manifest};
use super::super::rows::{FILE, Rows};
use super::place::Placing;

/// Files that are smaller are taken along when a delta writes files anew, once a folder has several of them.
pub(super) const SMALL_BYTES: u64 = 16 << 20;
const SMALL_FILES: usize = 8;

/// Staged rows that take the place of others.
pub(super) struct Merge<'a> {
    pub(super) placing: &'a Placing<'a>,
    pub(super) before: &'a Manifest,
    /// Which row takes the place of which: that with the same key. Without a key, none does.
    pub(super) key: &'a [String],
    /// The column that tells which of two rows is later.
    pub(super) newer: Option<&'a str>,
    pub(super) staged: &'a [StagedFile],
    /// Keys of rows that go; without a key, whole rows of which all copies go.
    pub(super) gone: &'a [StagedFile],
}

/// What is to come in instead.
pub(super) struct Merged {
    /// Files that stay.
    pub(super) kept: Vec<DataFile>,
    /// The rows of all others, with the staged ones and without those that they replace.
    pub(super) file: StagedFile,
    pub(super) updated: u64,
    pub(super) inserted: u64,
    pub(super) deleted: u64,
}

impl Merge<'_> {
    /// Writes the rows of files that hold staged keys, with the staged rows and without the ones that they replace.
    pub(super) fn write(&self) -> Result<Merged> {
        let Placing {
            destination,
            session,
            columns,
            ..
        } = *self.placing;
        let touched = self.touched()?;
        let (rewritten, kept): (Vec<DataFile>, Vec<DataFile>) = self
            .before
            .files
            .iter()
            .cloned()
            .partition(|file| touched.contains(&file.path));
        let (staged, gone) = (self.staged(), self.gone());
        let old = self.rows(&rewritten).relation();
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let all = |of: &str| {
            let columns = names.iter().map(|name| format!("{of}.{}", identifier(name)));
            columns.collect::<Vec<_>>().join(", ")
        };
        let (gone_too, later) = (self.same(), self.later());
        let same = match self.key {
            [] => "false".to_owned(),
            _ => gone_too.clone(),
        };
        // Not as a condition: what an outer row is looked up by takes -0.0 for 0.0.
        let staying = format!("(select kept.* from {old} as kept anti join {gone} as staged on {gone_too})");
        // Rows of which the table has a later version are not brought in, and what they would replace stays.
        let merged = format!(
            "select {kept}
             from {staying} as kept
             where not exists (select 1 from {staged} as staged where {same} and not {later})
             union all
             select {new}
             from {staged} as staged
             where not exists (select 1 from {old} as kept where {same} and {later})",
            kept = all("kept"),
            new = all("staged"),
        );
        let _callers = destination.engine().callers(1)?;
        let label = "count the rows that are replaced";
        let counted = session.query(
            Call::new(label),
            &format!(
                "select count(*) filter (where not {later}), count(*) filter (where {later})
                 from {old} as kept join {staged} as staged on {same}"
            ),
        )?;
        let number = |index| {
            let found = counted.first().and_then(|row| row.integer(index));
            u64::try_from(found.unwrap_or(0)).unwrap_or(0)
        };
        let (updated, superseded) = (number(0), number(1));
        let going = session.query(
            Call::new(label),
            &format!("select count(*) from {old} as kept semi join {gone} as staged on {gone_too}"),
        )?;
        let deleted = going.first().and_then(|row| row.integer(0));
        let deleted = deleted.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0);
        if self.key.is_empty() {
            check_copies(self.placing.table, copies(session, self.gone)?, deleted)?;
        }
        let brought: u64 = self.staged.iter().map(|file| file.rows).sum();
        let inserted = brought.saturating_sub(updated + superseded);
        let before: u64 = rewritten.iter().map(|file| file.rows).sum();
        let file = self
            .placing
            .rewrite(&merged, (before + inserted).saturating_sub(deleted))?;
        Ok(Merged {
            kept,
            file,
            updated,
            inserted,
            deleted,
        })
    }

    /// The files that hold a staged key, and small ones of folders that have several.
    fn touched(&self) -> Result<BTreeSet<String>> {
        let files = &self.before.files;
        if files.is_empty() {
            return Ok(BTreeSet::new());
        }
        let rows = self.rows(files);
        let staged = match self.key {
            [] => self.gone(),
            key => format!(
                "(select {key} from {} union all select {key} from {})",
                self.staged(),
                self.gone(),
                key = identifiers(key)
            ),
        };
        let sql = format!(
            "select distinct kept.{FILE} from {} as kept semi join {staged} as staged on {}",
            rows.with_file(),
            self.same(),
        );
        let found = self
            .placing
            .session
            .query(Call::new("look for files with staged keys"), &sql)?;
        let found: BTreeSet<&str> = found.iter().filter_map(|row| row.text(0)).collect();
        let hit = files
            .iter()
            .filter(|file| found.contains(rows.path(file).as_str()));
        let small = small_files(files)
            .into_values()
            .filter(|small| small.len() >= SMALL_FILES);
        let touched = hit.chain(small.flatten());
        Ok(touched.map(|file| file.path.clone()).collect())
    }

    /// The staged rows as a relation.
    fn staged(&self) -> String {
        match self.staged {
            // Files that are none have no columns.
            [] => self.rows(&[]).relation(),
            staged => quote::parquet(staged.iter().map(|file| file.path.as_path())),
        }
    }

    /// The keys of rows that go, the same.
    fn gone(&self) -> String {
        match self.gone {
            [] => self.rows(&[]).relation(),
            gone => quote::parquet(gone.iter().map(|file| file.path.as_path())),
        }
    }

    fn rows<'b>(&'b self, files: &'b [DataFile]) -> Rows<'b> {
        Rows {
            folder: self.placing.folder,
            columns: &self.before.columns,
            layout: &self.before.layout,
            files,
        }
    }

    fn same(&self) -> String {
        if self.key.is_empty() {
            return same_row(self.placing.columns);
        }
        let pair = |column: &String| format!("kept.{0} = staged.{0}", identifier(column));
        self.key.iter().map(pair).collect::<Vec<_>>().join(" and ")
    }

    /// Whether the row of the table is later than the staged one.
    fn later(&self) -> String {
        match self.newer {
            Some(newer) => format!("coalesce(kept.{0} > staged.{0}, false)", identifier(newer)),
            None => "false".to_owned(),
        }
    }
}

/// Small files by the folder that they lie in.
pub(super) fn small_files(files: &[DataFile]) -> BTreeMap<&[Option<String>], Vec<&DataFile>> {
    let mut small: BTreeMap<&[Option<String>], Vec<&DataFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes < SMALL_BYTES) {
        small.entry(&file.partition).or_default().push(file);
    }
    small
}
