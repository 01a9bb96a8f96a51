//! How columns become columns of Postgres, and how staged values get there.
//!
//! The engine copies values in binary into columns whose type it knows as the staged one. Any other column (an unbounded
//! `numeric`, an enum, a composite, an `oid`) is loaded as text into a helping table, and read from there by the server:
//! one column that the engine does not know in binary would have it write all of them as text, in its own spelling.

use pintail_lake::connector::SourceColumn;
use pintail_lake::database::{DatabaseWriter, Incoming};
use pintail_lake::quote::{self, identifier, identifiers};
use pintail_lake::{Call, Error, Result, Session};
use pintail_model::{Column, Element, ErrorKind, LogicalType, NativeType, TableName};

use super::super::scan::{qualified, query};
use super::super::types;
use super::{array, documents, execute};

/// The type of a new column.
pub(super) fn column_type(system: &str, column: &Column) -> String {
    match &column.origin {
        Some(NativeType { system: own, name }) if own == system => {
            match (column.logical_type, name.strip_suffix("[]")) {
                // Postgres writes `integer[]` for arrays of any dimensions; a new column says how many it has.
                (LogicalType::List { depth, .. }, Some(element)) => {
                    format!("{element}{}", "[]".repeat(usize::from(depth)))
                }
                _ => name.clone(),
            }
        }
        _ => of(column.logical_type),
    }
}

fn of(logical_type: LogicalType) -> String {
    use LogicalType as T;
    let name = match logical_type {
        T::Boolean => "boolean",
        T::Int8 | T::UInt8 | T::Int16 => "smallint",
        T::UInt16 | T::Int32 => "integer",
        T::UInt32 | T::Int64 => "bigint",
        T::UInt64 => "numeric(20,0)",
        T::Float32 => "real",
        T::Float64 => "double precision",
        T::Decimal { precision, scale } => return format!("numeric({precision},{scale})"),
        T::Text => "text",
        T::Bytes => "bytea",
        T::Date => "date",
        T::Time => "time without time zone",
        T::Timestamp => "timestamp without time zone",
        T::TimestampTz => "timestamp with time zone",
        T::Uuid => "uuid",
        // Not `jsonb`, which keeps neither the order of keys nor numbers as they are written.
        T::Json => "json",
        T::List { element, depth } => {
            return format!(
                "{}{}",
                of(element.logical_type()),
                "[]".repeat(usize::from(depth))
            );
        }
    };
    name.to_owned()
}

/// Postgres has neither small nor unsigned integers.
pub(super) fn read_as(logical_type: LogicalType) -> LogicalType {
    use LogicalType as T;
    match logical_type {
        T::Int8 | T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal {
            precision: 20,
            scale: 0,
        },
        other => other,
    }
}

/// Whether a column that is there takes every value of `wanted` and gives it back as it was.
pub(super) fn takes(system: &str, found: &SourceColumn, wanted: &Column) -> bool {
    use LogicalType as T;
    let made = column_type(system, wanted);
    let own = types::plain_home(&found.source_type, found.logical_type);
    if found.source_type == made || own.is_some() && own == types::plain_home(&made, types::home(&made, 0)) {
        return true;
    }
    let Some(home) = own else {
        return false;
    };
    match (wanted.logical_type, home) {
        (wanted, home) if wanted == home => true,
        (T::Int8 | T::UInt8 | T::Int16, T::Int16 | T::Int32 | T::Int64)
        | (T::UInt16 | T::Int32, T::Int32 | T::Int64)
        | (T::UInt32, T::Int64)
        | (T::Float32, T::Float64) => true,
        (
            T::Decimal { precision, scale },
            T::Decimal {
                precision: wide,
                scale: fine,
            },
        ) => fine == scale && wide >= precision,
        (T::UInt64, T::Decimal { precision, scale: 0 }) => precision >= 20,
        _ => false,
    }
}

/// One column on its way.
pub(super) struct Load {
    pub(super) name: String,
    /// The type of the column in the table.
    pub(super) native: String,
    /// The type in which the engine loads it, if that is another one: text.
    pub(super) through_text: bool,
    /// What is staged.
    staged: LogicalType,
    pub(super) nullable: bool,
}

impl Load {
    fn is_document(&self) -> bool {
        self.native == "jsonb" && !self.through_text
    }
}

/// All columns on their way.
pub(super) struct Loads(pub(super) Vec<Load>);

