//! The rows of a table that Pintail wrote, as a relation of the engine: the files that a manifest names, in the types that
//! it has.

use std::path::Path;

use pintail_config::FileFormat;
use pintail_lake::quote::{identifier, identifiers, literal, plain_path};
use pintail_model::Column;

use super::codec;
use super::layout::Layout;
use super::manifest::{DataFile, Manifest};

/// The column that says which file a row is from, in [`Rows::with_file`].
pub(super) const FILE: &str = "pintail_file";

/// How lines of CSV are read: by one thread, which never has to guess whether it began inside of quotes, and up to 16 MiB long.
/// More would take memory for the longest line that could be, sixteen times over. No letter begins a comment: the engine
/// would find one by itself, and leave out what follows it.
pub(super) const LINES: &str =
    "comment = '', parallel = false, max_line_size = 16777216, buffer_size = 33554432";

/// Files of one table.
pub(super) struct Rows<'a> {
    /// The table's folder.
    pub(super) folder: &'a Path,
    pub(super) columns: &'a [Column],
    pub(super) layout: &'a Layout,
    pub(super) files: &'a [DataFile],
}

impl<'a> Rows<'a> {
    /// All files of a manifest.
    pub(super) fn of(folder: &'a Path, manifest: &'a Manifest) -> Self {
        Self {
            folder,
            columns: &manifest.columns,
            layout: &manifest.layout,
            files: &manifest.files,
        }
    }

    /// The rows, in parentheses. Without files, none of the right columns.
    pub(super) fn relation(&self) -> String {
        self.select(false)
    }

    /// The same, with one more column: the path of the file.
    pub(super) fn with_file(&self) -> String {
        self.select(true)
    }

    fn select(&self, with_file: bool) -> String {
        if self.files.is_empty() {
            let columns = self.columns.iter().map(|column| {
                let name = identifier(&column.name);
                format!("null::{} as {name}", column.logical_type)
            });
            let file = with_file.then(|| format!("null::varchar as {FILE}"));
            let columns: Vec<String> = columns.chain(file).collect();
            return format!("(select {} where false)", columns.join(", "));
        }
        let partitions = self.layout.partitions(self.columns);
        let value = |column: &Column| match partitions.iter().position(|found| found.name == column.name) {
            Some(place) => codec::typed(&format!("p.v{place}"), column.logical_type),
            None => codec::decode(
                self.layout.format,
                &format!("f.{}", identifier(&column.name)),
                column.logical_type,
            ),
        };
        let columns = self
            .columns
            .iter()
            .map(|column| format!("{} as {}", value(column), identifier(&column.name)));
        let file = with_file.then(|| format!("f.{FILE}"));
        let columns: Vec<String> = columns.chain(file).collect();
        let from = if partitions.is_empty() {
            format!("{} as f", self.read())
        } else {
            format!(
                "{} as f join {} using ({FILE})",
                self.read(),
                self.folders(partitions.len())
            )
        };
        format!("(select {} from {from})", columns.join(", "))
    }

    /// What stands in the files.
    fn read(&self) -> String {
        let paths: Vec<String> = self
            .files
            .iter()
            .map(|file| plain_path(&self.path(file)))
            .collect();
        let paths = paths.join(", ");
        let types: Vec<String> = self
            .layout
            .inside(self.columns)
            .iter()
            .map(|column| {
                let read_as = codec::read_as(self.layout.format, column.logical_type);
                format!("{}: '{read_as}'", literal(&column.name))
            })
            .collect();
        let types = types.join(", ");
        let named = format!("hive_partitioning = false, filename = '{FILE}'");
        match self.layout.format {
            FileFormat::Parquet => format!("read_parquet([{paths}], {named})"),
            FileFormat::Csv => format!(
                "read_csv([{paths}], auto_detect = false, header = true, columns = {{{types}}}, delim = {}, \
                 quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, {LINES}, {named})",
                literal(&self.layout.delimiter.to_string())
            ),
            FileFormat::Json => format!(
                "read_json([{paths}], auto_detect = false, format = 'newline_delimited', columns = {{{types}}}, \
                 {named})"
            ),
        }
    }

    /// The values of folders, by file.
    fn folders(&self, values: usize) -> String {
        let row = |file: &DataFile| {
            let texts = file
                .partition
                .iter()
                .map(|value| codec::value_literal(value.as_deref()));
            let row: Vec<String> = std::iter::once(literal(&self.path(file))).chain(texts).collect();
            format!("({})", row.join(", "))
        };
        let rows: Vec<String> = self.files.iter().map(row).collect();
        let names = std::iter::once(FILE.to_owned()).chain((0..values).map(|place| format!("v{place}")));
        let names: Vec<String> = names.collect();
        format!("(values {}) as p({})", rows.join(", "), identifiers(&names))
    }

    /// The path of a file, as the engine gives it back.
    pub(super) fn path(&self, file: &DataFile) -> String {
        self.folder.join(&file.path).to_string_lossy().into_owned()
    }
}
