//! Files, as a destination: a table is a folder of Parquet, CSV or JSON files, perhaps in [folders](super::layout) by the
//! values of columns, and a [manifest](super::manifest).
//!
//! **What is promised.** A commit is one step: the manifest with the next number is put in place, which names the files of
//! the table and the partitions in them. Who reads by the manifest, as Pintail does, sees the table before or after. Data
//! is there before, and files that were replaced are removed after.
//!
//! **What a program sees that reads `orders/*.parquet` or `orders/day=*/*.parquet`:** whole files, always. While a commit is under way it may see rows
//! twice, the replaced ones beside the new ones; a run that was killed leaves new files that nobody refers to until the
//! next run of the pipeline sweeps them.
//!
//! **Values.** Rows are staged as Parquet. Files of another format are made of that when they are committed, read again
//! and compared: what a format does not carry is an error that names the column, and nothing is committed.
//!
//! **Deltas** write the files anew that hold rows with a staged key, and take small files along: there are never many.

mod attached;
mod commit;
mod maintain;
mod merge;
mod place;
mod rewrite;
mod sweep;

use std::path::{Path, PathBuf};

use pintail_config::{Datastore, Place};
use pintail_lake::connector::Attachment;
use pintail_lake::depot::Depot;
use pintail_lake::extension::{Extension, HTTPFS};
use pintail_lake::quote::{self, identifier, identifiers, literal};
use pintail_lake::{Access, Change, Destination, DestinationPlace, Engine, Error, Result, bucket};
use pintail_model::{Column, ErrorKind, LogicalType, Secret, TableName};
use pintail_storage::BucketSettings;

use self::attached::FilesDestination;
pub use self::maintain::FilesMaintenance;
use super::layout::Layout;
use super::listing::hidden;
use crate::bucket::settings;

/// The database of views over the files of manifests.
const ALIAS: &str = "pintail_files";

/// A folder of tables.
#[derive(Debug, Clone)]
pub struct FilesPlace {
    folder: PathBuf,
    bucket: Option<BucketSettings>,
    layout: Layout,
    address: String,
}

impl FilesPlace {
    /// The folder that `datastore` names.
    ///
    /// # Errors
    /// `Invalid` for a pattern.
    pub fn new(datastore: &Datastore) -> Result<Self> {
        let refused = |why: &str, hint: &str| {
            Err(Error::refused(
                ErrorKind::Invalid,
                format!("cannot write to datastore `{}`: {why}", datastore.name),
                hint,
            ))
        };
        let Some(files) = datastore.files() else {
            return refused("it is no folder of files", "Name a folder or a bucket.");
        };
        let (folder, bucket) = match &files.place {
            Place::Local(path) => {
                let absolute = std::path::absolute(path).map_err(|source| Error::File {
                    action: "find",
                    path: path.clone(),
                    source,
                })?;
                (absolute, None)
            }
            Place::Bucket(bucket) => {
                let address = bucket.to_string();
                (address.trim_end_matches('/').into(), Some(settings(bucket)))
            }
        };
        if folder.to_string_lossy().contains(['*', '?', '[']) {
            return refused(
                "its path has one of the characters `*`, `?` and `[`",
                "Name a folder: each table gets a folder of its own below it.",
            );
        }
        Ok(Self {
            folder,
            bucket,
            layout: Layout::of(files),
            address: datastore.to_string(),
        })
    }

    /// The folder of a table.
    fn table_folder(&self, table: &TableName) -> Result<PathBuf> {
        let mut folder = self.folder.clone();
        for part in table.schema.iter().chain([&table.table]) {
            if part.is_empty() || hidden(part) || part.contains(['/', '\\', '*', '?', '[', '\0']) {
                return Err(Error::refused(
                    ErrorKind::Invalid,
                    format!(
                        "table \"{table}\" cannot have a folder of its name in `{}`",
                        self.address
                    ),
                    "Give it another name with `?table=`: without `/`, `\\`, `*`, `?` and `[`, and with another \
                     first letter than `.` and `_`.",
                ));
            }
            folder.push(part);
        }
        Ok(folder)
    }