impl Loads {
    /// Looks up what types the engine knows the columns as.
    pub(super) fn of(incoming: &Incoming<'_>, writer: &dyn DatabaseWriter) -> Result<Self> {
        let found = incoming.found.filter(|_| incoming.fits);
        let mut loads = Vec::new();
        for column in incoming.columns {
            let own = found.and_then(|table| table.column(&column.name));
            let native = match own {
                Some(own) => own.source_type.clone(),
                None => known_type(incoming, writer, column)?,
            };
            loads.push(Load {
                name: column.name.clone(),
                native,
                through_text: false,
                staged: column.logical_type,
                nullable: column.nullable,
            });
        }
        let selected: Vec<String> = loads
            .iter()
            .map(|load| format!("null::{} as {}", load.native, identifier(&load.name)))
            .collect();
        let empty = format!("select {} limit 0", selected.join(", "));
        let described = incoming.session.query(
            Call::new("look up the types of the destination"),
            &format!(
                "select column_type from (describe from {})",
                query(incoming.alias, &empty)
            ),
        )?;
        for ((load, column), row) in loads.iter_mut().zip(incoming.columns).zip(&described) {
            let known = row.text(0).unwrap_or_default();
            let in_binary = types::copied_in_binary(&load.native) || load.native == "jsonb";
            load.through_text = !in_binary || !is_known_as(column.logical_type, known);
        }
        Ok(Self(loads))
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|load| load.name.as_str()).collect()
    }

    /// The columns that the engine does not copy in binary unless it takes them for texts.
    pub(super) fn documents(&self) -> impl Iterator<Item = &str> {
        let documents = self.0.iter().filter(|load| load.is_document());
        documents.map(|load| load.name.as_str())
    }

    /// Whether documents keep the engine from copying in binary.
    fn documents_are_in_the_way(&self) -> bool {
        self.documents().next().is_some()
    }

    /// The staged columns, as the engine copies them.
    pub(super) fn copied(&self, documents_as_texts: bool) -> Vec<String> {
        let copied = |load: &Load| {
            let name = identifier(&load.name);
            match load.staged {
                LogicalType::List { element, depth } if load.through_text => {
                    array::literal(&name, element, depth)
                }
                _ if documents_as_texts && load.is_document() => documents::in_binary(&load.name),
                _ => name,
            }
        };
        self.0.iter().map(copied).collect()
    }

    /// Whether all values can be copied straight into the table.
    pub(super) fn direct(&self) -> bool {
        self.0.iter().all(|load| !load.through_text)
    }

    /// Definitions of the columns of a new table.
    pub(super) fn definitions(&self) -> String {
        let definition = |load: &Load| {
            let not_null = if load.nullable { "" } else { " not null" };
            format!("{} {}{not_null}", identifier(&load.name), load.native)
        };
        self.0.iter().map(definition).collect::<Vec<_>>().join(", ")
    }

    /// Definitions of the columns of a table that rows are copied into first.
    pub(super) fn staged_definitions(&self) -> String {
        let definition = |load: &Load| {
            let staged = if load.through_text { "text" } else { &load.native };
            format!("{} {staged}", identifier(&load.name))
        };
        self.0.iter().map(definition).collect::<Vec<_>>().join(", ")
    }

    /// A staged column as a value of the table's type.
    pub(super) fn value(&self, name: &str) -> String {
        let load = self.0.iter().find(|load| load.name == name);
        match load {
            Some(load) if load.through_text => format!("{}::{}", identifier(name), load.native),
            _ => identifier(name),
        }
    }

    /// The same, under their names.
    pub(super) fn named_values(&self) -> String {
        let named = |name| format!("{} as {}", self.value(name), identifier(name));
        let values: Vec<String> = self.names().into_iter().map(named).collect();
        values.join(", ")
    }

    /// All staged columns as values of the table's types.
    pub(super) fn values(&self) -> String {
        let values: Vec<String> = self.names().into_iter().map(|name| self.value(name)).collect();
        values.join(", ")
    }
}

