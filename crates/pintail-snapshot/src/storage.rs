//! How a column is kept in Parquet, which is no faithful container: it turns HUGEINT into DOUBLE, cuts INTERVAL to
//! milliseconds, loses the offset of TIMETZ and refuses infinite seconds. Such types are *cast* on their way, and the
//! manifest says to what.
//!
//! ```text
//! table ── store ──▶ file ── restore ──▶ table          what is restored has the type and the value it had
//!                      │
//!                      └─ hashed ──▶ value hash         of what stands in the file, the same on both sides
//! ```

use pintail_lake::quote::{identifier, literal};

use crate::sql_type::{Field, SqlType};

/// A column's type, and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Storage {
    original: SqlType,
    kept: SqlType,
}

impl Storage {
    /// `None` for a type that has no lossless home in a file. A VARIANT has one, but not inside of another type: DuckDB does
    /// not write it there.
    pub(crate) fn of(data_type: &str) -> Option<Self> {
        let original = SqlType::parse(data_type)?;
        let homeless = |part: &SqlType| match part {
            SqlType::Plain(name) => kept(name).is_none() || (variant(part) && *part != original),
            _ => false,
        };
        (!original.any(&homeless)).then(|| Self {
            kept: original.map(&kept_whole),
            original: original.clone(),
        })
    }

    /// The type in the file, if it is another one.
    pub(crate) fn cast(&self) -> Option<String> {
        (self.kept != self.original).then(|| self.kept.to_string())
    }

    /// SQL for what goes into the file, from SQL for the value.
    pub(crate) fn store(&self, value: &str) -> String {
        store(value, &self.original, 0)
    }

    /// SQL for the value, from SQL for what stands in the file.
    pub(crate) fn restore(&self, stored: &str) -> String {
        // DuckDB's CASE does not know arrays: until the end they are lists.
        let loose = self.original.map(&loosened);
        let restored = restore(stored, &loose, 0);
        if loose == self.original {
            restored
        } else {
            format!("cast({restored} as {})", self.original)
        }
    }

    /// SQL for what is hashed in place of what stands in the file, where the checksum does not know its type: the text of
    /// a VARIANT, and what sort of value it is.
    pub(crate) fn hashed(&self, stored: &str) -> Option<String> {
        variant(&self.kept).then(|| {
            format!(
                "struct_pack(\"sort\" := variant_typeof({stored}), \"text\" := cast({stored} as varchar))"
            )
        })
    }
}

fn variant(part: &SqlType) -> bool {
    matches!(part, SqlType::Plain(name) if name == "VARIANT")
}

/// How a type without others inside is kept; `None` if it is not known to survive.
fn kept(name: &str) -> Option<&str> {
    let word = name.split('(').next().unwrap_or(name);
    Some(match word {
        "HUGEINT"
        | "UHUGEINT"
        | "INTERVAL"
        | "TIME WITH TIME ZONE"
        | "TIME_NS"
        | "TIMESTAMP_S"
        | "BIT"
        | "BIGNUM"
        | "ENUM" => "VARCHAR",
        "TIMESTAMP_MS" => "TIMESTAMP",
        "GEOMETRY" => "BLOB",
        "BOOLEAN"
        | "TINYINT"
        | "SMALLINT"
        | "INTEGER"
        | "BIGINT"
        | "UTINYINT"
        | "USMALLINT"
        | "UINTEGER"
        | "UBIGINT"
        | "FLOAT"
        | "DOUBLE"
        | "DECIMAL"
        | "VARCHAR"
        | "JSON"
        | "BLOB"
        | "UUID"
        | "DATE"
        | "TIME"
        | "TIMESTAMP"
        | "TIMESTAMP_NS"
        | "TIMESTAMP WITH TIME ZONE"
        | "VARIANT" => name,
        _ => return None,
    })
}

/// The same for types with others inside: arrays become lists, unions become structs.
fn kept_whole(part: &SqlType) -> Option<SqlType> {
    match part {
        SqlType::Plain(name) => kept(name).map(|kept| SqlType::Plain(kept.to_owned())),
        SqlType::Array(inner, _) => Some(SqlType::List(Box::new(inner.map(&kept_whole)))),
        SqlType::Union(members) => {
            let members = members
                .iter()
                .map(|member| Field {
                    name: member.name.clone(),
                    field_type: member.field_type.map(&kept_whole),
                })
                .collect();
            let field = |name: &str, field_type| Field {
                name: name.to_owned(),
                field_type,
            };
            Some(SqlType::Struct(vec![
                field("tag", SqlType::Plain("VARCHAR".to_owned())),
                field("value", SqlType::Struct(members)),
            ]))
        }
        _ => None,
    }
}