    /// Attaches it to an engine.
    fn open(&self, engine: &Engine, access: Access) -> Result<FilesDestination> {
        let attach = Secret::new(format!(
            "attach if not exists ':memory:' as {}",
            identifier(ALIAS)
        ));
        let (statements, secrets) = match &self.bucket {
            Some(settings) => (bucket::statements(settings), settings.secrets()),
            None => (Vec::new(), Vec::new()),
        };
        let attachment = Attachment {
            extensions: self.extensions(),
            statements: statements.into_iter().chain([attach]).collect(),
            secrets,
        };
        engine.attach(&format!("attach folder `{}`", self.address), &attachment)?;
        let depot = Depot::of(self.bucket.as_ref())?;
        match access {
            Access::ReadWrite => depot.make_folder(&self.folder)?,
            Access::ReadOnly if !depot.may_have(&self.folder) => {
                return Err(Error::refused(
                    ErrorKind::NotFound,
                    format!("folder `{}` does not exist", self.address),
                    "Check the path; `pintail copy` and `pintail run` make it when they first write to it.",
                ));
            }
            Access::ReadOnly => {}
        }
        Ok(FilesDestination::new(self.clone(), engine.clone(), depot))
    }
}

/// The view of a table, at a version or as it is.
fn view(table: &TableName, version: Option<&str>) -> String {
    let name = match version {
        Some(version) => format!("{table}@{version}"),
        None => table.to_string(),
    };
    format!("{}.main.{}", identifier(ALIAS), identifier(&name))
}

impl DestinationPlace for FilesPlace {
    fn noun(&self) -> &'static str {
        "folder"
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    fn extensions(&self) -> Vec<Extension> {
        self.bucket.iter().map(|_| HTTPFS).collect()
    }

    fn is_there(&self) -> bool {
        // Folders of a bucket are nothing that is made.
        self.bucket.is_some() || self.folder.exists()
    }

    fn refuses(&self, column: &Column) -> Option<String> {
        let folder = self.layout.partition_by.contains(&column.name);
        let nameless = matches!(
            column.logical_type,
            LogicalType::Bytes | LogicalType::Json | LogicalType::List { .. }
        );
        (folder && nameless)
            .then(|| format!("a `{}` does not become the name of a folder", column.logical_type))
    }

    fn needs(&self) -> &[String] {
        &self.layout.partition_by
    }

    fn rows(&self, table: &TableName, columns: &[Column], version: Option<&str>) -> String {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        format!("(select {} from {})", identifiers(&names), view(table, version))
    }

    fn shown_commit(
        &self,
        table: &TableName,
        _columns: &[Column],
        change: &Change,
        file: &str,
    ) -> Vec<String> {
        let staged = quote::parquet([Path::new(file)]);
        let Layout {
            format, partition_by, ..
        } = &self.layout;
        let folders: String = partition_by
            .iter()
            .map(|column| format!("{column}=<value>/"))
            .collect();
        let data = literal(&format!(
            "<data>/{}/{folders}part-<run>.{}",
            table.table,
            self.layout.end()
        ));
        let mut statements = Vec::new();
        let new = match change {
            Change::Append | Change::ReplaceAll => file.to_owned(),
            Change::Exchange => {
                statements.push(format!(
                    "copy (\n  <rows of files with rows that are gone, without these>\n  union all\n  select * from {staged}\n) \
                     to <merged> (format parquet)"
                ));
                "<merged>".to_owned()
            }
            Change::Upsert { key, .. } => {
                statements.push(format!(
                    "copy (\n  select kept.* from <files with a staged key> as kept\n  anti join {staged} as staged using ({})\n  \
                     union all\n  select * from {staged}\n) to <merged> (format parquet)",
                    identifiers(key)
                ));
                "<merged>".to_owned()
            }
        };
        statements.push(match self.layout.staged() {
            true => format!("-- {new} becomes {data}"),
            false => format!(
                "-- {new} becomes {data}, as {}, read again and compared",
                format.word()
            ),
        });
        statements.push("-- put the next manifest in place, if nobody else did".to_owned());
        statements
    }

    fn shown_stage(&self, table: &TableName, run: &str) -> PathBuf {
        format!("<data>/{}/_pintail/stage/{run}", table.table).into()
    }

    fn attach(&self, engine: &Engine, access: Access) -> Result<Box<dyn Destination>> {
        Ok(Box::new(self.open(engine, access)?))
    }
}
