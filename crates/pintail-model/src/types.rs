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
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
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
}

impl fmt::Display for LogicalType {
    /// The type as DuckDB and the lake spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Boolean => "boolean",
            Self::Int16 => "smallint",
            Self::Int32 => "integer",
            Self::Int64 => "bigint",
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
}
