//! The column map laid over what the source really has. Pure, and all mistakes at once.

use std::collections::BTreeSet;

use pintail_config::nearest::did_you_mean;
use pintail_lake::DestinationPlace;
use pintail_lake::connector::{ColumnRead, Connector, SourceColumn, TableDescription};
use pintail_model::{Column, LogicalType, NativeType};

use crate::error::{Error, Result};
use crate::relation::Layout;
use crate::spec::{Choice, ColumnSource, ColumnSpec, DeclaredType, PipelineSpec};

/// One column that cannot be carried as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnProblem {
    /// The column, by its name in the source.
    pub column: String,
    /// What is wrong, naming the column.
    pub message: String,
    /// The choices.
    pub hint: Option<String>,
    /// Whether the source has no such column.
    pub unknown: bool,
}

/// The columns to read, in the order of the destination.
///
/// # Errors
/// [`Error::Columns`] with every column that does not exist, that has no lossless home, or that cannot be read as
/// declared.
pub fn resolve(
    spec: &PipelineSpec,
    layout: &Layout,
    connector: &dyn Connector,
    place: &dyn DestinationPlace,
) -> Result<Vec<ColumnRead>> {
    let mut problems = Vec::new();
    let mut columns = Vec::new();
    let mut take = |read: std::result::Result<ColumnRead, ColumnProblem>| match read {
        Ok(read) => columns.push(read),
        Err(problem) => problems.push(problem),
    };
    let table = &layout.table;
    if spec.columns.is_empty() {
        table
            .columns
            .iter()
            .filter_map(|column| as_chosen(column, spec, connector, place))
            .for_each(&mut take);
        spec.choices
            .iter()
            .filter(|choice| table.column(&choice.column).is_none())
            .for_each(|choice| take(Err(absent(&choice.column, table))));
    } else {
        spec.columns
            .iter()
            .for_each(|asked| take(as_asked(asked, layout, connector, place)));
    }
    if let Some(name) = spec.deletes.mark() {
        match taken(&columns, name) {
            Some(problem) => problems.push(problem),
            None => columns.push(mark(name)),
        }
    }
    if !place.tells_case_apart() {
        problems.extend(equal_names(&columns, place.noun()));
    }
    problems.extend(refused(&columns, place));
    problems.extend(refused_names(spec, &columns, place));
    if problems.is_empty() {
        problems.extend(missing(&columns, place));
    }
    let read = columns
        .iter()
        .any(|read| Some(read.column.name.as_str()) != spec.deletes.mark());
    if !read && problems.is_empty() {
        problems.push(ColumnProblem {
            column: String::new(),
            message: "it has no columns".to_owned(),
            hint: None,
            unknown: false,
        });
    }
    if problems.is_empty() {
        Ok(columns)
    } else {
        Err(Error::Columns {
            table: table.name.clone(),
            problems,
        })
    }
}

/// A column without a map: as it is, unless something was chosen for it. `None` if it is left out.
fn as_chosen(
    column: &SourceColumn,
    spec: &PipelineSpec,
    connector: &dyn Connector,
    place: &dyn DestinationPlace,
) -> Option<std::result::Result<ColumnRead, ColumnProblem>> {
    let chosen = spec.choices.iter().find(|choice| choice.column == column.name);
    let declared = match chosen.map(|chosen| chosen.choice) {
        None => return Some(as_it_is(column, connector, place)),
        Some(Choice::Skip) => return None,
        Some(Choice::Type(declared)) => declared,
    };
    Some(
        as_declared(column, declared, connector).map(|logical_type| ColumnRead {
            source: column.clone(),
            column: Column {
                name: column.name.clone(),
                logical_type,
                nullable: column.nullable,
                origin: None,
            },
        }),
    )
}

fn as_declared(
    column: &SourceColumn,
    declared: DeclaredType,
    connector: &dyn Connector,
) -> std::result::Result<LogicalType, ColumnProblem> {
    let wanted = meaning(declared, column).ok_or_else(|| without_precision(column))?;
    if column.logical_type == Some(wanted) || connector.reads_as(column, wanted) {
        Ok(wanted)
    } else {
        Err(unreadable(column, wanted))
    }
}

