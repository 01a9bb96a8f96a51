//! Column types that Pintail carries without loss, one list for every system.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A type that has a lossless home in the lake. A source type that maps to none of these is refused at plan
/// time, by column name, unless the pipeline declares what it should become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogicalType {
    /// True or false.
    Boolean,
    /// 8-bit signed integer.
    Int8,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// 8-bit unsigned integer.
    UInt8,
    /// 16-bit unsigned integer.
    UInt16,
    /// 32-bit unsigned integer.
    UInt32,
    /// 64-bit unsigned integer.
    UInt64,
    /// IEEE 754 single precision, NaN and infinities included.
    Float32,
    /// IEEE 754 double precision, NaN and infinities included.
    Float64,
    /// Exact number; `precision` is 1 to 38, `scale` 0 to `precision`.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Unicode text of any length.
    Text,
    /// Bytes of any length.
    Bytes,
    /// Calendar day.
    Date,
    /// Time of day in microseconds, without a zone.
    Time,
    /// Date and time in microseconds, without a zone.
    Timestamp,
    /// Instant in microseconds, UTC.
    TimestampTz,
    /// 128-bit identifier.
    Uuid,
    /// JSON text, kept as the source writes it.
    Json,
    /// Lists, all of the same depth. A list, and an element of the innermost lists, may be NULL.
    List {
        /// What the innermost lists hold.
        element: Element,
        /// How deep lists are nested; 1 is a list of elements.
        depth: u8,
    },
}

/// A type of which there may be lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// See [`LogicalType::Boolean`].
    Boolean,
    /// See [`LogicalType::Int16`].
    Int16,
    /// See [`LogicalType::Int32`].
    Int32,
    /// See [`LogicalType::Int64`].
    Int64,
    /// See [`LogicalType::Float32`].
    Float32,
    /// See [`LogicalType::Float64`].
    Float64,
    /// See [`LogicalType::Decimal`].
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// See [`LogicalType::Text`].
    Text,
    /// See [`LogicalType::Bytes`].
    Bytes,
    /// See [`LogicalType::Date`].
    Date,
    /// See [`LogicalType::Time`].
    Time,
    /// See [`LogicalType::Timestamp`].
    Timestamp,
    /// See [`LogicalType::TimestampTz`].
    TimestampTz,
    /// See [`LogicalType::Uuid`].
    Uuid,
}

impl Element {
    /// The type of one element.
    #[must_use]
    pub fn logical_type(self) -> LogicalType {
        match self {
            Self::Boolean => LogicalType::Boolean,
            Self::Int16 => LogicalType::Int16,
            Self::Int32 => LogicalType::Int32,
            Self::Int64 => LogicalType::Int64,
            Self::Float32 => LogicalType::Float32,
            Self::Float64 => LogicalType::Float64,
            Self::Decimal { precision, scale } => LogicalType::Decimal { precision, scale },
            Self::Text => LogicalType::Text,
            Self::Bytes => LogicalType::Bytes,
            Self::Date => LogicalType::Date,
            Self::Time => LogicalType::Time,
            Self::Timestamp => LogicalType::Timestamp,
            Self::TimestampTz => LogicalType::TimestampTz,
            Self::Uuid => LogicalType::Uuid,
        }
    }
}

impl LogicalType {
    /// Whether it is an integer that 64 bits with a sign hold: a key that is cut into ranges, a cursor.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64 | Self::UInt8 | Self::UInt16 | Self::UInt32
        )
    }
}

impl fmt::Display for LogicalType {
    /// The type as DuckDB and the lake spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Boolean => "boolean",
            Self::Int8 => "tinyint",
            Self::Int16 => "smallint",
            Self::Int32 => "integer",
            Self::Int64 => "bigint",
            Self::UInt8 => "utinyint",
            Self::UInt16 => "usmallint",
            Self::UInt32 => "uinteger",
            Self::UInt64 => "ubigint",
            Self::Float32 => "float",
            Self::Float64 => "double",
            Self::Decimal { precision, scale } => return write!(f, "decimal({precision},{scale})"),
            Self::Text => "varchar",
            Self::Bytes => "blob",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamp with time zone",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::List { element, depth } => {
                write!(f, "{}", element.logical_type())?;
                return (0..*depth).try_for_each(|_| f.write_str("[]"));
            }
        };
        f.write_str(name)
    }
}

/// One column as it stands in the destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// Name, exactly as the system spells it.
    pub name: String,
    /// What it holds.
    pub logical_type: LogicalType,
    /// Whether NULL may stand in it.
    pub nullable: bool,
    /// The type that the column had where it comes from, as long as nothing else was declared. A destination of the same
    /// system gives it that type again, also where `logical_type` only carries its text.
    pub origin: Option<NativeType>,
}

/// A type in the words of one system.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NativeType {
    /// The system, as in `type:`.
    pub system: String,
    /// The type, as that system writes it: `numeric(12,2)`, `inet`.
    pub name: String,
}
