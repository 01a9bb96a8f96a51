//! From staged rows to files of the table: in its format, in its folders, and read again before anybody refers to them.
//!
//! ```text
//! staged Parquet ─┬─ Parquet, no folders ─────────────────────────────────────────────▶ a second name
//!                 └─ by folder (Parquet) ─▶ CSV, JSON ─▶ read again: same rows? ───────▶ a second name
//! ```
//!
//! Files are written where a run stages its own, and get their place by a link (in a bucket: by a copy inside of it), so
//! that whoever looks at the folder sees whole files only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pintail_config::FileFormat;
use pintail_lake::quote::{self, identifier, identifiers, literal};
use pintail_lake::{Call, Destination, Error, FaultClass, Result, Session, StagedFile};
use pintail_model::{Checksum, Column, ErrorKind, TableName};

use super::super::codec;
use super::super::layout::Layout;
use super::super::manifest::DataFile;
use super::super::rows::{FILE, Rows};
use super::attached::FilesDestination;

/// More folders of one commit are a column that nobody meant.
const FOLDERS_MAX: usize = 10_000;

/// The column that says which folder a row goes to.
const FOLDER: &str = "pintail_folder";

/// Where rows get their place.
pub(super) struct Placing<'a> {
    pub(super) destination: &'a FilesDestination,
    pub(super) session: &'a Session,
    pub(super) table: &'a TableName,
    pub(super) folder: &'a Path,
    pub(super) layout: &'a Layout,
    pub(super) columns: &'a [Column],
    /// Where files are made.
    pub(super) workshop: &'a Path,
    /// What the names of files begin with; nobody else uses it, not even another try.
    pub(super) stem: &'a str,
}

