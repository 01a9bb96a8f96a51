//! Which files are a table.
//!
//! | the datastore names | the table `orders` is | other tables |
//! |---|---|---|
//! | a folder | `orders.parquet`, `orders.csv`, … in it, or all files below its folder `orders` | the other files and folders |
//! | a file, or a pattern with `*`, `?` or `[` | that file, or all files that match | none: any name stands for them |
//!
//! `sales.orders` is `orders` in the folder `sales`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pintail_config::{FileFormat, Place};
use pintail_lake::connector::{ListedTable, TableKind};
use pintail_lake::quote::literal;
use pintail_lake::{Call, Error, Result, Session};
use pintail_model::{ErrorKind, TableName};

use super::listing::{Found, Listing, Shelf, hidden};
use super::manifest::{Manifest, table_of};
use crate::missing::missing_table;

/// Ends of names, and the format that they stand for. Each may be followed by one of [`PACKED`].
const ENDS: &[(&str, FileFormat)] = &[
    ("parquet", FileFormat::Parquet),
    ("csv", FileFormat::Csv),
    ("tsv", FileFormat::Csv),
    ("json", FileFormat::Json),
    ("jsonl", FileFormat::Json),
    ("ndjson", FileFormat::Json),
];

/// Ends of packed files, which the engine unpacks.
const PACKED: &[&str] = &["", ".gz", ".zst"];

/// Lists the files of a table.
///
/// # Errors
/// `NotFound` if there are none; `Invalid` if they are of several formats, or of none that is known.
pub(super) fn list(
    session: &Session,
    shelf: &Shelf,
    format: Option<FileFormat>,
    table: &TableName,
    address: &str,
) -> Result<Listing> {
    let place = shelf.text();
    let (base, mut files, manifest) = if pattern(&place) {
        (literal_folder(&place), matching(session, shelf, &place)?, None)
    } else if let Some(file) = shelf.file(place.trim_end_matches('/'))? {
        let name = place.trim_end_matches('/').to_owned();
        (literal_folder(&name), BTreeMap::from([(name, file)]), None)
    } else {
        in_folder(shelf, &place, format, table)?
    };
    if let Some(manifest) = manifest {
        let written = manifest.layout.format;
        if let Some(asked) = format.filter(|asked| *asked != written) {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!(
                    "the files of table \"{table}\" are `{}`, and `format` says `{}`",
                    written.word(),
                    asked.word()
                ),
                "Leave `format` out: Pintail wrote down what it wrote.",
            ));
        }
        return Ok(Listing {
            format: written,
            base,
            files,
            manifest: Some(manifest),
        });
    }
    if files.is_empty() {
        let known: Vec<TableName> = tables(shelf, format)?
            .into_iter()
            .map(|listed| listed.name)
            .collect();
        return Err(missing_table(address, table, &known));
    }
    let format = match format {
        Some(format) => format,
        None => one_format(table, &mut files)?,
    };
    Ok(Listing {
        format,
        base,
        files,
        manifest: None,
    })
}

/// Lists the tables.
pub(super) fn tables(shelf: &Shelf, format: Option<FileFormat>) -> Result<Vec<ListedTable>> {
    let place = shelf.text();
    if pattern(&place) || shelf.file(place.trim_end_matches('/'))?.is_some() {
        let name = name_of(&place);
        return Ok(vec![listed(TableName::bare(name))]);
    }
    let folder = format!("{}/", place.trim_end_matches('/'));
    let above = Path::new(&folder);
    let notes = shelf.depot().below(above)?;
    let own: BTreeSet<TableName> = notes
        .iter()
        .filter_map(|file| table_of(above, &file.path))
        .collect();
    let mut names = BTreeSet::new();
    for file in shelf.below(&folder)?.keys() {
        let inside = file.strip_prefix(&folder).unwrap_or(file);
        let known = format_of(inside).is_some() || format.is_some();
        // What Pintail wrote is a table of its own name, and its files are no others.
        let written = own.iter().any(|table| {
            let name: Vec<&str> = table
                .schema
                .iter()
                .chain([&table.table])
                .map(String::as_str)
                .collect();
            inside.starts_with(&format!("{}/", name.join("/")))
        });
        if let Some(name) = inside.split('/').next().filter(|_| known && !written) {
            let stem = if inside.contains('/') { name } else { stem(name) };
            names.insert(TableName::bare(stem));
        }
    }
    names.extend(own);
    Ok(names.into_iter().map(listed).collect())
}

/// The table that a place is by its name alone: a pattern, or a file of a format that is known. A slash at the end means a
/// folder.
pub(crate) fn only_table(place: &Place) -> Option<TableName> {
    let text = match place {
        Place::Local(path) => path.to_string_lossy().into_owned(),
        Place::Bucket(bucket) => bucket.prefix.clone(),
    };
    let last = text.rsplit('/').next().unwrap_or_default();
    (pattern(&text) || format_of(last).is_some()).then(|| TableName::bare(name_of(&text)))
}

fn listed(name: TableName) -> ListedTable {
    ListedTable {
        name,
        kind: TableKind::Table,
    }
}

/// What was found of a table: what its partitions are relative to, its files, and its manifest if Pintail wrote it.
type Finding = (String, BTreeMap<String, Found>, Option<Manifest>);

