//! What stands beside the tables: types, sequences, macros and views.

use std::collections::BTreeMap;

use pintail_lake::quote::identifier;
use pintail_lake::{Call, Row};

use super::{Catalog, joined, split};
use crate::error::Result;
use crate::manifest::{DatabaseObject, ObjectKind};

/// All of them, types first and views last, each kind by schema and name, and what DuckDB does not tell of them.
///
/// Views and macros that stand on each other are made by trying: DuckDB forgets in which order they came.
pub(crate) fn objects(catalog: Catalog<'_>) -> Result<(Vec<DatabaseObject>, Vec<String>)> {
    let mut objects = types(catalog)?;
    objects.extend(sequences(catalog)?);
    let (macros, warnings) = macros(catalog)?;
    objects.extend(macros);
    objects.extend(views(catalog)?);
    Ok((objects, warnings))
}

fn types(catalog: Catalog<'_>) -> Result<Vec<DatabaseObject>> {
    let rows = catalog.rows(
        "types",
        "select schema_name, type_name, comment from duckdb_types() where {here} and not internal order by 1, 2",
    )?;
    let mut objects = Vec::new();
    for row in &rows {
        let (bucket, name) = names(row);
        let short = format!("{}.{}", identifier(&bucket), identifier(&name));
        // Only a value tells what a type stands for.
        let sql = format!("select typeof(cast(null as {short}))");
        let label = format!("look up type \"{bucket}.{name}\"");
        let found = catalog.session.query(Call::new(&label), &sql)?;
        let meaning = found.first().and_then(|row| row.text(0)).unwrap_or_default();
        objects.push(DatabaseObject {
            kind: ObjectKind::Type,
            ddl: format!("create type {short} as {meaning}"),
            bucket,
            name,
            next_value: None,
            comment: comment(row, 2),
        });
    }
    Ok(objects)
}

fn sequences(catalog: Catalog<'_>) -> Result<Vec<DatabaseObject>> {
    let rows = catalog.rows(
        "sequences",
        "select schema_name, sequence_name, comment, increment_by, min_value, max_value, cycle, sql
         from duckdb_sequences()
         where {here} and not temporary
         order by 1, 2",
    )?;
    let object = |row: &Row| {
        let (bucket, name) = names(row);
        let number = |index| row.integer(index).unwrap_or(1);
        let (increment, least, greatest) = (number(3), number(4), number(5));
        // The statement begins where the sequence goes on; `last_value` is that of this process.
        let next = next_value(row.text(7).unwrap_or_default()).unwrap_or(least);
        DatabaseObject {
            kind: ObjectKind::Sequence,
            ddl: format!(
                "create sequence {}.{} increment by {increment} minvalue {least} maxvalue {greatest} start {} {}",
                identifier(&bucket),
                identifier(&name),
                next.clamp(least, greatest),
                if row.boolean(6) { "cycle" } else { "no cycle" }
            ),
            bucket,
            name,
            next_value: Some(next),
            comment: comment(row, 2),
        }
    };
    Ok(rows.iter().map(object).collect())
}

/// The number after the last ` START `.
fn next_value(sql: &str) -> Option<i64> {
    let (_, after) = sql.rsplit_once(" START ")?;
    after.split(' ').next()?.parse().ok()
}

/// A macro.
#[derive(Default)]
struct Macro {
    comment: Option<String>,
    meanings: Vec<Meaning>,
}

/// One of the meanings of a macro, which has as many as there are numbers of parameters.
struct Meaning {
    parameters: String,
    count: usize,
    definition: String,
}

