//! The shape of what is carried: columns, the key by which rows are recognised, the cursor that a delta follows,
//! and the leaves by which both sides are compared. Pure.

use pintail_lake::connector::{ColumnRead, TableDescription};
use pintail_lake::quote;
use pintail_model::{Column, CursorType, LogicalType};
use serde::Serialize;

use crate::origin;
use crate::spec::{ColumnSource, DeltaSpec, PipelineSpec};

/// The shape of one pipeline's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Columns in the order of the destination.
    pub columns: Vec<ColumnRead>,
    /// Names of the key's columns in the destination; empty if rows cannot be recognised.
    pub key: Vec<String>,
    /// What groups are told apart by where one of them has no value there: they are compared as copies of rows, and `key` is
    /// empty.
    pub copied_key: Vec<String>,
    /// Names of the columns that are compared where rows are: all of them, but for those that are told not to count.
    pub compared: Vec<String>,
    /// The column that holds the hash of the row, if there is one.
    pub row_hash: Option<RowHash>,
    /// The column that says when a row was found to be gone from the source, if there is one. Only the destination has it: it
    /// is NULL in every row that is read, and is never compared.
    pub mark: Option<String>,
    /// The cursor, or why there is none.
    pub cursor: Result<Cursor, String>,
    /// How rows are grouped for comparison; `None` groups them by their own hash.
    pub leaf: Option<Leaf>,
}

/// A column of the destination that the source does not have: the hash of the columns that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowHash {
    /// The column.
    pub column: String,
    /// What is hashed.
    pub of: Vec<String>,
}

/// The column that a delta follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cursor {
    /// Its name in the source.
    pub source: String,
    /// Its name in the destination.
    pub dest: String,
    /// What identifies the column in the source beyond its name.
    pub identity: Option<String>,
    /// Its type.
    pub cursor_type: CursorType,
    /// What its declaration rounds values to, in microseconds: 1,000,000 for a `timestamp(0)`.
    pub unit_micros: i64,
    /// Whether the source allows NULL in it.
    pub nullable: bool,
    /// Whether it was chosen by its name, and not by the pipeline.
    pub chosen: bool,
    /// Whether it is a column of the source's main table, and not of a joined one or an expression.
    #[serde(skip)]
    pub of_main_table: bool,
}

/// Ranges of an integer key, each of which is compared as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leaf {
    /// The column of the destination.
    pub column: String,
    /// Keys of a leaf.
    pub width: i64,
    /// First leaf; smaller keys belong to it too.
    pub first: i64,
    /// Last leaf; greater keys belong to it too.
    pub last: i64,
}

/// Leaves at most, and keys of a leaf at least: enough to locate a difference, few enough to keep.
const LEAVES_MAX: i128 = 4096;
const LEAF_KEYS_MIN: i128 = 4096;

/// The one leaf of rows that are only counted.
pub(crate) const COUNTED_LEAF: &str = "0";

impl Shape {
    /// Lays out the shape. `delta` is the strategy whose cursor is wanted, if there is one.
    #[must_use]
    pub fn new(
        spec: &PipelineSpec,
        table: &TableDescription,
        columns: Vec<ColumnRead>,
        delta: Option<&DeltaSpec>,
    ) -> Self {
        let key = key(spec, table, &columns);
        let cursor = match delta {
            None => Err("no `delta` strategy is enabled".to_owned()),
            Some(DeltaSpec {
                column: Some(name), ..
            }) => named_cursor(spec, name, table, &columns),
            Some(DeltaSpec { column: None, .. }) => chosen_cursor(&key, &columns),
        };
        let leaf = leaf(&key, &columns);
        let mark = spec.deletes.mark().map(str::to_owned);
        let counts = |name: &String| {
            if mark.as_ref() == Some(name) {
                return false;
            }
            let told = spec.columns.iter().find(|column| column.dest == *name);
            key.contains(name) || told.is_none_or(|column| column.hash_column)
        };
        let names = columns.iter().map(|read| read.column.name.clone());
        let compared: Vec<String> = names.filter(counts).collect();
        let row_hash = spec
            .columns
            .iter()
            .find(|column| column.source == ColumnSource::RowHash)
            .map(|column| RowHash {
                column: column.dest.clone(),
                of: compared
                    .iter()
                    .filter(|name| **name != column.dest)
                    .cloned()
                    .collect(),
            });
        Self {
            columns,
            compared,
            row_hash,
            mark,
            key,
            copied_key: Vec::new(),
            cursor,
            leaf,
        }
    }

    /// The same for groups that are compared as copies of rows.
    #[must_use]
    pub fn as_copies(self) -> Self {
        Self {
            copied_key: self.key,
            key: Vec::new(),
            leaf: None,
            ..self
        }
    }

