//! What MySQL cannot hold, or would change in silence although the session is strict, is looked for in the staged rows.
//!
//! In silence it cuts spaces off the end of texts that are too long, and of all texts of a `char`; replaces NULL in a
//! `timestamp` or a numbered column; and takes the sign of -0.0 away. Everything else here is an error of the server, too,
//! but one that says less.

use pintail_lake::commit::Change;
use pintail_lake::database::Incoming;
use pintail_lake::quote::identifier;
use pintail_lake::{Call, Error, Result};
use pintail_model::{ErrorKind, LogicalType};

use super::super::quote::{literal, plain_text};
use super::super::server::Flavour;
use super::super::{catalog, describe, types};
use super::columns::{Load, Loads, length};
use super::server;

/// What a statement of the engine has beside the row that ends it: rows before it, and names.
const STATEMENT_BYTES: i64 = 64 << 10;

/// Something that rows may have in a column, and must not.
struct Problem {
    /// True for a row that has it.
    condition: String,
    message: String,
    hint: &'static str,
}

const AS_TEXT: &str = "Declare the column `data_type: text` in `column_map`.";

const NARROW_KEY: &str = "A key of MySQL takes 3,072 bytes, 4 for each letter, of all its columns together. If that leaves \
     room, widen the column of the table. If not, give shorter columns the role `unique_column`, or leave these rows out \
     with `filters`.";

/// Refuses staged rows that would not arrive as they are.
pub(super) fn staged_rows(incoming: &Incoming<'_>, loads: &Loads) -> Result<()> {
    if incoming.files.is_empty() {
        return Ok(());
    }
    let problems: Vec<Problem> = loads.0.iter().flat_map(|load| problems(incoming, load)).collect();
    let counts = problems
        .iter()
        .map(|problem| format!("count(*) filter (where {})", problem.condition));
    let lengths: Vec<String> = loads.0.iter().map(statement_bytes).collect();
    let counts: Vec<String> = counts
        .chain([format!("coalesce(max({}), 0)::bigint", lengths.join(" + "))])
        .collect();
    let sql = format!("select {} from {}", counts.join(", "), incoming.staged());
    let session = incoming.session;
    let rows = session.query(Call::new("look for values that MySQL cannot hold"), &sql)?;
    let row = rows.first();
    let number = |index| row.and_then(|row| row.integer(index)).unwrap_or(0);
    for (index, problem) in problems.iter().enumerate() {
        if number(index) > 0 {
            return Err(Error::refused(
                ErrorKind::Data,
                problem.message.clone(),
                problem.hint,
            ));
        }
    }
    longest(incoming, number(problems.len()))
}

/// Refuses a table that is another one than when it was described: somebody who had its lock may have made it anew. The
/// session has the lock now.
pub(super) fn unchanged(incoming: &Incoming<'_>) -> Result<()> {
    let (session, alias, table) = (incoming.session, incoming.alias, incoming.table);
    let facts = catalog::columns(session, alias, Flavour::of(session, alias)?, table)?;
    let now: Vec<_> = facts
        .iter()
        .map(|fact| (&fact.name, &fact.source_type, fact.nullable))
        .collect();
    let columns = incoming.found.map_or(&[][..], |found| &found.columns);
    let then: Vec<_> = columns
        .iter()
        .map(|column| (&column.name, &column.source_type, column.nullable))
        .collect();
    let key = describe::key(&catalog::index_columns(session, alias, table)?);
    let key_then = incoming.found.map_or(&[][..], |found| &found.key);
    if now == then && key == key_then {
        return Ok(());
    }
    Err(Error::Refused {
        kind: ErrorKind::Unavailable,
        message: format!("cannot write to table \"{table}\": somebody changes its columns meanwhile"),
        hint: None,
    })
}

/// Refuses to look rows up by texts that are equal to MySQL although their bytes differ: one would replace another.
pub(super) fn key(incoming: &Incoming<'_>, loads: &Loads) -> Result<()> {
    let texts: Vec<String> = loads
        .0
        .iter()
        .filter(|load| load.staged == LogicalType::Text && incoming.key.contains(&load.name))
        .map(|load| literal(&load.name))
        .collect();
    if texts.is_empty() || !matches!(incoming.change, Change::Upsert { .. }) {
        return Ok(());
    }
    let table = incoming.table;
    let sql = format!(
        "select {} as name from information_schema.columns where table_schema = {} and table_name = {} \
         and column_name in ({}) and data_type in ('varchar', 'char', 'tinytext', 'text', 'mediumtext', 'longtext') \
         and right(collation_name, 9) <> 'nopad_bin' and right(collation_name, 8) <> '0900_bin'",
        plain_text("column_name"),
        literal(table.schema_or("")),
        literal(&table.table),
        texts.join(", ")
    );
    let (session, alias) = (incoming.session, incoming.alias);
    let label = "look up how keys are compared";
    let found = catalog::reading(session, || catalog::rows(session, alias, label, &sql))?;
    let Some(name) = found.first().and_then(|row| row.text(0)) else {
        return Ok(());
    };
    Err(Error::refused(
        ErrorKind::Conflict,
        format!(
            "cannot look rows of table \"{table}\" up by `{name}`: its collation takes different texts for the same"
        ),
        "Give the column the collation `utf8mb4_nopad_bin` (of MySQL, `utf8mb4_0900_bin`).",
    ))
}

