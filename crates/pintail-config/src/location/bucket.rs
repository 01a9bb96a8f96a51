//! Addresses of files: `files:folder/*.parquet`, `s3://bucket/prefix?region=…`.

use std::path::Path;

use crate::location::query::Query;
use crate::location::{Reason, decode, parse_path};
use crate::nearest::nearest;
use crate::place::{
    BUCKET_OPTIONS, Bucket, FORMATS, FileFormat, Files, Owner, Place, delimiter, partition_by,
};

/// What every address of files takes.
const OWN: [&str; 5] = ["table", "schema", "format", "delimiter", "partition_by"];

/// `folder/`, `folder/*.csv`, `//` + absolute path.
pub(super) fn parse_folder(body: &str, mut query: Query, base: &Path) -> Result<Files, Reason> {
    let format = take_format(&mut query)?;
    let delimiter = take_delimiter(&mut query)?;
    let partition_by = take_partition_by(&mut query)?;
    query.finish(&OWN)?;
    Ok(Files {
        place: Place::Local(parse_path(body, base)?),
        format,
        delimiter,
        partition_by,
    })
}

/// `//bucket/prefix`, with options in the query.
pub(super) fn parse_bucket(body: &str, mut query: Query) -> Result<Files, Reason> {
    let format = take_format(&mut query)?;
    let mut bucket = Bucket::parse(&decode(body)?)?;
    take_options(&mut query, Owner::Datastore, &mut bucket)?;
    let options = BUCKET_OPTIONS.iter().map(|option| option.name);
    let delimiter = take_delimiter(&mut query)?;
    let partition_by = take_partition_by(&mut query)?;
    let known: Vec<&str> = OWN.into_iter().chain(options).collect();
    query.finish(&known)?;
    Ok(Files {
        place: Place::Bucket(bucket),
        format,
        delimiter,
        partition_by,
    })
}

/// Takes the options of a bucket out of a query.
pub(super) fn take_options(query: &mut Query, owner: Owner, bucket: &mut Bucket) -> Result<(), Reason> {
    for option in BUCKET_OPTIONS {
        for word in option.words(owner) {
            if let Some(value) = query.take(word)? {
                bucket.set(option.name, &value)?;
            }
        }
    }
    Ok(())
}

/// Refuses the options of a bucket beside a data path that is in none.
pub(super) fn refuse_options(query: &Query) -> Result<(), Reason> {
    let mut words = BUCKET_OPTIONS.iter().map(|option| option.beside_data_path);
    match words.find(|word| query.has(word)) {
        Some(word) => Err(Reason::new(format!(
            "parameter `{word}` belongs to a `data_path` in a bucket"
        ))),
        None => Ok(()),
    }
}

fn take_delimiter(query: &mut Query) -> Result<Option<char>, Reason> {
    query.take("delimiter")?.map(|text| delimiter(&text)).transpose()
}

/// Columns with commas between them. A name with a comma can be written in a file only.
fn take_partition_by(query: &mut Query) -> Result<Vec<String>, Reason> {
    let Some(text) = query.take("partition_by")? else {
        return Ok(Vec::new());
    };
    partition_by(text.split(',').map(|column| column.trim().to_owned()).collect())
}

fn take_format(query: &mut Query) -> Result<Option<FileFormat>, Reason> {
    let Some(word) = query.take("format")? else {
        return Ok(None);
    };
    match FORMATS.iter().find(|(known, _)| *known == word) {
        Some((_, format)) => Ok(Some(*format)),
        None => {
            let reason = Reason::new("`format` is none of `parquet`, `csv` and `json`");
            Err(match nearest(&word, FORMATS.iter().map(|(known, _)| *known)) {
                Some(meant) => reason.hint(format!("did you mean `{meant}`?")),
                None => reason,
            })
        }
    }
}
