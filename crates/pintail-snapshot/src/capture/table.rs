//! One table on its way into a snapshot: written and read back, or found to be what an earlier snapshot has.

use std::path::Path;

use pintail_model::{Checksum, ErrorKind};

use super::{Capture, CreateRequest, count, entry_of};
use crate::catalog::FoundTable;
use crate::error::{Error, Result};
use crate::file_hash::{self, FileHash};
use crate::file_name;
use crate::manifest::{Manifest, Proof, TableEntry};
use crate::place::{Work, until_stopped};
use crate::progress::Step;
use crate::table_file::TableFile;

impl Capture<'_> {
    /// Brings one table into the snapshot.
    pub(super) fn keep(
        &self,
        request: &CreateRequest,
        work: &mut dyn Work,
        earlier: &[Manifest],
        table: FoundTable,
        file: &TableFile,
    ) -> Result<TableEntry> {
        let name = file_name::of(&table.bucket, &table.table);
        let path = work.path(&name);
        let mut schema = table.schema.clone();
        for (column, cast) in file.casts() {
            let entry = schema.columns.iter_mut().find(|entry| entry.name == column);
            entry.expect("it was made of these").stored_as = cast;
        }
        let relation = self.origin.relation(self.catalog, &table);
        let mut entry = TableEntry {
            schema,
            file: name,
            ..entry_of(table)
        };
        if self.reuse(request, work, earlier, &relation, file, &mut entry)? {
            return Ok(entry);
        }
        self.progress.step(Step::Writing, &entry.name());
        let session = self.catalog.session;
        let level = request.compression_level;
        let written = file.write(self.engine, session, &relation, &path, level)?;
        let hash = match request.read_back {
            true => self.prove(file, &path, &entry.name(), written)?,
            false => file_hash::of(&path)?,
        };
        let label = format!("keep table \"{}\"", entry.name());
        let go_on = until_stopped(self.engine, &label);
        entry.file = work.keep(&entry.file, &hash, request.read_back, &go_on)?.file;
        entry.row_count = written.rows;
        entry.value_hash = written.digest();
        entry.size_bytes = hash.bytes;
        entry.sha256 = hash.sha256;
        Ok(entry)
    }

    /// Reads a file back and compares, while another thread takes its SHA-256.
    fn prove(&self, file: &TableFile, path: &Path, table: &str, written: Checksum) -> Result<FileHash> {
        self.progress.step(Step::Proving, table);
        let (read, hash) = std::thread::scope(|scope| {
            let hash = scope.spawn(|| file_hash::of(path));
            let read = file.hash_file(self.engine, self.catalog.session, path);
            (read, hash.join().expect("hashing a file does not panic"))
        });
        if read? != written {
            return Err(Error::refused(
                ErrorKind::Data,
                format!("cannot keep table \"{table}\": its file does not read back as it was written"),
                "No snapshot was made. If it happens again, check the disk; a value that DuckDB does not carry \
                 through Parquet would be a fault of Pintail: report it with the types of the columns.",
            ));
        }
        hash
    }

    /// Uses the file of an earlier snapshot once more, if the table is the same as it was then and the file is sound.
    fn reuse(
        &self,
        request: &CreateRequest,
        work: &mut dyn Work,
        earlier: &[Manifest],
        relation: &str,
        file: &TableFile,
        entry: &mut TableEntry,
    ) -> Result<bool> {
        let proven = |manifest: &&Manifest| !request.read_back || manifest.proof == Proof::ReadBack;
        let newest = earlier.iter().rev().filter(proven).find_map(|manifest| {
            let found = manifest.table(&entry.bucket, &entry.table)?;
            (!found.pinned()).then_some((manifest, found))
        });
        let Some((manifest, before)) = newest else {
            return Ok(false);
        };
        let session = self.catalog.session;
        if before.schema.columns != entry.schema.columns || before.row_count != count(session, relation)? {
            return Ok(false);
        }
        self.progress.step(Step::Comparing, &entry.name());
        let found = file.hash(self.engine, session, relation)?;
        if found.digest() != before.value_hash || found.rows != before.row_count {
            return Ok(false);
        }
        let id = &manifest.snapshot_id;
        let label = format!("keep table \"{}\"", entry.name());
        let go_on = until_stopped(self.engine, &label);
        let Some(kept) = work.reuse(id, before, &entry.file, request.read_back, &go_on)? else {
            return Ok(false);
        };
        entry.file = kept.file;
        entry.stored_in = kept.stored_in;
        entry.row_count = before.row_count;
        entry.size_bytes = before.size_bytes;
        entry.sha256.clone_from(&before.sha256);
        entry.value_hash.clone_from(&before.value_hash);
        let writer = before.same_as.clone();
        entry.same_as = Some(writer.unwrap_or_else(|| manifest.snapshot_id.clone()));
        Ok(true)
    }
}
