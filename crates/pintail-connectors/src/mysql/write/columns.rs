//! How columns become columns of MySQL, and how staged values get there.
//!
//! The engine writes every value as a literal, which the server reads as a value of its column: a number as such, all
//! else in quotes, bytes in hexadecimal. So nothing needs a second table to be brought into its type.

use pintail_lake::connector::SourceColumn;
use pintail_lake::database::{DatabaseWriter, Incoming};
use pintail_lake::quote;
use pintail_model::{Column, LogicalType, NativeType};

use super::super::quote::identifier;
use super::super::scan::is_quoted_right;
use super::super::server::Flavour;
use super::super::types::{self, INSTANTS};

/// Bytes that a key may have in an index of InnoDB.
const KEY_BYTES: usize = 3072;

/// Bytes of a key that a column takes which is neither text nor bytes, at most.
const OTHER_KEY_BYTES: usize = 32;

/// Bytes of a letter in `utf8mb4`.
const LETTER_BYTES: usize = 4;

/// Letters at the beginning of a text without a length, as an index has them.
const PREFIX: usize = 100;

/// Bytes that all columns of a row may have which do not lie apart from it. The server's own limit is 65,535.
const ROW_BYTES: usize = 60_000;

/// The type of a new column.
pub(super) fn column_type(system: &str, column: &Column) -> String {
    match &column.origin {
        Some(NativeType { system: own, name }) if own == system => name.clone(),
        _ => of(column.logical_type),
    }
}

fn of(logical_type: LogicalType) -> String {
    use LogicalType as T;
    let name = match logical_type {
        T::Boolean => "bit(1)",
        T::Int8 => "tinyint",
        T::UInt8 => "tinyint unsigned",
        T::Int16 => "smallint",
        T::UInt16 => "smallint unsigned",
        T::Int32 => "int",
        T::UInt32 => "int unsigned",
        T::Int64 => "bigint",
        T::UInt64 => "bigint unsigned",
        T::Float32 => "float",
        T::Float64 => "double",
        T::Decimal { precision, scale } => return format!("decimal({precision},{scale})"),
        T::Bytes => "longblob",
        T::Date => "date",
        T::Time => "time(6)",
        T::Timestamp => "datetime(6)",
        T::TimestampTz => INSTANTS,
        T::Uuid => "uuid",
        T::Json => "json",
        // Lists are refused before.
        T::Text | T::List { .. } => "longtext",
    };
    name.to_owned()
}

/// Whether a column that is there takes every value of `wanted` and gives it back as it was, or refuses it.
pub(super) fn takes(system: &str, found: &SourceColumn, wanted: &Column) -> bool {
    use LogicalType as T;
    let declared = found.source_type.as_str();
    if declared == column_type(system, wanted) {
        return true;
    }
    let name = types::name(declared);
    let home = found.logical_type;
    match wanted.logical_type {
        T::Boolean => declared == "bit(1)" || name == "tinyint",
        T::Float32 => declared == "float",
        T::Float64 => declared == "double",
        T::Decimal { precision, scale } => {
            matches!(home, Some(T::Decimal { precision: wide, scale: fine }) if fine == scale && wide >= precision)
        }
        T::Text => matches!(name, "varchar" | "tinytext" | "text" | "mediumtext" | "longtext"),
        T::Bytes => matches!(
            name,
            "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob"
        ),
        T::Date => name == "date",
        // Digits of a second that a column does not have are rounded away in silence.
        T::Time => declared == "time(6)",
        T::Timestamp => declared == "datetime(6)",
        T::TimestampTz => declared == INSTANTS || declared == "timestamp(6)",
        T::Uuid => name == "uuid" || declared == "char(36)",
        T::Json => declared == "json",
        T::List { .. } => false,
        // MariaDB writes how wide an integer is shown, MySQL does not any more.
        integer => name != "year" && home.is_some_and(|home| holds(home, integer)),
    }
}