impl Placing<'_> {
    /// Gives the rows of Parquet files their place. They hold all columns.
    pub(super) fn place(&self, staged: &[StagedFile]) -> Result<Vec<DataFile>> {
        let staged: Vec<&StagedFile> = staged.iter().filter(|file| file.rows > 0).collect();
        if staged.is_empty() {
            return Ok(Vec::new());
        }
        if self.layout.staged() {
            let made = |file: &&StagedFile| Made {
                path: file.path.clone(),
                partition: Vec::new(),
                rows: file.rows,
                bytes: file.bytes,
            };
            return self.name_all(&staged.iter().map(made).collect::<Vec<_>>());
        }
        self.destination.depot.make_folder(self.workshop)?;
        let (files, expected) = if self.layout.partition_by.is_empty() {
            self.converted(&staged)?
        } else {
            self.distributed(&staged)?
        };
        let made = self.read_again(files, &staged, expected)?;
        let named = self.name_all(&made)?;
        for made in &made {
            self.destination.discard(&made.path);
            let above = self.workshop.parent().unwrap_or(self.workshop);
            self.destination.depot.remove_empty_folders(above, &made.path);
        }
        Ok(named)
    }

    /// Each file in the format of the table.
    fn converted(&self, staged: &[&StagedFile]) -> Result<(Vec<Made>, Checksum)> {
        let names = names(self.columns);
        let mut expected = Checksum::default();
        let mut files = Vec::new();
        for (number, file) in staged.iter().enumerate() {
            let tap = self.destination.engine().tap();
            let path = self.workshop.join(format!("{number}.{}", self.layout.end()));
            self.convert(
                &file.path,
                &path,
                self.columns.iter().collect(),
                Some(tap.filter(None, &names)),
            )?;
            expected.merge(tap.checksums().total());
            files.push(Made::at(path, Vec::new()));
        }
        Ok((files, expected))
    }

    /// One file in the format of the table.
    fn convert(&self, from: &Path, to: &Path, columns: Vec<&Column>, filter: Option<String>) -> Result<()> {
        let format = self.layout.format;
        let values: Vec<String> = columns
            .iter()
            .map(|column| {
                let name = identifier(&column.name);
                let value = codec::encode(format, &format!("t.{name}"), column.logical_type);
                format!("{value} as {name}")
            })
            .collect();
        let options = match format {
            FileFormat::Parquet => "format parquet".to_owned(),
            FileFormat::Csv => format!(
                "format csv, header true, delimiter {}, quote '\"', escape '\"', nullstr ''",
                literal(&self.layout.delimiter.to_string())
            ),
            FileFormat::Json => "format json".to_owned(),
        };
        let filter = filter.map_or_else(String::new, |filter| format!(" where {filter}"));
        let sql = format!(
            "copy (select {} from {} as t{filter}) to {} ({options})",
            values.join(", "),
            quote::parquet([from]),
            literal(&to.to_string_lossy())
        );
        let label = format!("write files of table \"{}\"", self.table);
        self.session.execute(Call::new(&label), &sql).map(drop)
    }

    /// All rows by the folder that they go to.
    fn distributed(&self, staged: &[&StagedFile]) -> Result<(Vec<Made>, Checksum)> {
        let partitions = self.layout.partitions(self.columns);
        let inside = self.layout.inside(self.columns);
        if inside.is_empty() {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!("all columns of table \"{}\" are names of folders", self.table),
                "Leave one of them out of `partition_by`: a file has at least one column.",
            ));
        }
        let rows = quote::parquet(staged.iter().map(|file| file.path.as_path()));
        let folders = self.folders(&rows, &partitions)?;
        let texts: Vec<String> = partitions
            .iter()
            .map(|column| codec::text(&format!("t.{}", identifier(&column.name)), column.logical_type))
            .collect();
        let same: Vec<String> = texts
            .iter()
            .enumerate()
            .map(|(place, text)| format!("p.v{place} is not distinct from {text}"))
            .collect();
        let numbered: Vec<String> = folders
            .iter()
            .enumerate()
            .map(|(number, values)| format!("({number}, {})", values_of(values)))
            .collect();
        let places: Vec<String> = (0..partitions.len()).map(|place| format!("v{place}")).collect();
        let tap = self.destination.engine().tap();
        let by_folder = self.workshop.join("by-folder");
        self.destination.depot.make_folder(&by_folder)?;
        let sql = format!(
            "copy (select {inside}, {FOLDER}
               from (select t.*, p.{FOLDER} from {rows} as t
                     join (values {values}) as p({FOLDER}, {places}) on {same}) as t
               where {tap}
             ) to {to} (format parquet, partition_by ({FOLDER}), filename_pattern 'part_{{i}}', overwrite_or_ignore true)",
            inside = identifiers(&inside.iter().map(|column| column.name.as_str()).collect::<Vec<_>>()),
            values = numbered.join(", "),
            places = places.join(", "),
            same = same.join(" and "),
            tap = tap.filter(None, &names(self.columns)),
            to = literal(&by_folder.to_string_lossy()),
        );
        let label = format!("distribute rows of table \"{}\" over folders", self.table);
        self.session.execute(Call::new(&label), &sql)?;
        let mut files = Vec::new();
        for (number, found) in self.destination.depot.below(&by_folder)?.iter().enumerate() {
            let values = folder_of(&by_folder, &found.path).and_then(|folder| folders.get(folder));
            let Some(values) = values else {
                return Err(self.internal("a file lies in no folder"));
            };
            let path = if self.layout.format == FileFormat::Parquet {
                found.path.clone()
            } else {
                let path = self.workshop.join(format!("{number}.{}", self.layout.end()));
                self.convert(&found.path, &path, inside.clone(), None)?;
                self.destination.discard(&found.path);
                path
            };
            files.push(Made::at(path, values.clone()));
        }
        Ok((files, tap.checksums().total()))
    }

    /// The values of the partition columns that occur, as texts.
    fn folders(&self, rows: &str, partitions: &[&Column]) -> Result<Vec<Vec<Option<String>>>> {
        let texts: Vec<String> = partitions
            .iter()
            .map(|column| codec::text(&identifier(&column.name), column.logical_type))
            .collect();
        let sql = format!(
            "select distinct {} from {rows} limit {}",
            texts.join(", "),
            FOLDERS_MAX + 1
        );
        let found = self
            .session
            .query(Call::new("look for the folders of rows"), &sql)?;
        let refused = |what: String, hint: &str| Err(Error::refused(ErrorKind::Data, what, hint));
        if found.len() > FOLDERS_MAX {
            return refused(
                format!(
                    "the rows of table \"{}\" would go to more than {FOLDERS_MAX} folders",
                    self.table
                ),
                "Name columns with fewer values in `partition_by`: a day, a region.",
            );
        }
        let mut folders: Vec<Vec<Option<String>>> = found
            .iter()
            .map(|row| {
                (0..partitions.len())
                    .map(|place| row.text(place).map(str::to_owned))
                    .collect()
            })
            .collect();
        folders.sort();
        if folders.iter().any(|values| self.layout.folder(values).is_none()) {
            return refused(
                format!(
                    "a value of table \"{}\" is too long for the name of a folder",
                    self.table
                ),
                "Name a column with shorter values in `partition_by`.",
            );
        }
        Ok(folders)
    }

    /// Reads what was written, and compares it with what was to be written. Returns the files with their rows and sizes.
    fn read_again(&self, files: Vec<Made>, staged: &[&StagedFile], expected: Checksum) -> Result<Vec<Made>> {
        let data: Vec<DataFile> = files.iter().map(|made| made.data(self.workshop)).collect();
        let rows = Rows {
            folder: self.workshop,
            columns: self.columns,
            layout: self.layout,
            files: &data,
        };
        let label = format!("read the written files of table \"{}\" again", self.table);
        let tap = self.destination.engine().tap();
        let sql = format!(
            "select {FILE}, count(*) from {} as t where {} group by {FILE}",
            rows.with_file(),
            tap.filter(None, &names(self.columns))
        );
        let callers = self.destination.engine().callers(1)?;
        let counted = self.session.query(Call::new(&label), &sql);
        let counted = counted.map_err(|error| self.unreadable(error))?;
        drop(callers);
        let total: u64 = staged.iter().map(|file| file.rows).sum();
        if tap.checksums().total() != expected || expected.rows != total {
            let staged = quote::parquet(staged.iter().map(|file| file.path.as_path()));
            return Err(self.differs(&staged, &rows.relation()));
        }
        let counts: BTreeMap<&str, u64> = counted
            .iter()
            .filter_map(|row| Some((row.text(0)?, u64::try_from(row.integer(1)?).ok()?)))
            .collect();
        files
            .into_iter()
            .map(|made| {
                let bytes = self.destination.secure(&made.path)?;
                let rows = counts.get(&*made.path.to_string_lossy()).copied().unwrap_or(0);
                Ok(Made { rows, bytes, ..made })
            })
            .collect()
    }

    /// The error for files that cannot be read again because of what stands in them.
    fn unreadable(&self, error: Error) -> Error {
        let Error::Statement { source, .. } = &error else {
            return error;
        };
        if !matches!(source.class, FaultClass::Value | FaultClass::Unsupported) {
            return error;
        }
        Error::refused(
            ErrorKind::Data,
            format!(
                "a row of table \"{}\" cannot be read again from {} files, which hold rows of up to 16 MB",
                self.table,
                self.layout.format.word()
            ),
            "Nothing was committed. Write the table as Parquet, or leave columns with such large values out.",
        )
    }

    /// The error for files that do not hold what was staged; with the column, if one can be named.
    fn differs(&self, staged: &str, written: &str) -> Error {
        let sum = |rows: &str, column: &str| -> Option<Checksum> {
            let tap = self.destination.engine().tap();
            let filter = tap.filter(None, &[column]);
            let sql = format!("select count(*) from {rows} as t where {filter}");
            self.session
                .query(Call::new("look for a column that differs"), &sql)
                .ok()?;
            Some(tap.checksums().total())
        };
        let differing = self
            .columns
            .iter()
            .find(|column| sum(staged, &column.name) != sum(written, &column.name));
        let what = match differing {
            Some(column) => format!(
                "column `{}` of table \"{}\" holds a value that {} files do not carry",
                column.name,
                self.table,
                self.layout.format.word()
            ),
            None => format!(
                "the files that were written for table \"{}\" do not hold its rows",
                self.table
            ),
        };
        Error::refused(
            ErrorKind::Data,
            what,
            "Nothing was committed. Write the table as Parquet, or leave the column out.",
        )
    }

    /// Gives files their names in the table's folders.
    fn name_all(&self, made: &[Made]) -> Result<Vec<DataFile>> {
        let mut files = Vec::new();
        let mut targets = Vec::new();
        for (number, made) in made.iter().enumerate() {
            let inside = self.layout.folder(&made.partition).unwrap_or_default();
            let path = format!("{inside}{}-{number}.{}", self.stem, self.layout.end());
            let target = self.folder.join(&path);
            self.name(&made.path, &target)?;
            targets.push(target);
            files.push(DataFile {
                path,
                rows: made.rows,
                bytes: made.bytes,
                partition: made.partition.clone(),
            });
        }
        let depot = &self.destination.depot;
        depot.secure_names(targets.iter().map(PathBuf::as_path))?;
        // Folders may be new, and so may those above them.
        let above: BTreeSet<&Path> = targets
            .iter()
            .flat_map(|target| target.ancestors().skip(2))
            .filter(|folder| folder.starts_with(self.folder))
            .collect();
        above
            .into_iter()
            .try_for_each(|folder| depot.secure_folder(folder))?;
        Ok(files)
    }

    fn name(&self, file: &Path, target: &Path) -> Result<()> {
        let depot = &self.destination.depot;
        // Whoever tidies up may remove a folder that is empty.
        for _ in 0..8 {
            if let Some(folder) = target.parent() {
                depot.make_folder(folder)?;
            }
            if depot.duplicate(file, target)? {
                return Ok(());
            }
            if depot.bytes(file)?.is_none() {
                break;
            }
        }
        Err(Error::refused(
            ErrorKind::Internal,
            format!("staged file `{}` is gone", file.display()),
            "Run again.",
        ))
    }

    fn internal(&self, what: &str) -> Error {
        Error::refused(
            ErrorKind::Internal,
            format!("cannot write files of table \"{}\": {what}", self.table),
            "Run again.",
        )
    }
}

