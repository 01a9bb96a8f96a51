//! The statements that bring rows into a file, out of it, and past the checksum.

use std::path::Path;

use pintail_lake::quote::{identifier, identifiers, literal, plain_path};
use pintail_lake::tap::row_hash;
use pintail_lake::{Call, Engine, Session, Tap};
use pintail_model::{Checksum, ErrorKind};

use crate::error::{Error, Result};
use crate::manifest::ColumnEntry;
use crate::storage::Storage;

/// The columns of a table that are in its file.
#[derive(Debug, Clone)]
pub(crate) struct TableFile {
    /// `bucket.table`, for labels.
    table: String,
    columns: Vec<(String, Storage)>,
}

impl TableFile {
    /// # Errors
    /// `Data` for a column that has no lossless home in a file.
    pub(crate) fn of(table: &str, columns: &[ColumnEntry]) -> Result<Self> {
        let mut kept = Vec::new();
        for column in columns.iter().filter(|column| !column.generated) {
            let storage = Storage::of(&column.data_type).ok_or_else(|| {
                Error::refused(
                    ErrorKind::Data,
                    format!(
                        "cannot keep table \"{table}\": column `{}` of type {} has no lossless home in a file",
                        column.name, column.data_type
                    ),
                    "Give the column another type, or leave the table out by naming the others with `--table`.",
                )
            })?;
            kept.push((column.name.clone(), storage));
        }
        Ok(Self {
            table: table.to_owned(),
            columns: kept,
        })
    }

    /// What is cast, by column.
    pub(crate) fn casts(&self) -> impl Iterator<Item = (&str, Option<String>)> {
        self.columns
            .iter()
            .map(|(name, storage)| (name.as_str(), storage.cast()))
    }

    /// The names of the columns, quoted.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        identifiers(&names)
    }

    /// Writes the rows of a relation to a file, and says what passed.
    pub(crate) fn write(
        &self,
        engine: &Engine,
        session: &Session,
        relation: &str,
        file: &Path,
        compression_level: u8,
    ) -> Result<Checksum> {
        let tap = engine.tap();
        let rows = self.stored(relation);
        let sql = format!(
            "copy (select {} {}) to {} (format parquet, compression zstd, compression_level {compression_level})",
            self.names(),
            self.past(&tap, &rows),
            literal(&file.to_string_lossy())
        );
        let label = format!("write table \"{}\" to `{}`", self.table, file.display());
        session.execute(Call::new(&label), &sql)?;
        Ok(tap.checksums().total())
    }

    /// The checksum of the rows of a relation, as they would stand in a file.
    pub(crate) fn hash(&self, engine: &Engine, session: &Session, relation: &str) -> Result<Checksum> {
        let label = format!("read table \"{}\"", self.table);
        self.hash_rows(engine, session, &label, &self.stored(relation))
    }

    /// The checksum of the rows of a file. What was cast is cast back and forth, so that a value that does not come back as
    /// it went changes the sum, or fails.
    pub(crate) fn hash_file(&self, engine: &Engine, session: &Session, file: &Path) -> Result<Checksum> {
        let label = format!("read back `{}`", file.display());
        let there_and_back = |storage: &Storage, column: &str| match storage.cast() {
            Some(_) => storage.store(&storage.restore(column)),
            None => column.to_owned(),
        };
        let rows = self.selected(&parquet(file), there_and_back);
        self.hash_rows(engine, session, &label, &rows)
    }

    /// A query for the rows of a file, as they were in the table.
    pub(crate) fn restored(&self, file: &Path) -> String {
        self.selected(&parquet(file), Storage::restore)
    }

    /// A query for the rows of a table with the same columns.
    pub(crate) fn plain(&self, relation: &str) -> String {
        format!("select {} from {relation}", self.names())
    }

    /// Whether what stands in a file is not what a reader would take it for, without the casts.
    pub(crate) fn casts_any(&self) -> bool {
        self.columns
            .iter()
            .any(|(_, storage)| storage.cast().is_some() || storage.hashed("c").is_some())
    }

    /// The name under which a row's hash stands beside it.
    pub(crate) const ROW_HASH: &'static str = "pintail row hash";

    /// A query for the rows of a relation, as they would stand in a file, with the hash of each.
    pub(crate) fn hashed_table(&self, relation: &str) -> String {
        self.with_hash(&self.stored(relation))
    }

    /// The same for the rows of a file.
    pub(crate) fn hashed_file(&self, file: &Path) -> String {
        self.with_hash(&self.selected(&parquet(file), |_, column| column.to_owned()))
    }

    fn with_hash(&self, rows: &str) -> String {
        let (rows, tapped) = self.to_tap(rows);
        let hash = identifier(Self::ROW_HASH);
        format!(
            "select {}, {} as {hash} from ({rows}) as rows",
            self.names(),
            row_hash(&tapped)
        )
    }

    fn hash_rows(&self, engine: &Engine, session: &Session, label: &str, rows: &str) -> Result<Checksum> {
        let tap = engine.tap();
        let sql = format!("select count(*) {}", self.past(&tap, rows));
        session.query(Call::new(label), &sql)?;
        Ok(tap.checksums().total())
    }

    fn stored(&self, relation: &str) -> String {
        self.selected(relation, Storage::store)
    }

    fn selected(&self, relation: &str, value: impl Fn(&Storage, &str) -> String) -> String {
        let column = |(name, storage): &(String, Storage)| {
            let name = identifier(name);
            let value = value(storage, &name);
            if value == name {
                name
            } else {
                format!("{value} as {name}")
            }
        };
        let list: Vec<String> = self.columns.iter().map(column).collect();
        format!("select {} from {relation}", list.join(", "))
    }

    /// `from` and `where` that let the rows of a query pass the tap.
    fn past(&self, tap: &Tap, rows: &str) -> String {
        let (rows, tapped) = self.to_tap(rows);
        // All rows are one leaf: nothing is looked for in them.
        format!("from ({rows}) as rows where {}", tap.filter(Some("0"), &tapped))
    }

    /// Rows with all that is hashed of them, and the names of that.
    fn to_tap(&self, rows: &str) -> (String, Vec<String>) {
        let mut tapped = Vec::new();
        let mut beside = Vec::new();
        for (index, (name, storage)) in self.columns.iter().enumerate() {
            match storage.hashed(&identifier(name)) {
                None => tapped.push(name.clone()),
                Some(value) => {
                    let stand_in = self.unused(index);
                    beside.push(format!(", {value} as {}", identifier(&stand_in)));
                    tapped.push(stand_in);
                }
            }
        }
        let rows = match beside.as_slice() {
            [] => rows.to_owned(),
            beside => format!("select *{} from ({rows}) as kept", beside.concat()),
        };
        (rows, tapped)
    }

    /// A name that no column has.
    fn unused(&self, index: usize) -> String {
        let mut name = format!("hashed {index}");
        while self
            .columns
            .iter()
            .any(|(column, _)| column.eq_ignore_ascii_case(&name))
        {
            name.push('_');
        }
        name
    }
}

/// The rows of a file, as a relation.
pub(crate) fn parquet(file: &Path) -> String {
    format!(
        "read_parquet({}, hive_partitioning = false)",
        plain_path(&file.to_string_lossy())
    )
}
