//! Where files are: on this machine, or in a bucket of an object store.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::environment::Lookup;
use crate::location::Reason;
use crate::options::Options;

/// A folder, a file, a pattern for files, or the same below a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Local(PathBuf),
    /// In an object store that speaks S3.
    Bucket(Bucket),
}

/// A part of a bucket, and how the bucket is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket.
    pub name: String,
    /// What stands behind the bucket, without the first slash: a prefix, a key, a pattern for keys, or nothing.
    pub prefix: String,
    /// `endpoint`, `region`, `access_key_id`, `secret_access_key`, `session_token`, `url_style`, `use_ssl`: those
    /// that were given.
    pub options: Options,
}

/// How tables are written into files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Values between commas.
    Csv,
    /// JSON, one object a line or a list of them.
    Json,
}

/// Files as a datastore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// A folder whose entries are tables, or one table: a file or a pattern.
    pub place: Place,
    /// The format, if the ends of the names do not tell.
    pub format: Option<FileFormat>,
    /// What stands between the fields of CSV, if it is not told by the names either.
    pub delimiter: Option<char>,
    /// Columns whose values become folders of tables that are written: `order_date=2026-11-21/`. Reading tells such
    /// folders by their names.
    pub partition_by: Vec<String>,
}

/// An option of a bucket, and the words for it.
#[derive(Debug)]
pub(crate) struct BucketOption {
    pub(crate) name: &'static str,
    /// Its name beside `data_path`, where other options stand too.
    pub(crate) beside_data_path: &'static str,
    /// Words that people bring along from other tools.
    pub(crate) synonyms: &'static [&'static str],
}

/// What the options of a bucket belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Datastore,
    DataPath,
}

/// The options of a bucket.
pub(crate) const BUCKET_OPTIONS: &[BucketOption] = &[
    option("endpoint", "s3_endpoint", &[]),
    option("region", "s3_region", &["aws_region"]),
    option(
        "access_key_id",
        "s3_access_key_id",
        &["access_key", "aws_access_key_id"],
    ),
    option(
        "secret_access_key",
        "s3_secret_access_key",
        &["secret_key", "aws_secret_access_key"],
    ),
    option("session_token", "s3_session_token", &["aws_session_token"]),
    option("url_style", "s3_url_style", &[]),
    option("use_ssl", "s3_use_ssl", &[]),
];

const fn option(
    name: &'static str,
    beside_data_path: &'static str,
    synonyms: &'static [&'static str],
) -> BucketOption {
    BucketOption {
        name,
        beside_data_path,
        synonyms,
    }
}

impl BucketOption {
    /// The words for it, the one that we suggest first.
    pub(crate) fn words(&self, owner: Owner) -> impl Iterator<Item = &'static str> {
        let (name, synonyms) = match owner {
            Owner::Datastore => (self.name, self.synonyms),
            Owner::DataPath => (self.beside_data_path, [].as_slice()),
        };
        std::iter::once(name).chain(synonyms.iter().copied())
    }
}

/// Reads a `delimiter`: one letter of ASCII, or `tab`.
pub(crate) fn delimiter(text: &str) -> Result<char, Reason> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii() && !"\"\r\n".contains(letter) => Ok(letter),
        _ if text == "tab" => Ok('\t'),
        _ => Err(Reason::new(
            "`delimiter` is neither one letter of ASCII nor `tab`",
        )),
    }
}

/// Checks a `partition_by`: names of columns, each once.
pub(crate) fn partition_by(columns: Vec<String>) -> Result<Vec<String>, Reason> {
    let named = columns.iter().filter(|column| !column.is_empty());
    if named.count() < columns.len() {
        return Err(Reason::new("`partition_by` names a column without a name"));
    }
    let twice = |(place, column): &(usize, &String)| columns[..*place].contains(column);
    match columns.iter().enumerate().find(twice) {
        Some((_, column)) => Err(Reason::new(format!("`partition_by` names `{column}` twice"))),
        None => Ok(columns),
    }
}

