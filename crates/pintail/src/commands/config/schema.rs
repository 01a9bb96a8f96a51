//! `pintail config schema`: what a file may say, as a JSON schema for editors.
//!
//! It is made from what the readers of the files say that they take, so it knows every key that they know and no other. A
//! value may come from the environment, so a text with `${…}` in it stands anywhere that a single value does.

use std::process::ExitCode;

use clap::ValueEnum;
use pintail_config::decode::{Field, Shape};
use pintail_config::{Datastores, GlobalConfig};
use serde_json::{Map, Value, json};

use crate::commands::Outcome;
use crate::terminal;

/// A file that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A pipeline file
    Pipeline,
    /// `datastores.yaml`
    Datastores,
    /// `global_config.yaml`
    Global,
}

pub(super) fn run(kind: Kind) -> Outcome {
    terminal::data(format_args!("{:#}", schema(kind)))?;
    Ok(ExitCode::SUCCESS)
}

/// The schema of a kind of file.
pub(crate) fn schema(kind: Kind) -> Value {
    let (title, shape) = match kind {
        Kind::Pipeline => ("a pipeline of Pintail", pintail_sync::spec::shape()),
        Kind::Datastores => ("the datastores of a Pintail project", Datastores::shape()),
        Kind::Global => ("the settings of a Pintail project", GlobalConfig::shape()),
    };
    let mut schema = Map::from_iter([
        (
            "$schema".to_owned(),
            json!("http://json-schema.org/draft-07/schema#"),
        ),
        ("title".to_owned(), json!(title)),
    ]);
    if let Value::Object(keys) = of(&shape) {
        schema.extend(keys);
    }
    Value::Object(schema)
}

fn of(shape: &Shape) -> Value {
    // The decoder reads numbers and words in quotes like those without.
    let quoted =
        |pattern: &str| json!({ "type": "string", "pattern": format!(r"^\s*({pattern})\s*$|\$\{{") });
    match shape {
        Shape::Any => json!({}),
        Shape::Text => json!({ "type": ["string", "number"], "minLength": 1 }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Boolean => json!({ "anyOf": [{ "type": "boolean" }, quoted("true|false")] }),
        Shape::WholeNumber(low, high) => {
            let mut number = Map::from_iter([("type".to_owned(), json!("integer"))]);
            // Beyond 64 bits there is nothing that a JSON number says exactly.
            let bound = |bound: &Option<i128>| bound.and_then(|bound| i64::try_from(bound).ok());
            number.extend(bound(low).map(|low| ("minimum".to_owned(), json!(low))));
            number.extend(bound(high).map(|high| ("maximum".to_owned(), json!(high))));
            json!({ "anyOf": [number, quoted("[+-]?[0-9_]+")] })
        }
        Shape::PositiveNumber => {
            json!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, quoted(r"\+?[0-9.]+(e[+-]?[0-9]+)?")] })
        }
        Shape::Duration => {
            json!({ "type": ["string", "number"], "minimum": 0, "examples": ["250ms", "5m", "2h"] })
        }
        Shape::Size => {
            json!({ "type": ["string", "integer"], "minimum": 0, "examples": ["64 MiB", "2 GB"] })
        }
        Shape::Words(words) => {
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": r"\$\{" }] })
        }
        Shape::List(item) => json!({ "type": "array", "items": of(item) }),
        Shape::Mapping(value) => json!({ "type": "object", "additionalProperties": of(value) }),
        Shape::Fields(fields) => object(fields),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(of).collect::<Vec<_>>() }),
    }
}

fn object(fields: &[Field]) -> Value {
    let property = |field: &Field| {
        let value = of(&field.shape);
        // A key without a value is one that was left out.
        let value = if field.required {
            value
        } else {
            json!({ "anyOf": [value, { "type": "null" }] })
        };
        (field.key.to_owned(), value)
    };
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.key)
        .collect();
    json!({
        "type": "object",
        "properties": fields.iter().map(property).collect::<Map<_, _>>(),
        "required": required,
        "additionalProperties": false,
    })
}