fn as_it_is(
    column: &SourceColumn,
    connector: &dyn Connector,
    place: &dyn DestinationPlace,
) -> std::result::Result<ColumnRead, ColumnProblem> {
    let (logical_type, origin) = home(column, connector, place)?;
    Ok(ColumnRead {
        source: column.clone(),
        column: Column {
            name: column.name.clone(),
            logical_type,
            nullable: column.nullable,
            origin: Some(origin),
        },
    })
}

/// What a column of which nothing is said is carried as: its own home, or else the carrier of its type, to a
/// destination that has this type too.
fn home(
    column: &SourceColumn,
    connector: &dyn Connector,
    place: &dyn DestinationPlace,
) -> std::result::Result<(LogicalType, NativeType), ColumnProblem> {
    let origin = column.origin.clone().unwrap_or_else(|| NativeType {
        system: connector.system().to_owned(),
        name: column.source_type.clone(),
    });
    let carrier = column.carrier.filter(|_| place.keeps(&origin));
    match column.logical_type.or(carrier) {
        Some(logical_type) => Ok((logical_type, origin)),
        None => Err(homeless(column)),
    }
}

fn as_asked(
    asked: &ColumnSpec,
    layout: &Layout,
    connector: &dyn Connector,
    place: &dyn DestinationPlace,
) -> std::result::Result<ColumnRead, ColumnProblem> {
    let table = &layout.table;
    if asked.source == ColumnSource::RowHash {
        return Ok(row_hash(asked));
    }
    let name = match &asked.source {
        ColumnSource::Joined { qualifier, column } if !layout.knows(asked) => format!("{qualifier}.{column}"),
        _ => layout.name_of(asked).to_owned(),
    };
    let Some(source) = table.column(&name) else {
        return Err(absent(&name, table));
    };
    let expression = matches!(asked.source, ColumnSource::Expression(_));
    let (logical_type, origin) = match asked.data_type {
        None if expression && (source.logical_type.is_none() || source.source_type.is_empty()) => {
            return Err(untyped(source));
        }
        None => {
            let (logical_type, origin) = home(source, connector, place)?;
            (logical_type, Some(origin))
        }
        Some(declared) if expression && source.source_type.is_empty() => {
            let wanted = meaning(declared, source).ok_or_else(|| without_precision(source))?;
            (wanted, None)
        }
        Some(declared) => (as_declared(source, declared, connector)?, None),
    };
    let nullable = asked.nullable.unwrap_or(source.nullable);
    let mut source = source.clone();
    if expression {
        source.logical_type = source.logical_type.or(Some(logical_type));
    }
    Ok(ColumnRead {
        source,
        column: Column {
            name: asked.dest.clone(),
            logical_type,
            nullable,
            origin,
        },
    })
}

/// A column that the source does not have: see [`RowHash`](crate::shape::RowHash).
fn row_hash(asked: &ColumnSpec) -> ColumnRead {
    let logical_type = match asked.data_type {
        Some(DeclaredType::Integer | DeclaredType::BigInt) => LogicalType::Int64,
        _ => LogicalType::Text,
    };
    ColumnRead {
        source: SourceColumn {
            name: asked.dest.clone(),
            source_type: "hash of the row".to_owned(),
            logical_type: Some(logical_type),
            carrier: None,
            origin: None,
            nullable: false,
            identity: None,
            histogram: Vec::new(),
        },
        column: Column {
            name: asked.dest.clone(),
            logical_type,
            nullable: asked.nullable.unwrap_or(true),
            origin: None,
        },
    }
}

/// A column that only the destination has: see [`Shape::mark`](crate::shape::Shape::mark).
fn mark(name: &str) -> ColumnRead {
    let logical_type = LogicalType::TimestampTz;
    ColumnRead {
        source: SourceColumn {
            name: name.to_owned(),
            source_type: "time at which the row was found to be gone".to_owned(),
            logical_type: Some(logical_type),
            carrier: None,
            origin: None,
            nullable: true,
            identity: None,
            histogram: Vec::new(),
        },
        column: Column {
            name: name.to_owned(),
            logical_type,
            nullable: true,
            origin: None,
        },
    }
}

