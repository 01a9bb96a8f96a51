//! What is said of single columns where all others are taken as they are: `--type` and `--skip` of `pintail copy`.

use super::declared_type::DeclaredType;

/// A choice for one column of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnChoice {
    /// The column, as the source spells it.
    pub column: String,
    /// What becomes of it.
    pub choice: Choice,
}

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It is read as that type, if that loses nothing.
    Type(DeclaredType),
    /// It is left out.
    Skip,
}

impl ColumnChoice {
    /// Reads `column=type`, with a type as in `data_type` and a decimal as `decimal(12,2)`.
    ///
    /// # Errors
    /// In words, for the person who wrote it.
    pub fn parse_type(text: &str) -> Result<Self, String> {
        let (column, word) = text
            .rsplit_once('=')
            .filter(|(column, _)| !column.is_empty())
            .ok_or_else(|| "write `column=type`".to_owned())?;
        let declared = DeclaredType::parse(word.trim())?;
        Ok(Self {
            column: column.to_owned(),
            choice: Choice::Type(declared),
        })
    }

    /// Leaves `column` out.
    #[must_use]
    pub fn skip(column: impl Into<String>) -> Self {
        Self {
            column: column.into(),
            choice: Choice::Skip,
        }
    }
}
