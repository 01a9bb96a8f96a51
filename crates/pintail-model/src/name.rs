//! Names of tables, as people write them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table, with its schema where one was given. Both parts are kept exactly as written: case, spaces and
/// quotes included. Quoting for SQL happens where SQL is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// The schema (namespace), or `None` for the system's default.
    pub schema: Option<String>,
    /// The table itself.
    pub table: String,
}

impl TableName {
    /// A table in a named schema.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: Some(schema.into()),
            table: table.into(),
        }
    }

    /// A table in the default schema of its system.
    pub fn bare(table: impl Into<String>) -> Self {
        Self {
            schema: None,
            table: table.into(),
        }
    }

    /// Reads `schema.table` or `table`. A part may stand in double quotes (doubled to escape), which lets it
    /// contain dots: `"odd.schema"."a ""b"""`.
    ///
    /// Returns `None` for an empty part, an unclosed quote or more than two parts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = split_quoted(text)?;
        let table = parts.pop()?;
        let schema = parts.pop();
        parts.is_empty().then_some(Self { schema, table })
    }

    /// The schema, or `default` where none was given.
    #[must_use]
    pub fn schema_or<'a>(&'a self, default: &'a str) -> &'a str {
        self.schema.as_deref().unwrap_or(default)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

/// Splits at dots outside of double quotes.
fn split_quoted(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                part.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if part.is_empty() => quoted = true,
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            _ => part.push(letter),
        }
    }
    parts.push(part);
    (!quoted && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::TableName;

    #[test]
    fn names_keep_their_parts() {
        let check = |text: &str, schema: Option<&str>, table: &str| {
            let name = TableName::parse(text).expect(text);
            assert_eq!(
                (name.schema.as_deref(), name.table.as_str()),
                (schema, table),
                "{text}"
            );
        };
        check("orders", None, "orders");
        check("shop.orders", Some("shop"), "orders");
        check("\"odd.schema\".\"a \"\"b\"\"\"", Some("odd.schema"), "a \"b\"");
        for bad in ["", ".orders", "shop.", "a.b.c", "\"open"] {
            assert_eq!(TableName::parse(bad), None, "{bad}");
        }
    }
}