/// The same type with lists in place of arrays.
fn loosened(part: &SqlType) -> Option<SqlType> {
    match part {
        SqlType::Array(inner, _) => Some(SqlType::List(Box::new(inner.map(&loosened)))),
        _ => None,
    }
}

/// Whether a cast alone does not do it.
fn special(part: &SqlType) -> bool {
    part.any(&|part| match part {
        SqlType::Plain(name) => name.starts_with("GEOMETRY"),
        SqlType::Union(_) => true,
        _ => false,
    })
}

/// `depth` tells the variables of nested functions apart.
fn store(value: &str, original: &SqlType, depth: usize) -> String {
    let stored_type = original.map(&kept_whole);
    if !special(original) {
        return match stored_type == *original {
            true => value.to_owned(),
            false => format!("cast({value} as {stored_type})"),
        };
    }
    match original {
        SqlType::Plain(_) => format!("st_aswkb({value})"),
        SqlType::Union(members) => {
            let part = |member: &Field| {
                let inner = format!("union_extract({value}, {})", literal(&member.name));
                packed(member, &store(&inner, &member.field_type, depth))
            };
            let members: Vec<String> = members.iter().map(part).collect();
            unless_null(
                value,
                &format!(
                    "struct_pack(\"tag\" := cast(union_tag({value}) as varchar), \"value\" := struct_pack({}))",
                    members.join(", ")
                ),
            )
        }
        other => inside(value, other, depth, store),
    }
}

fn restore(stored: &str, original: &SqlType, depth: usize) -> String {
    let stored_type = original.map(&kept_whole);
    if !special(original) {
        return match stored_type == *original {
            true => stored.to_owned(),
            false => format!("cast({stored} as {original})"),
        };
    }
    match original {
        SqlType::Plain(_) => format!("cast(st_geomfromwkb({stored}) as {original})"),
        SqlType::Union(members) => {
            let branch = |member: &Field| {
                let kept = format!(
                    "struct_extract(struct_extract({stored}, 'value'), {})",
                    literal(&member.name)
                );
                format!(
                    "when {} then cast(union_value({}) as {original})",
                    literal(&member.name),
                    packed(member, &restore(&kept, &member.field_type, depth))
                )
            };
            let branches: Vec<String> = members.iter().map(branch).collect();
            format!(
                "case struct_extract({stored}, 'tag') {} else cast(null as {original}) end",
                branches.join(" ")
            )
        }
        other => format!("cast({} as {other})", inside(stored, other, depth, restore)),
    }
}

/// Applies `each` to what a list, a struct or a map holds.
fn inside(
    value: &str,
    original: &SqlType,
    depth: usize,
    each: fn(&str, &SqlType, usize) -> String,
) -> String {
    let variable = format!("v{depth}");
    match original {
        SqlType::List(inner) | SqlType::Array(inner, _) => format!(
            "list_transform({value}, lambda {variable}: {})",
            each(&variable, inner, depth + 1)
        ),
        SqlType::Map(key, inner) => {
            let part = |name: &str, part: &SqlType| {
                each(&format!("struct_extract({variable}, '{name}')"), part, depth + 1)
            };
            format!(
                "map_from_entries(list_transform(map_entries({value}), lambda {variable}: \
                 struct_pack(\"k\" := {}, \"v\" := {})))",
                part("key", key),
                part("value", inner)
            )
        }
        SqlType::Struct(fields) => {
            let part = |field: &Field| {
                let inner = format!("struct_extract({value}, {})", literal(&field.name));
                packed(field, &each(&inner, &field.field_type, depth))
            };
            let fields: Vec<String> = fields.iter().map(part).collect();
            unless_null(value, &format!("struct_pack({})", fields.join(", ")))
        }
        SqlType::Plain(_) | SqlType::Union(_) => value.to_owned(),
    }
}

fn packed(field: &Field, value: &str) -> String {
    format!("{} := {value}", identifier(&field.name))
}

fn unless_null(value: &str, then: &str) -> String {
    format!("case when {value} is null then null else {then} end")
}