/// Refuses a row that no statement of the server can hold.
fn longest(incoming: &Incoming<'_>, bytes: i64) -> Result<()> {
    // Every server takes that much.
    if bytes < STATEMENT_BYTES {
        return Ok(());
    }
    let session = incoming.session;
    session.begin()?;
    let sql = "select @@max_allowed_packet as bytes";
    let limit = server::number(
        session,
        incoming.alias,
        "ask the server how long a statement may be",
        sql,
    );
    session.rollback();
    let limit = limit?.unwrap_or(0);
    if bytes + STATEMENT_BYTES <= limit {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Data,
        format!(
            "a row for table \"{}\" takes {bytes} bytes in a statement, and `max_allowed_packet` of the server is {limit}",
            incoming.table
        ),
        "Raise `max_allowed_packet` of the server, or leave the column with the large values out.",
    ))
}

fn problems(incoming: &Incoming<'_>, load: &Load) -> Vec<Problem> {
    use LogicalType as T;
    let name = identifier(&load.name);
    let says = |what: &str| format!("column `{}` of table \"{}\" {what}", load.name, incoming.table);
    let mut problems = Vec::new();
    let mut refuse = |condition: String, what: &str, hint: &'static str| {
        problems.push(Problem {
            condition,
            message: says(what),
            hint,
        });
    };
    match load.staged {
        T::Float32 | T::Float64 => {
            refuse(
                format!("not isfinite({name})"),
                "holds NaN or an infinity, which MySQL cannot hold",
                AS_TEXT,
            );
            refuse(
                format!("{name} = 0 and signbit({name})"),
                "holds -0.0, of which MySQL would make 0",
                AS_TEXT,
            );
        }
        T::Date => refuse(
            format!("{name} < date '0001-01-01' or {name} > date '9999-12-31'"),
            "holds a date outside of the years 1 to 9999, which MySQL cannot hold",
            AS_TEXT,
        ),
        T::Timestamp | T::TimestampTz => refuse(
            format!(
                "{name} < '0001-01-01 00:00:00'::{kind} or {name} > '9999-12-31 23:59:59.999999'::{kind}",
                kind = load.staged
            ),
            "holds a time outside of the years 1 to 9999, which MySQL cannot hold",
            AS_TEXT,
        ),
        // What no standard makes: its version and its variant contradict each other.
        T::Uuid if load.native == "uuid" => refuse(
            format!("substr({name}::varchar, 15, 1) >= '8' and substr({name}::varchar, 20, 2) <= '80'"),
            "holds a UUID that MariaDB's type does not take: of a version above 7 and a variant of 80 or less",
            AS_TEXT,
        ),
        T::Time => refuse(
            format!("{name} = time '24:00:00'"),
            "holds the time 24:00, which is no time of day for MySQL",
            AS_TEXT,
        ),
        T::Text => {
            if let Some(condition) = too_long(&load.native, &name) {
                let what = format!("holds a text that is too long for `{}`", load.native);
                let in_key = incoming.key.contains(&load.name);
                refuse(
                    condition,
                    &what,
                    if in_key {
                        NARROW_KEY
                    } else {
                        "Widen the column of the table."
                    },
                );
            }
            if types::name(&load.native) == "char" {
                refuse(
                    format!("{name} like '% '"),
                    "holds a text that ends with a space, which `char` does not keep",
                    "Make the column a `varchar`.",
                );
            }
        }
        _ => {}
    }
    if load.nullable && !load.takes_null {
        refuse(
            format!("{name} is null"),
            "holds NULL, and the table takes none",
            "Let the column of the table be NULL.",
        );
    }
    problems
}

/// Whether a text is longer than its column.
fn too_long(native: &str, name: &str) -> Option<String> {
    let bytes = |most: usize| Some(format!("strlen({name}) > {most}"));
    match types::name(native) {
        "varchar" | "char" => length(native).map(|letters| format!("length({name}) > {letters}")),
        "tinytext" => bytes(255),
        "text" => bytes(65_535),
        "mediumtext" => bytes(16_777_215),
        _ => None,
    }
}

/// The bytes that a value takes in a statement, as SQL of the engine. Quotes and backslashes are doubled; they are only
/// counted where it matters.
fn statement_bytes(load: &Load) -> String {
    let name = identifier(&load.name);
    let bytes = match load.staged {
        LogicalType::Bytes => format!("2 * octet_length({name})"),
        LogicalType::Text | LogicalType::Json => format!(
            "case when strlen({name}::varchar) < 100000 then 2 * strlen({name}::varchar) else \
             strlen(replace(replace({name}::varchar, '\\', '\\\\'), '''', '\\''')) end"
        ),
        _ => return "64".to_owned(),
    };
    format!("coalesce({bytes}, 0)")
}