    /// What rows are told apart by, whether they are compared by it or not.
    #[must_use]
    pub fn told_apart_by(&self) -> &[String] {
        match self.key.as_slice() {
            [] => &self.copied_key,
            key => key,
        }
    }

    /// The same with those columns only.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        let wanted = |read: &&ColumnRead| names.contains(&read.column.name);
        Self {
            columns: self.columns.iter().filter(wanted).cloned().collect(),
            ..self.clone()
        }
    }

    /// The same with the columns of which the hash of a row is taken, as they are read for that alone. A document is its
    /// text then: it has the same hash, and nobody needs to look once more whether it is one.
    #[must_use]
    pub fn read_for_hashes(&self, names: &[String]) -> Self {
        let mut shape = self.only(names);
        for read in &mut shape.columns {
            if (read.source.logical_type, read.column.logical_type)
                == (Some(LogicalType::Json), LogicalType::Json)
            {
                read.column.logical_type = LogicalType::Text;
            }
        }
        shape
    }

    /// The columns that the source has.
    pub fn read_columns(&self) -> impl Iterator<Item = &ColumnRead> {
        let computed = self.row_hash.as_ref().map(|hash| hash.column.as_str());
        let mark = self.mark.as_deref();
        self.columns.iter().filter(move |read| {
            let name = Some(read.column.name.as_str());
            name != computed && name != mark
        })
    }

    /// The column that says when a row was found to be gone, if it is one of the columns.
    #[must_use]
    pub fn marked(&self) -> Option<&str> {
        let there = |mark: &&str| self.columns.iter().any(|read| read.column.name == *mark);
        self.mark.as_deref().filter(there)
    }

    /// The same without that column, for a destination that does not have it.
    #[must_use]
    pub fn unmarked(&self) -> Self {
        let mark = self.mark.as_deref();
        let other = |read: &&ColumnRead| Some(read.column.name.as_str()) != mark;
        Self {
            columns: self.columns.iter().filter(other).cloned().collect(),
            mark: None,
            ..self.clone()
        }
    }

    /// The hash of the row, if it is one of the columns.
    #[must_use]
    pub fn hashed(&self) -> Option<&RowHash> {
        let there = |hash: &&RowHash| self.columns.iter().any(|read| read.column.name == hash.column);
        self.row_hash.as_ref().filter(there)
    }

    /// The columns of the destination.
    #[must_use]
    pub fn destination(&self) -> Vec<Column> {
        self.columns.iter().map(|read| read.column.clone()).collect()
    }

    /// The column that a tap looks at where rows are only counted: one of integers, if there is one.
    #[must_use]
    pub fn counted(&self) -> &str {
        let integer = |read: &&ColumnRead| read.column.logical_type.is_integer();
        let column = self.columns.iter().find(integer).or(self.columns.first());
        column.map_or("", |read| read.column.name.as_str())
    }

    /// Names of the columns of the destination.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.columns
            .iter()
            .map(|read| read.column.name.as_str())
            .collect()
    }

    /// The key in the destination and in the source, if it is one integer column that is carried as such.
    #[must_use]
    pub fn integer_key(&self) -> Option<(&str, &str)> {
        let [key] = self.key.as_slice() else {
            return None;
        };
        let read = self.columns.iter().find(|read| read.column.name == *key)?;
        let carried = read.source.logical_type.is_some_and(LogicalType::is_integer)
            && read.column.logical_type.is_integer();
        carried.then_some((read.column.name.as_str(), read.source.name.as_str()))
    }

    /// The cursor, if rows can be followed by it: that takes a key too.
    #[must_use]
    pub fn followed(&self) -> Option<&Cursor> {
        let told_apart = !self.told_apart_by().is_empty();
        self.cursor.as_ref().ok().filter(|_| told_apart)
    }
}

impl Cursor {
    /// Which column it is, as a watermark remembers it.
    #[must_use]
    pub fn origin(&self) -> String {
        origin::text(&self.source, self.identity.as_deref())
    }
}

impl Leaf {
    /// The SQL expression of a row's leaf.
    #[must_use]
    pub fn sql(&self) -> String {
        let Self {
            column,
            width,
            first,
            last,
        } = self;
        format!(
            "greatest(least({} // {width}, {last}), {first})",
            quote::identifier(column)
        )
    }
}

/// The declared key, or else the source's own if all of it is carried.
fn key(spec: &PipelineSpec, table: &TableDescription, columns: &[ColumnRead]) -> Vec<String> {
    let declared: Vec<String> = spec.unique_columns().map(|column| column.dest.clone()).collect();
    if !declared.is_empty() {
        return declared;
    }
    let dest = |name: &String| {
        columns
            .iter()
            .find(|read| read.source.name == *name)
            .map(|read| read.column.name.clone())
    };
    table
        .key
        .iter()
        .map(dest)
        .collect::<Option<_>>()
        .unwrap_or_default()
}