/// The words that `format` takes.
pub(crate) const FORMATS: &[(&str, FileFormat)] = &[
    ("parquet", FileFormat::Parquet),
    ("csv", FileFormat::Csv),
    ("json", FileFormat::Json),
];

impl FileFormat {
    /// The word for it, which also ends the names of its files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

impl Files {
    pub(crate) fn endpoint(&self) -> Option<&str> {
        match &self.place {
            Place::Bucket(bucket) => bucket.options.text("endpoint"),
            Place::Local(_) => None,
        }
    }
}

impl Place {
    /// Reads `s3://bucket/prefix` or a path, which is relative to `base`.
    pub(crate) fn parse(text: &str, base: &Path) -> Result<Self, Reason> {
        match text.strip_prefix("s3:") {
            Some(body) => Ok(Self::Bucket(Bucket::parse(body)?)),
            None if text.contains("://") => {
                let scheme = text.split(':').next().unwrap_or_default();
                Err(Reason::new(format!("`{scheme}` is not an object store"))
                    .hint("files lie in a folder, or in a bucket as `s3://bucket/prefix`"))
            }
            None => Ok(Self::Local(base.join(text))),
        }
    }

    /// The path on this machine, if it is there.
    #[must_use]
    pub fn local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Bucket(_) => None,
        }
    }
}

impl Bucket {
    /// Reads what stands behind `s3:`.
    pub(crate) fn parse(body: &str) -> Result<Self, Reason> {
        const FORM: &str = "the form is `s3://bucket/prefix`";
        let Some(body) = body.strip_prefix("//") else {
            return Err(Reason::new("`//` is missing before the bucket").hint(FORM));
        };
        let (name, prefix) = body.split_once('/').unwrap_or((body, ""));
        Self::new(name, prefix).map_err(|reason| reason.hint(FORM))
    }

    /// A part of a bucket, with no options yet.
    pub(crate) fn new(name: &str, prefix: &str) -> Result<Self, Reason> {
        let known = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
        if name.is_empty() || !name.chars().all(known) {
            return Err(Reason::new(
                "the name of the bucket is not one: letters, digits, `.`, `-` and `_`",
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            prefix: prefix.trim_start_matches('/').to_owned(),
            options: Options::default(),
        })
    }

    /// Sets one of [`BUCKET_OPTIONS`]; an empty value is one that was left out.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), Reason> {
        let value = value.trim();
        match name {
            _ if value.is_empty() => return Ok(()),
            "endpoint" => {
                let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
                let host = rest.trim_end_matches('/');
                if host.is_empty() || host.contains(['/', '@', ' ']) {
                    return Err(Reason::new("`endpoint` is not the address of a server")
                        .hint("the forms are `host:port` and `http://host:port`"));
                }
                match scheme {
                    "" => {}
                    // What `use_ssl` says itself counts more.
                    "http" | "https" if self.options.text("use_ssl").is_none() => {
                        self.options.insert("use_ssl", (scheme == "https").to_string());
                    }
                    "http" | "https" => {}
                    _ => {
                        return Err(Reason::new(
                            "`endpoint` begins with neither `http://` nor `https://`",
                        ));
                    }
                }
                self.options.insert(name, host);
            }
            "url_style" if !["path", "vhost"].contains(&value) => {
                return Err(Reason::new("`url_style` is neither `path` nor `vhost`"));
            }
            "use_ssl" if !["true", "false"].contains(&value) => {
                return Err(Reason::new("`use_ssl` is neither `true` nor `false`"));
            }
            _ => self.options.insert(name, value),
        }
        Ok(())
    }

