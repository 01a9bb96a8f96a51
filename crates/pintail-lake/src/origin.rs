//! What a lake remembers of a column that came from another system: the type that it had there, in the column's comment.
//!
//! ```text
//! origin: postgres inet = varchar
//! ```
//!
//! A comment survives what happens to a table, and whoever reads the lake sees where a column comes from. It is written
//! when the table is made and never again, so that a comment of somebody else stays; such a column has forgotten its
//! origin. The type of the lake is part of the comment: a column that was given another type has forgotten it too.

use pintail_model::{Column, NativeType};

const MARK: &str = "origin: ";
const HERE: &str = " = ";

/// The comment of a column, if it came from somewhere.
#[must_use]
pub fn comment(column: &Column) -> Option<String> {
    let NativeType { system, name } = column.origin.as_ref()?;
    (!name.is_empty()).then(|| format!("{MARK}{system} {name}{HERE}{}", column.logical_type))
}

/// The origin that [`comment`] wrote, of a column whose type in the lake is `data_type` now.
#[must_use]
pub fn read(comment: &str, data_type: &str) -> Option<NativeType> {
    let (origin, here) = comment.strip_prefix(MARK)?.rsplit_once(HERE)?;
    let (system, name) = origin.split_once(' ')?;
    here.eq_ignore_ascii_case(data_type).then(|| NativeType {
        system: system.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use pintail_model::{Column, LogicalType, NativeType};

    use super::{comment, read};

    #[test]
    fn an_origin_is_read_as_it_was_written() {
        let origin = NativeType {
            system: "postgres".to_owned(),
            name: "\"odd = type\"(3)[]".to_owned(),
        };
        let column = Column {
            name: "c".to_owned(),
            logical_type: LogicalType::Text,
            nullable: true,
            origin: Some(origin.clone()),
        };
        let written = comment(&column).expect("it came from somewhere");
        assert_eq!(written, "origin: postgres \"odd = type\"(3)[] = varchar");
        assert_eq!(read(&written, "VARCHAR"), Some(origin));
        assert_eq!(read(&written, "BIGINT"), None);
        for other in [
            "",
            "what customers pay",
            "origin: postgres",
            "origin: a = varchar",
        ] {
            assert_eq!(read(other, "VARCHAR"), None, "{other}");
        }
    }
}