/// The files of a table in a folder of tables.
fn in_folder(shelf: &Shelf, place: &str, format: Option<FileFormat>, table: &TableName) -> Result<Finding> {
    let mut stem = place.trim_end_matches('/').to_owned();
    for part in table.schema.iter().chain([&table.table]) {
        // A name is one part of a path and leads nowhere else.
        if part.is_empty() || part.contains('/') || hidden(part) {
            return Ok((stem, BTreeMap::new(), None));
        }
        stem = format!("{stem}/{part}");
    }
    let mut files = BTreeMap::new();
    for (end, known) in ENDS {
        for packed in PACKED {
            let name = format!("{stem}.{end}{packed}");
            if format.is_none_or(|format| format == *known)
                && let Some(file) = shelf.file(&name)?
            {
                files.insert(name, file);
            }
        }
    }
    if files.is_empty() {
        stem.push('/');
        if let Some(manifest) = Manifest::newest(&shelf.depot(), Path::new(&stem))? {
            let (files, manifest) = of_manifest(shelf, table, &stem, manifest)?;
            return Ok((stem, files, Some(manifest)));
        }
        files = shelf.below(&stem)?;
    }
    Ok((stem, files, None))
}

/// The files of a table that Pintail wrote. A commit that takes place meanwhile removes files that it replaced: then its
/// manifest is read.
fn of_manifest(
    shelf: &Shelf,
    table: &TableName,
    folder: &str,
    mut manifest: Manifest,
) -> Result<(BTreeMap<String, Found>, Manifest)> {
    loop {
        let mut files = shelf.below(folder)?;
        let named: BTreeSet<String> = manifest
            .files
            .iter()
            .map(|file| format!("{folder}{}", file.path))
            .collect();
        files.retain(|name, _| named.contains(name));
        let Some(missing) = named.iter().find(|name| !files.contains_key(*name)) else {
            return Ok((files, manifest));
        };
        match Manifest::newest(&shelf.depot(), Path::new(folder))? {
            Some(newer) if newer.version > manifest.version => manifest = newer,
            _ => {
                return Err(Error::refused(
                    ErrorKind::Data,
                    format!("the manifest of table \"{table}\" names `{missing}`, which is not there"),
                    "Restore the file from a backup, or load the table in full.",
                ));
            }
        }
    }
}

/// The files that match a pattern, as the engine understands it.
fn matching(session: &Session, shelf: &Shelf, pattern: &str) -> Result<BTreeMap<String, Found>> {
    let sql = format!("select file from glob({}) order by file", literal(pattern));
    let names = session.query(Call::new("list files"), &sql)?;
    // One list for all of them: asking about each would take a request a file.
    let mut there = shelf.below(&literal_folder(pattern))?;
    let mut files = BTreeMap::new();
    for name in names.iter().filter_map(|row| row.text(0)) {
        if let Some(file) = there.remove(name) {
            files.insert(name.to_owned(), file);
        }
    }
    Ok(files)
}

/// The one format of all files.
fn one_format(table: &TableName, files: &mut BTreeMap<String, Found>) -> Result<FileFormat> {
    let mut formats: Vec<FileFormat> = Vec::new();
    // What no end tells is no table: a note, a licence.
    files.retain(|name, _| format_of(name).is_some());
    for format in files.keys().filter_map(|name| format_of(name)) {
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    match formats.as_slice() {
        [format] => Ok(*format),
        [] => Err(Error::refused(
            ErrorKind::Invalid,
            format!("the format of the files of table \"{table}\" cannot be told from their names"),
            "Say it: `format` is `parquet`, `csv` or `json`.",
        )),
        _ => Err(Error::refused(
            ErrorKind::Invalid,
            format!("the files of table \"{table}\" are of several formats"),
            "Say which one is meant with a pattern like `*.parquet`.",
        )),
    }
}

/// The format that the end of a name stands for.
fn format_of(name: &str) -> Option<FileFormat> {
    let name = name.to_ascii_lowercase();
    let name = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .unwrap_or(&name);
    let (_, end) = name.rsplit_once('.')?;
    let known = ENDS.iter().find(|(known, _)| *known == end)?;
    Some(known.1)
}

/// A name without the ends that tell the format.
fn stem(name: &str) -> &str {
    let unpacked = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .unwrap_or(name);
    unpacked.rsplit_once('.').map_or(unpacked, |(stem, _)| stem)
}

fn pattern(place: &str) -> bool {
    place.contains(['*', '?', '['])
}

/// The folder that stands before the first pattern, with a slash at its end.
fn literal_folder(place: &str) -> String {
    let fixed = place.find(['*', '?', '[']).map_or(place, |end| &place[..end]);
    fixed
        .rsplit_once('/')
        .map_or_else(String::new, |(folder, _)| format!("{folder}/"))
}

/// A name for what a pattern or a file stands for: what its last part begins with, or else the folder's.
fn name_of(place: &str) -> String {
    let parts = place.trim_end_matches('/').rsplit('/');
    let word = |part: &str| {
        let fixed = part.find(['*', '?', '[']).map_or(stem(part), |end| &part[..end]);
        fixed.trim_end_matches(['-', '_', '.', ' ']).to_owned()
    };
    parts
        .map(word)
        .find(|name| !name.is_empty() && !name.contains('='))
        .unwrap_or_else(|| "files".to_owned())
}
