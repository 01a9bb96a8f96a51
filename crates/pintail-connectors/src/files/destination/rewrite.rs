//! Rows of files of a table, in one new file that is staged as if they came from a source: read again, and compared.

use pintail_lake::quote::{self, literal};
use pintail_lake::{Call, Destination, Error, Result, StagedFile};
use pintail_model::ErrorKind;

use super::place::{Placing, names};

impl Placing<'_> {
    /// Writes the rows of a query, which are to be `expected` many, into a file that can be [placed](Placing::place).
    ///
    /// # Errors
    /// `Data` if the file does not hold them.
    pub(super) fn rewrite(&self, query: &str, expected: u64) -> Result<StagedFile> {
        let engine = self.destination.engine();
        let path = self.workshop.with_extension("rewritten.parquet");
        let names = names(self.columns);
        let (written, read) = (engine.tap(), engine.tap());
        let copy = format!(
            "copy (select * from ({query}) as t where {}) to {} (format parquet)",
            written.filter(None, &names),
            literal(&path.to_string_lossy())
        );
        let label = format!("write files of table \"{}\" anew", self.table);
        let rows = self.session.execute(Call::new(&label), &copy)?;
        let bytes = self.destination.secure(&path)?;
        let again = format!(
            "select count(*) from {} where {}",
            quote::parquet([path.as_path()]),
            read.filter(None, &names)
        );
        let label = format!("read written files of table \"{}\" again", self.table);
        self.session.query(Call::new(&label), &again)?;
        let same = read.checksums().total() == written.checksums().total();
        if !same || rows != expected || written.rows() != rows {
            return Err(Error::refused(
                ErrorKind::Data,
                format!(
                    "files of table \"{}\" that were written anew do not hold its rows: {rows} instead of {expected}",
                    self.table
                ),
                "Nothing was committed. If it stays like this, run a full load.",
            ));
        }
        Ok(StagedFile { path, rows, bytes })
    }
}