/// Whether the name of such a column is another one's, too.
fn taken(columns: &[ColumnRead], mark: &str) -> Option<ColumnProblem> {
    let folded = mark.to_lowercase();
    let other = columns
        .iter()
        .find(|read| read.column.name.to_lowercase() == folded)?;
    Some(ColumnProblem {
        column: other.source.name.clone(),
        message: format!("column `{mark}` is to tell which rows are gone, and the source has a column of this name"),
        hint: Some(
            "Name another `column` in `deletes`, or give the source's another name with `dest` in `column_map`."
                .to_owned(),
        ),
        unknown: false,
    })
}

/// What a word of the configuration means for a column. Words that do not name a width keep the source's own.
fn meaning(declared: DeclaredType, source: &SourceColumn) -> Option<LogicalType> {
    use LogicalType as Own;
    let own = source.logical_type;
    Some(match declared {
        DeclaredType::Boolean => Own::Boolean,
        DeclaredType::SmallInt => Own::Int16,
        DeclaredType::BigInt => Own::Int64,
        DeclaredType::Integer => own
            .filter(|own| matches!(own, Own::Int16 | Own::Int32))
            .unwrap_or(Own::Int64),
        DeclaredType::Double => Own::Float64,
        DeclaredType::Float => own.filter(|own| *own == Own::Float32).unwrap_or(Own::Float64),
        DeclaredType::Decimal(Some(digits)) => Own::Decimal {
            precision: digits.precision,
            scale: digits.scale,
        },
        DeclaredType::Decimal(None) => return own.filter(|own| matches!(own, Own::Decimal { .. })),
        DeclaredType::Text => Own::Text,
        DeclaredType::Bytes => Own::Bytes,
        DeclaredType::Date => Own::Date,
        DeclaredType::Time => Own::Time,
        DeclaredType::Timestamp => own
            .filter(|own| *own == Own::TimestampTz)
            .unwrap_or(Own::Timestamp),
        DeclaredType::TimestampTz => Own::TimestampTz,
        DeclaredType::Uuid => Own::Uuid,
        DeclaredType::Json => Own::Json,
    })
}

fn absent(name: &str, table: &TableDescription) -> ColumnProblem {
    ColumnProblem {
        column: name.to_owned(),
        message: format!("column `{name}` does not exist"),
        hint: did_you_mean(name, table.columns.iter().map(|column| column.name.as_str()))
            .map(|hint| format!("`{name}`: {hint}")),
        unknown: true,
    }
}

/// An expression of which nobody knows what comes out.
fn untyped(column: &SourceColumn) -> ColumnProblem {
    let SourceColumn {
        name, source_type, ..
    } = column;
    let what = match source_type.as_str() {
        "" => "whose type the source does not tell".to_owned(),
        _ => format!("of type `{source_type}`, which has no lossless home"),
    };
    ColumnProblem {
        column: name.clone(),
        message: format!("column `{name}` is an expression {what}"),
        hint: Some(
            "Declare what an expression gives with `data_type` in `column_map`: `decimal` takes `precision` and \
             `scale` too."
                .to_owned(),
        ),
        unknown: false,
    }
}

fn homeless(column: &SourceColumn) -> ColumnProblem {
    let SourceColumn {
        name, source_type, ..
    } = column;
    ColumnProblem {
        column: name.clone(),
        message: match source_type.as_str() {
            "" => format!("column `{name}` has no declared type, so its values may be of any"),
            _ => format!("column `{name}` is of type `{source_type}`, which has no lossless home"),
        },
        hint: Some(choices()),
        unknown: false,
    }
}

fn without_precision(column: &SourceColumn) -> ColumnProblem {
    let SourceColumn {
        name, source_type, ..
    } = column;
    ColumnProblem {
        column: name.clone(),
        message: match source_type.as_str() {
            "" => format!(
                "column `{name}` is declared `decimal` without digits, and the source does not name them"
            ),
            _ => format!(
                "column `{name}` is declared `decimal` without digits, and `{source_type}` does not name them"
            ),
        },
        hint: Some(
            "Add `precision` and `scale` to the column in `column_map`, as in `--type 'column=decimal(12,2)'`, or declare it \
             `text`."
                .to_owned(),
        ),
        unknown: false,
    }
}