fn cursor_type(read: &ColumnRead) -> Option<CursorType> {
    cursor_type_of(read.source.logical_type.unwrap_or(read.column.logical_type))
}

/// The cursor type of a column of that type; `None` if values of it cannot be followed.
#[must_use]
pub fn cursor_type_of(logical_type: LogicalType) -> Option<CursorType> {
    match logical_type {
        kind if kind.is_integer() => Some(CursorType::Integer),
        LogicalType::Date => Some(CursorType::Date),
        LogicalType::Timestamp => Some(CursorType::Timestamp),
        LogicalType::TimestampTz => Some(CursorType::TimestampTz),
        _ => None,
    }
}

/// The smallest step between two times of a declared type: SQL writes the digits of a second in parentheses.
pub(crate) fn unit_micros(source_type: &str) -> i64 {
    let digits = source_type
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(digits, _)| digits.trim().parse::<u32>().ok());
    10_i64.pow(6 - digits.unwrap_or(6).min(6))
}

fn named_cursor(
    spec: &PipelineSpec,
    name: &str,
    table: &TableDescription,
    columns: &[ColumnRead],
) -> Result<Cursor, String> {
    let mapped = spec.column(name);
    let name = spec.source_column(name);
    let meant = |read: &&ColumnRead| match mapped {
        Some(mapped) => read.column.name == mapped.dest,
        None => read.source.name == name,
    };
    let Some(read) = columns.iter().find(meant) else {
        return Err(match table.column(name) {
            Some(_) => format!("the cursor `{name}` is not in `column_map`"),
            None => format!("the cursor `{name}` does not exist"),
        });
    };
    let Some(cursor_type) = cursor_type(read) else {
        return Err(format!(
            "the cursor `{name}` is of type `{}`, and a delta follows integers, dates and timestamps",
            read.source.source_type
        ));
    };
    Ok(Cursor {
        source: read.source.name.clone(),
        dest: read.column.name.clone(),
        identity: read.source.identity.clone(),
        cursor_type,
        unit_micros: unit_micros(&read.source.source_type),
        nullable: read.source.nullable,
        chosen: false,
        of_main_table: mapped.is_none_or(|mapped| mapped.source.column().is_some()),
    })
}

/// Names that tables give to the time of the last change, the most common first.
const CHANGE_COLUMNS: &[&str] = &[
    "updated_at",
    "modified_at",
    "last_modified",
    "last_updated",
    "last_modified_at",
    "last_updated_at",
    "changed_at",
    "updated_on",
    "modified_on",
    "updated",
    "modified",
    "update_time",
    "updatedat",
    "modifiedat",
];

/// A cursor for a table that nobody said anything about: a time of the last change that is never NULL.
fn chosen_cursor(key: &[String], columns: &[ColumnRead]) -> Result<Cursor, String> {
    if key.is_empty() {
        return Err("the table has no primary key, so changed rows cannot be recognised".to_owned());
    }
    let fits = |read: &&ColumnRead| {
        !read.source.nullable
            && matches!(
                cursor_type(read),
                Some(CursorType::Timestamp | CursorType::TimestampTz)
            )
    };
    let named = |name: &&str| {
        columns
            .iter()
            .filter(fits)
            .find(|read| read.source.name.eq_ignore_ascii_case(name))
    };
    let found = CHANGE_COLUMNS.iter().find_map(named);
    found.and_then(|read| Some((read, cursor_type(read)?))).map_or_else(
        || Err("the table has no NOT NULL timestamp with a name like `updated_at` that a delta could follow".to_owned()),
        |(read, cursor_type)| {
            Ok(Cursor {
                source: read.source.name.clone(),
                dest: read.column.name.clone(),
                identity: read.source.identity.clone(),
                cursor_type,
                unit_micros: unit_micros(&read.source.source_type),
                nullable: false,
                chosen: true,
                of_main_table: true,
            })
        },
    )
}

/// Leaves by the first integer column of the key whose spread is known.
fn leaf(key: &[String], columns: &[ColumnRead]) -> Option<Leaf> {
    key.iter().find_map(|name| {
        let read = columns.iter().find(|read| read.column.name == *name)?;
        let integer = read.column.logical_type.is_integer();
        let (least, most) = (*read.source.histogram.first()?, *read.source.histogram.last()?);
        let spread = i128::from(most) - i128::from(least) + 1;
        let width = (spread + LEAVES_MAX - 1)
            .div_euclid(LEAVES_MAX)
            .max(LEAF_KEYS_MIN);
        let width = i64::try_from(width).ok().filter(|_| integer)?;
        Some(Leaf {
            column: name.clone(),
            width,
            first: least / width,
            last: most / width,
        })
    })
}