/// Whether an integer type has every value of another.
fn holds(wide: LogicalType, narrow: LogicalType) -> bool {
    let (Some(wide), Some(narrow)) = (bits(wide), bits(narrow)) else {
        return false;
    };
    match (wide, narrow) {
        ((true, wide), (true, narrow)) | ((false, wide), (false, narrow)) => wide >= narrow,
        ((true, wide), (false, narrow)) => wide > narrow,
        ((false, _), (true, _)) => false,
    }
}

/// Whether an integer has a sign, and its bits.
fn bits(logical_type: LogicalType) -> Option<(bool, u8)> {
    use LogicalType as T;
    Some(match logical_type {
        T::Int8 => (true, 8),
        T::Int16 => (true, 16),
        T::Int32 => (true, 32),
        T::Int64 => (true, 64),
        T::UInt8 => (false, 8),
        T::UInt16 => (false, 16),
        T::UInt32 => (false, 32),
        T::UInt64 => (false, 64),
        _ => return None,
    })
}

/// One column on its way.
pub(super) struct Load {
    pub(super) name: String,
    /// What it is called where the engine writes it: DuckDB's scanner quotes some letters wrongly.
    pub(super) label: String,
    /// The type of the column in the table.
    pub(super) native: String,
    /// What is staged.
    pub(super) staged: LogicalType,
    pub(super) nullable: bool,
    /// Whether the column of the table may be NULL.
    pub(super) takes_null: bool,
}

/// All columns on their way.
pub(super) struct Loads(pub(super) Vec<Load>);

impl Loads {
    pub(super) fn of(incoming: &Incoming<'_>, writer: &dyn DatabaseWriter) -> Self {
        let found = incoming.found.filter(|_| incoming.fits);
        let loads = incoming.columns.iter().enumerate().map(|(index, column)| {
            let own = found.and_then(|table| table.column(&column.name));
            Load {
                name: column.name.clone(),
                label: format!("c{index}"),
                native: own.map_or_else(|| writer.column_type(column), |own| own.source_type.clone()),
                staged: column.logical_type,
                nullable: column.nullable,
                takes_null: own.map_or(column.nullable, |own| own.nullable),
            }
        });
        let mut loads = Self(loads.collect());
        if found.is_none() {
            loads.fit_into_key(incoming.key);
            loads.fit_into_row(incoming.key);
        }
        loads
    }

    /// Gives texts and bytes of a new key a length, as an index needs one: as long as they can be.
    fn fit_into_key(&mut self, key: &[String]) {
        let in_key = |load: &&mut Load| key.contains(&load.name);
        let (long, other): (Vec<&mut Load>, Vec<&mut Load>) = self
            .0
            .iter_mut()
            .filter(in_key)
            .partition(|load| is_long(&load.native));
        let left = KEY_BYTES.saturating_sub(other.len() * OTHER_KEY_BYTES);
        let bytes = left / long.len().max(1);
        for load in long {
            load.native = match load.staged {
                LogicalType::Bytes => format!("varbinary({bytes})"),
                _ => format!("varchar({})", bytes / LETTER_BYTES),
            };
        }
    }