    /// The bucket with what the usual variables of AWS say where nothing was given. Keys are taken together or not
    /// at all: half of one account and half of another open nothing.
    #[must_use]
    pub fn with_environment(mut self, lookup: Lookup<'_>) -> Self {
        let found = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| lookup(name).filter(|value| !value.is_empty()))
        };
        let given = |bucket: &Self, name: &str| bucket.options.iter().any(|(known, _)| known == name);
        let mut variables: Vec<(&str, &[&str])> = Vec::new();
        if !given(&self, "access_key_id") && !given(&self, "secret_access_key") {
            variables.push(("access_key_id", &["AWS_ACCESS_KEY_ID"]));
            variables.push(("secret_access_key", &["AWS_SECRET_ACCESS_KEY"]));
            variables.push(("session_token", &["AWS_SESSION_TOKEN"]));
        }
        if !given(&self, "region") {
            variables.push(("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]));
        }
        if !given(&self, "endpoint") {
            variables.push(("endpoint", &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
        }
        for (name, variables) in variables {
            if let Some(value) = found(variables) {
                // An endpoint that cannot be read is left out; the request then says which server it asked.
                let _ = self.set(name, &value);
            }
        }
        self
    }

    /// Whether the bucket's name stands in the path (`path`) or before the host (`vhost`). Servers other than
    /// Amazon's are asked by path unless something else was said, because a name before the host needs DNS.
    #[must_use]
    pub fn url_style(&self) -> &str {
        let default = match self.options.text("endpoint") {
            Some(_) => "path",
            None => "vhost",
        };
        self.options.text("url_style").unwrap_or(default)
    }

    /// The options that are no secret, as parameters of an address.
    pub(crate) fn parameters(&self, owner: Owner) -> Vec<(&'static str, &str)> {
        BUCKET_OPTIONS
            .iter()
            .filter_map(|option| {
                let word = option.words(owner).next()?;
                Some((word, self.options.text(option.name)?))
            })
            .collect()
    }
}

impl fmt::Display for Bucket {
    /// `s3://bucket/prefix`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Owner};

    fn bucket(options: &[(&str, &str)]) -> Bucket {
        let mut bucket = Bucket::new("lake", "a/b").expect("valid");
        for (name, value) in options {
            bucket.set(name, value).expect("valid");
        }
        bucket
    }

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "AWS_ACCESS_KEY_ID" => "id-of-environment",
            "AWS_SECRET_ACCESS_KEY" => "key-of-environment",
            "AWS_DEFAULT_REGION" => "eu-north-1",
            "AWS_ENDPOINT_URL" => "http://localhost:9000/",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_environment_fills_what_was_not_given() {
        let filled = bucket(&[]).with_environment(&environment);
        let secret = |name| filled.options.secret(name).map(pintail_model::Secret::expose);
        assert_eq!(secret("access_key_id"), Some("id-of-environment"));
        assert_eq!(secret("secret_access_key"), Some("key-of-environment"));
        assert_eq!(filled.options.text("region"), Some("eu-north-1"));
        assert_eq!(filled.options.text("endpoint"), Some("localhost:9000"));
        assert_eq!(filled.options.text("use_ssl"), Some("false"));
        assert_eq!(filled.url_style(), "path");
    }

    #[test]
    fn keys_of_two_accounts_are_not_mixed() {
        let filled =
            bucket(&[("access_key_id", "mine"), ("region", "us-east-1")]).with_environment(&environment);
        assert!(filled.options.secret("secret_access_key").is_none());
        assert_eq!(filled.options.text("region"), Some("us-east-1"));
    }

    #[test]
    fn use_ssl_counts_more_than_the_endpoint() {
        let options = [("use_ssl", "true"), ("endpoint", "http://minio:9000")];
        assert_eq!(bucket(&options).options.text("use_ssl"), Some("true"));
        let turned = [options[1], options[0]];
        assert_eq!(bucket(&turned).options.text("use_ssl"), Some("true"));
    }

    #[test]
    fn keys_do_not_show() {
        let options = [
            ("access_key_id", "hunter2"),
            ("secret_access_key", "hunter2"),
            ("session_token", "hunter2"),
        ];
        let shown = format!(
            "{0:?} {0} {1:?}",
            bucket(&options),
            bucket(&options).parameters(Owner::DataPath)
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