fn macros(catalog: Catalog<'_>) -> Result<(Vec<DatabaseObject>, Vec<String>)> {
    let rows = catalog.rows(
        "macros",
        &format!(
            "select schema_name, function_name, comment, function_type = 'table_macro', macro_definition, {}, {}
             from duckdb_functions()
             where {{here}} and not internal and function_type in ('macro', 'table_macro')
             order by 1, 2, len(parameters)",
            joined("parameters"),
            joined("list_transform(parameter_types, lambda t: coalesce(t, ''))"),
        ),
    )?;
    let mut found: BTreeMap<(String, String, bool), Macro> = BTreeMap::new();
    for row in &rows {
        let (bucket, name) = names(row);
        let parameters = split(row.text(5).unwrap_or_default());
        let mut types = row.text(6).unwrap_or_default().split(super::SEPARATOR);
        let listed: Vec<String> = parameters
            .iter()
            .map(|parameter| {
                let declared = types.next().filter(|declared| !declared.is_empty());
                let declared = declared
                    .map(|declared| format!(" {declared}"))
                    .unwrap_or_default();
                format!("{}{declared}", identifier(parameter))
            })
            .collect();
        let entry = found.entry((bucket, name, row.boolean(3))).or_default();
        entry.comment = comment(row, 2);
        entry.meanings.push(Meaning {
            parameters: listed.join(", "),
            count: parameters.len(),
            definition: row.text(4).unwrap_or_default().to_owned(),
        });
    }
    let mut objects = Vec::new();
    let mut warnings = Vec::new();
    for ((bucket, name, gives_table), Macro { comment, meanings }) in found {
        if hides_default(catalog, &bucket, &name, gives_table, &meanings) {
            warnings.push(format!(
                "macro \"{bucket}.{name}\" is kept without the defaults of its parameters, which DuckDB does not tell"
            ));
        }
        let table = if gives_table { "table " } else { "" };
        let meanings: Vec<String> = meanings
            .iter()
            .map(|meaning| format!("({}) as {table}{}", meaning.parameters, meaning.definition))
            .collect();
        objects.push(DatabaseObject {
            kind: if gives_table {
                ObjectKind::TableMacro
            } else {
                ObjectKind::Macro
            },
            ddl: format!(
                "create macro {}.{} {}",
                identifier(&bucket),
                identifier(&name),
                meanings.join(", ")
            ),
            bucket,
            name,
            next_value: None,
            comment,
        });
    }
    // A macro of values may be used by one of tables, not the other way round.
    objects.sort_by_key(|object| object.kind);
    Ok((objects, warnings))
}

/// Whether a macro takes fewer arguments than it has parameters, which only a call tells.
fn hides_default(
    catalog: Catalog<'_>,
    bucket: &str,
    name: &str,
    gives_table: bool,
    meanings: &[Meaning],
) -> bool {
    let taken = |count: usize| meanings.iter().any(|meaning| meaning.count == count);
    let fewest = meanings.iter().map(|meaning| meaning.count).min().unwrap_or(0);
    if fewest == 0 || taken(fewest - 1) {
        return false;
    }
    let arguments = vec!["null"; fewest - 1].join(", ");
    let sql = format!(
        "explain {} {}.{}({arguments})",
        if gives_table { "from" } else { "select" },
        identifier(bucket),
        identifier(name)
    );
    let call = Call::new("look at a macro");
    catalog.session.query(call, &sql).is_ok()
}

fn views(catalog: Catalog<'_>) -> Result<Vec<DatabaseObject>> {
    let rows = catalog.rows(
        "views",
        "select schema_name, view_name, comment, sql
         from duckdb_views()
         where {here} and not internal and not temporary
         order by 1, 2",
    )?;
    let object = |row: &Row| {
        let (bucket, name) = names(row);
        DatabaseObject {
            kind: ObjectKind::View,
            bucket,
            name,
            ddl: row.text(3).unwrap_or_default().trim_end_matches(';').to_owned(),
            next_value: None,
            comment: comment(row, 2),
        }
    };
    Ok(rows.iter().map(object).collect())
}

fn names(row: &Row) -> (String, String) {
    let text = |index| row.text(index).unwrap_or_default().to_owned();
    (text(0), text(1))
}

fn comment(row: &Row, index: usize) -> Option<String> {
    row.text(index).map(str::to_owned)
}
