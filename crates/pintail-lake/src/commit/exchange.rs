//! Rows without a key, which go and come as wholes.
//!
//! A row that goes is staged once, with all of its columns and with the number of its copies that go. Places that cannot tell
//! two equal rows apart take all of its copies away, and whoever stages knows that.

use pintail_model::{Column, ErrorKind, LogicalType, TableName};

use super::StagedFile;
use super::staged::read_staged;
use crate::error::{Error, Result};
use crate::quote;
use crate::session::{Call, Session};

/// The column with the number of copies that go, beside those of the table.
pub const COPIES: &str = "pintail_copies";

/// Whether a row `kept` is equal to a row `staged`, in the engine: NULL is equal to NULL, and -0.0 is not equal to 0.0.
#[must_use]
pub fn same_row(columns: &[Column]) -> String {
    let same = |column: &Column| {
        let name = quote::identifier(&column.name);
        let text = match column.logical_type {
            LogicalType::Float32 | LogicalType::Float64 => "::varchar",
            _ => "",
        };
        let logical_type = column.logical_type;
        format!("kept.{name}::{logical_type}{text} is not distinct from staged.{name}::{logical_type}{text}")
    };
    columns.iter().map(same).collect::<Vec<_>>().join(" and ")
}

/// How many copies go in all.
///
/// # Errors
/// What the engine says.
pub fn copies(session: &Session, gone: &[StagedFile]) -> Result<u64> {
    if gone.is_empty() {
        return Ok(0);
    }
    let sql = format!("select sum({COPIES})::bigint from {}", read_staged(gone));
    let rows = session.query(Call::new("count the rows that are to go"), &sql)?;
    let number = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
    Ok(u64::try_from(number).unwrap_or(0))
}

/// Ends a commit that found other rows than those that are to go.
///
/// # Errors
/// `Data` if it did.
pub fn check_copies(table: &TableName, wanted: u64, found: u64) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Data,
        format!(
            "{wanted} rows of table \"{table}\" are to go, and {found} of it are equal to them: nothing was committed"
        ),
        "Somebody else changed the table, or it takes values for the same that differ. Run it again, or a full load.",
    ))
}