/// A file that was made and has no place yet.
struct Made {
    path: PathBuf,
    partition: Vec<Option<String>>,
    rows: u64,
    bytes: u64,
}

impl Made {
    fn at(path: PathBuf, partition: Vec<Option<String>>) -> Self {
        Self {
            path,
            partition,
            rows: 0,
            bytes: 0,
        }
    }

    /// As a file of a table whose folder is `folder`.
    fn data(&self, folder: &Path) -> DataFile {
        let inside = self.path.strip_prefix(folder).unwrap_or(&self.path);
        DataFile {
            path: inside.to_string_lossy().into_owned(),
            rows: self.rows,
            bytes: self.bytes,
            partition: self.partition.clone(),
        }
    }
}

/// The names of columns.
pub(super) fn names(columns: &[Column]) -> Vec<&str> {
    columns.iter().map(|column| column.name.as_str()).collect()
}

/// Values of folders as literals.
fn values_of(values: &[Option<String>]) -> String {
    let literals: Vec<String> = values
        .iter()
        .map(|value| codec::value_literal(value.as_deref()))
        .collect();
    literals.join(", ")
}

/// The number of the folder in which the engine put a file.
fn folder_of(above: &Path, file: &Path) -> Option<usize> {
    let folder = file.strip_prefix(above).ok()?.parent()?.to_str()?;
    folder.strip_prefix(FOLDER)?.strip_prefix('=')?.parse().ok()
}