/// The type of a new column, if the database has it: a type that users made elsewhere may be missing here. Then the
/// carrier does.
fn known_type(incoming: &Incoming<'_>, writer: &dyn DatabaseWriter, column: &Column) -> Result<String> {
    let wanted = writer.column_type(column);
    let plain = of(column.logical_type);
    if wanted == plain {
        return Ok(wanted);
    }
    let base = wanted.split('(').next().unwrap_or(&wanted);
    let sql = format!(
        "select (pg_catalog.to_regtype({}) is not null)::int as known",
        super::super::quote::literal(base.trim_end_matches("[]").trim_end())
    );
    let known = super::number(incoming.session, incoming.alias, "look up a type", &sql)?;
    if known == 1 {
        return Ok(wanted);
    }
    tracing::warn!(
        column = column.name,
        "the destination does not have the type of the column"
    );
    Ok(plain)
}

/// Whether the engine writes a staged value of that type into a column that it knows as `known`, without a change.
fn is_known_as(staged: LogicalType, known: &str) -> bool {
    // The engine writes the text `NULL` in a list as if it were no value.
    let of_texts = |element| matches!(element, Element::Text | Element::Bytes);
    if matches!(staged, LogicalType::List { element, .. } if of_texts(element)) {
        return false;
    }
    let known = known.to_ascii_lowercase();
    let integer = staged.is_integer() || staged == LogicalType::UInt64;
    known == staged.to_string()
        || staged == LogicalType::Json && known == "varchar"
        || integer && (known.ends_with("int") || known == "integer" || known.starts_with("decimal"))
        || staged == LogicalType::Float32 && known == "double"
        || matches!(staged, LogicalType::Decimal { .. }) && known.starts_with("decimal")
}

/// Copies staged rows into a table.
pub(super) fn copy(alias: &str, table: &TableName, names: &[&str], values: &str, from: &str) -> String {
    format!(
        "insert into {} ({}) select {values} from {from}",
        quote::table(alias, table, "public"),
        identifiers(names)
    )
}

/// Makes a table that rows are copied into first, and copies them.
pub(super) fn stage(incoming: &Incoming<'_>, loads: &Loads, stage: &TableName) -> Result<()> {
    make_stage(incoming.session, incoming.alias, loads, stage)?;
    load(incoming, loads, stage)
}

/// Makes a table that rows are copied into first.
pub(super) fn make_stage(session: &Session, alias: &str, loads: &Loads, stage: &TableName) -> Result<()> {
    let sql = format!(
        "create unlogged table {} ({})",
        qualified(stage),
        loads.staged_definitions()
    );
    execute(session, alias, "make a table for staged rows", &sql)
}

/// Takes rows from the table that they were copied into first, which goes, into one with their types.
pub(super) fn bring_into_types(
    session: &Session,
    alias: &str,
    loads: &Loads,
    stage: &TableName,
    into: &TableName,
) -> Result<()> {
    let sql = format!(
        "insert into {} ({}) select {} from {}; {}",
        qualified(into),
        identifiers(&loads.names()),
        loads.values(),
        qualified(stage),
        drop_table(stage)
    );
    execute(session, alias, "bring staged rows into their types", &sql)
}

/// Copies the staged rows into a table whose columns the engine knows.
pub(super) fn load(incoming: &Incoming<'_>, loads: &Loads, into: &TableName) -> Result<()> {
    if incoming.files.is_empty() {
        return Ok(());
    }
    if loads.documents_are_in_the_way() {
        let copy = |shown: &TableName| copy_all(incoming, loads, shown, true);
        return documents::shown_as_texts(incoming, loads, into, copy);
    }
    copy_all(incoming, loads, into, false)
}

fn copy_all(
    incoming: &Incoming<'_>,
    loads: &Loads,
    into: &TableName,
    documents_as_texts: bool,
) -> Result<()> {
    let label = format!("copy rows into table \"{}\"", incoming.table);
    let values = loads.copied(documents_as_texts).join(", ");
    let sql = copy(incoming.alias, into, &loads.names(), &values, &incoming.staged());
    let copied = incoming.session.execute(Call::new(&label), &sql)?;
    check_copied(incoming, copied)
}

/// Fails unless so many rows were staged.
pub(super) fn check_copied(incoming: &Incoming<'_>, copied: u64) -> Result<()> {
    if copied == incoming.rows() {
        return Ok(());
    }
    Err(Error::Refused {
        kind: ErrorKind::Internal,
        message: format!(
            "{} rows were staged for table \"{}\", and {copied} were copied",
            incoming.rows(),
            incoming.table
        ),
        hint: None,
    })
}

/// Statements of the server for a helping table that is not needed any more.
pub(super) fn drop_table(table: &TableName) -> String {
    format!("drop table {}", qualified(table))
}