fn unreadable(column: &SourceColumn, wanted: LogicalType) -> ColumnProblem {
    let SourceColumn {
        name, source_type, ..
    } = column;
    ColumnProblem {
        column: name.clone(),
        message: match source_type.as_str() {
            "" => {
                format!("column `{name}` has no declared type, and cannot be read as `{wanted}` without loss")
            }
            _ => format!(
                "column `{name}` is of type `{source_type}`, which cannot be read as `{wanted}` without loss"
            ),
        },
        hint: Some(choices()),
        unknown: false,
    }
}

fn choices() -> String {
    "Choose for each such column: `text` keeps it exactly as the source writes it, `decimal` keeps exact numbers, or \
     leave it out. For `pintail copy` that is `--type column=text`, `--type 'column=decimal(38,10)'` or `--skip column`; in \
     the `column_map` of a pipeline file `data_type: text`, or `data_type: decimal` with `precision` and `scale`."
        .to_owned()
}

/// Columns that the destination cannot hold.
fn refused(columns: &[ColumnRead], place: &dyn DestinationPlace) -> Vec<ColumnProblem> {
    let problem = |read: &ColumnRead| {
        let why = place.refuses(&read.column)?;
        Some(ColumnProblem {
            column: read.source.name.clone(),
            message: format!("column `{}` cannot be written: {why}", read.column.name),
            hint: Some(choices()),
            unknown: false,
        })
    };
    columns.iter().filter_map(problem).collect()
}

/// Columns that the destination lays tables out by, and that are not written.
fn missing(columns: &[ColumnRead], place: &dyn DestinationPlace) -> Vec<ColumnProblem> {
    let written = || columns.iter().map(|read| read.column.name.as_str());
    let needed = place
        .needs()
        .iter()
        .filter(|needed| !written().any(|name| name == *needed));
    needed
        .map(|needed| ColumnProblem {
            column: needed.clone(),
            message: format!(
                "the {} is partitioned by a column `{needed}`, which the table does not have there",
                place.noun()
            ),
            hint: did_you_mean(needed, written()),
            unknown: false,
        })
        .collect()
}

/// Names that the destination would cut, or read as others.
fn refused_names(
    spec: &PipelineSpec,
    columns: &[ColumnRead],
    place: &dyn DestinationPlace,
) -> Vec<ColumnProblem> {
    let table = &spec.destination.table;
    let tables = table.schema.iter().chain([&table.table]).filter_map(|name| {
        Some(ColumnProblem {
            column: String::new(),
            message: format!(
                "the name `{name}` of the destination cannot be written: {}",
                place.refuses_name(name)?
            ),
            hint: Some("Give the copy another name: `?table=schema.name` of the last address, or `table` in a pipeline.".to_owned()),
            unknown: false,
        })
    });
    let columns = columns.iter().filter_map(|read| {
        Some(ColumnProblem {
            column: read.source.name.clone(),
            message: format!(
                "column `{}` cannot be written under this name: {}",
                read.column.name,
                place.refuses_name(&read.column.name)?
            ),
            hint: Some("Give it another name with `dest` in `column_map`, or leave it out.".to_owned()),
            unknown: false,
        })
    });
    tables.chain(columns).collect()
}

/// Where a destination does not tell names apart by case.
fn equal_names(columns: &[ColumnRead], noun: &str) -> Vec<ColumnProblem> {
    let mut seen = BTreeSet::new();
    columns
        .iter()
        .filter(|read| !seen.insert(read.column.name.to_lowercase()))
        .map(|read| ColumnProblem {
            column: read.source.name.clone(),
            message: format!(
                "two columns would be named `{}` in the {noun}, where case makes no difference",
                read.column.name
            ),
            hint: Some("Give one of them another name with `dest` in `column_map`.".to_owned()),
            unknown: false,
        })
        .collect()
}