    /// Moves texts out of the row where all of them would not fit into it: other character sets have shorter letters.
    fn fit_into_row(&mut self, key: &[String]) {
        let bytes = |load: &Load| match (types::name(&load.native), length(&load.native)) {
            ("varchar" | "char", Some(letters)) => letters * LETTER_BYTES,
            ("varbinary" | "binary", Some(bytes)) => bytes,
            _ => 0,
        };
        let all: usize = self.0.iter().map(bytes).sum();
        if all <= ROW_BYTES {
            return;
        }
        for load in self.0.iter_mut().filter(|load| !key.contains(&load.name)) {
            if bytes(load) > 1024 {
                let text = load.staged == LogicalType::Text;
                load.native = if text { "longtext" } else { "longblob" }.to_owned();
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Load> {
        self.0.iter().find(|load| load.name == name)
    }

    /// Names of the table's columns with the labels under which they are staged.
    pub(super) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0
            .iter()
            .map(|load| (load.name.as_str(), load.label.as_str()))
            .collect()
    }

    /// Those of the key.
    pub(super) fn key<'a>(&'a self, key: &'a [String]) -> Vec<(&'a str, &'a str)> {
        key.iter()
            .filter_map(|name| self.get(name))
            .map(|load| (load.name.as_str(), load.label.as_str()))
            .collect()
    }

    /// The labels of the key as an index takes them; of what has no length, the beginning.
    pub(super) fn index(&self, key: &[String]) -> Option<String> {
        let parts: Vec<String> = key
            .iter()
            .filter_map(|name| self.get(name))
            .map(|load| match is_long(&load.native) {
                true => format!("{}({PREFIX})", load.label),
                false => load.label.clone(),
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Definitions of the columns of a new table.
    pub(super) fn definitions(&self, flavour: Flavour) -> String {
        let definition = |load: &Load| {
            // A `timestamp` of which nothing is said is not NULL on some servers.
            let null = if load.nullable { "null" } else { "not null" };
            format!("{} {} {null}", identifier(&load.name), known_to(flavour, load))
        };
        self.0.iter().map(definition).collect::<Vec<_>>().join(", ")
    }

    /// Labels, with the types in which the engine writes.
    pub(super) fn written(&self) -> Vec<(&str, String)> {
        let written = |load: &'_ Load| load.written();
        self.0
            .iter()
            .map(|load| (load.label.as_str(), written(load)))
            .collect()
    }

    /// Names, with the types in which the engine reads; none if the server has to be asked for the rows, since the engine
    /// writes a name wrongly.
    pub(super) fn read(&self) -> Vec<(&str, String)> {
        if !self.0.iter().all(|load| is_quoted_right(&load.name)) {
            return Vec::new();
        }
        let read = |load: &Load| {
            types::scanned(&load.native)
                .unwrap_or(LogicalType::Text)
                .to_string()
        };
        self.0
            .iter()
            .map(|load| (load.name.as_str(), read(load)))
            .collect()
    }

    /// The staged columns as the engine writes them.
    pub(super) fn values(&self) -> String {
        self.0.iter().map(Load::value).collect::<Vec<_>>().join(", ")
    }
}

impl Load {
    /// The type in which the engine writes it.
    fn written(&self) -> String {
        use LogicalType as T;
        match self.staged {
            // The engine's shortest text of a float is out of MySQL's range, if it is the largest.
            T::Float32 | T::Float64 | T::Time | T::Uuid | T::Json => T::Text.to_string(),
            T::TimestampTz => T::Timestamp.to_string(),
            other => other.to_string(),
        }
    }

    fn value(&self) -> String {
        use LogicalType as T;
        let name = quote::identifier(&self.name);
        match self.staged {
            T::Float32 | T::Float64 => format!("{name}::double::varchar"),
            T::Time | T::Uuid | T::Json => format!("{name}::varchar"),
            // In UTC, whatever the engine's zone is.
            T::TimestampTz => format!("make_timestamp(epoch_us({name}))"),
            _ => name,
        }
    }
}

/// The type in the words of a system. MySQL has no `uuid`.
fn known_to(flavour: Flavour, load: &Load) -> &str {
    match (flavour, load.native.as_str()) {
        (Flavour::MySql, "uuid") => "char(36)",
        (_, native) => native,
    }
}

/// Whether a type has no length that an index could hold.
fn is_long(native: &str) -> bool {
    let name = types::name(native);
    name.ends_with("text") || name.ends_with("blob") || name == "json"
}

/// The first number in parentheses.
pub(super) fn length(native: &str) -> Option<usize> {
    let (_, rest) = native.split_once('(')?;
    rest.split([')', ',']).next()?.trim().parse().ok()
}
