//! The JSON schemas: they agree with what loads.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use jsonschema::Validator;
use pintail_config::decode::{Field, Shape};
use pintail_config::{Datastores, Document, GlobalConfig, Node, Value as Scalar};
use serde_json::{Map, Value, json};

use crate::project::Project;

fn schema(kind: &str) -> Value {
    Project::empty().succeed(&["config", "schema", kind]).json()
}

fn validator(kind: &str) -> Validator {
    jsonschema::draft7::new(&schema(kind)).expect("a schema")
}

/// Every YAML file and every YAML block of a document below `folder`.
fn texts(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            texts(&path, found);
        } else if extension == Some("yaml") {
            found.push((path.clone(), std::fs::read_to_string(&path).expect("a text")));
        } else if extension == Some("md") {
            let text = std::fs::read_to_string(&path).expect("a text");
            let blocks = text.split("```yaml\n").skip(1);
            let block = |block: &str| {
                (
                    path.clone(),
                    block.split("```").next().unwrap_or_default().to_owned(),
                )
            };
            found.extend(blocks.map(block));
        }
    }
}

/// What an editor sees: plain scalars have types, and variables are texts.
fn seen(node: &Node) -> Value {
    match &node.value {
        Scalar::List(items) => Value::Array(items.iter().map(seen).collect()),
        Scalar::Mapping(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), seen(&entry.node)))
            .collect::<Map<_, _>>()
            .into(),
        Scalar::Null | Scalar::Unresolved => Value::Null,
        Scalar::Scalar { text, .. } if !node.variables.is_empty() => json!(format!("${{{text}}}")),
        Scalar::Scalar { text, quoted: true } => json!(text),
        Scalar::Scalar { text, quoted: false } => serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| !value.is_object())
            .unwrap_or_else(|| json!(text)),
    }
}

fn parsed(file: &Path, text: &str) -> Option<Document> {
    Document::parse(file, text, &|_| Some("1".to_owned())).ok()
}

fn kind(root: &Node) -> Option<&'static str> {
    if root.get("datastores").is_some() {
        Some("datastores")
    } else if root.get("storage").is_some() || root.get("build_system").is_some() {
        Some("global")
    } else {
        let whole = root.get("source_provider").is_some() && root.get("destination_provider").is_some()
            || root.get("backends").is_some() && root.get("stages").is_some();
        whole.then_some("pipeline")
    }
}

#[test]
fn every_example_is_valid_by_the_schema_of_its_kind() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in [
        "docs",
        "examples",
        "crates/pintail-sync/tests/it/spec",
        "crates/pintail/tests/it",
    ] {
        texts(&root.join(folder), &mut found);
    }
    let mut checked = Map::new();
    for kind_wanted in ["pipeline", "datastores", "global"] {
        let validator = validator(kind_wanted);
        let mut count = 0;
        for (file, text) in &found {
            let Some(document) = parsed(file, text) else {
                continue;
            };
            // A document may show a part of a file.
            if kind(&document.root) != Some(kind_wanted) {
                continue;
            }
            let instance = seen(&document.root);
            let errors: Vec<String> = validator
                .iter_errors(&instance)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(
                errors.is_empty(),
                "{}\n{text}\n{}",
                file.display(),
                errors.join("\n")
            );
            count += 1;
        }
        checked.insert(kind_wanted.to_owned(), json!(count));
    }
    for (kind, least) in [("pipeline", 6), ("datastores", 4), ("global", 2)] {
        assert!(checked[kind].as_i64() >= Some(least), "{checked:?}");
    }
}

#[test]
fn mistakes_are_seen_by_the_schema_too() {
    let pipeline = validator("pipeline");
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/orders-mapped/pipeline.yaml"),
    )
    .expect("an example");
    for (from, to) in [
        ("partition_column:", "partition_colum:"),
        ("partition_step: 500000", "partition_step: many"),
        ("partition_step: 500000", "partition_step: 0"),
        ("type: delta", "type: deltas"),
        ("name: orders_mapped", "nome: orders_mapped"),
        ("parity: true", "parity: perhaps"),
        ("roles: [unique_column", "roles: [unique"),
    ] {
        assert!(text.contains(from), "{from}");
        let wrong = text.replacen(from, to, 1);
        let instance = seen(&parsed(Path::new("pipeline.yaml"), &wrong).expect("YAML").root);
        assert!(!pipeline.is_valid(&instance), "`{to}` passes");
    }
    let datastores = validator("datastores");
    for wrong in [
        json!({ "datastores": { "shop": { "type": "sqlite", "connection": { "paht": "shop.db" } } } }),
        json!({ "datastores": { "shop": { "type": "sqlit", "connection": { "path": "shop.db" } } } }),
        json!({ "datastores": { "shop": { "type": "postgres", "connection": { "path": "shop.db" } } } }),
        json!({ "datastore": {} }),
    ] {
        assert!(!datastores.is_valid(&wrong), "{wrong} passes");
    }
}

/// The keys of a shape by their paths.
fn known(shape: &Shape, path: &str, keys: &mut Vec<String>) {
    match shape {
        Shape::Fields(fields) => {
            for Field { key, shape, .. } in fields {
                keys.push(format!("{path}.{key}"));
                known(shape, &format!("{path}.{key}"), keys);
            }
        }
        Shape::List(item) => known(item, &format!("{path}[]"), keys),
        Shape::Mapping(value) => known(value, &format!("{path}.*"), keys),
        Shape::Either(shapes) => {
            for (index, shape) in shapes.iter().enumerate() {
                known(shape, &format!("{path}|{index}"), keys);
            }
        }
        _ => {}
    }
}

/// The same of a schema.
fn offered(schema: &Value, path: &str, keys: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        assert_eq!(schema["additionalProperties"], json!(false), "{path}");
        for (key, value) in properties {
            let key = format!("{path}.{key}");
            // An optional key may be null.
            let alternatives = value["anyOf"]
                .as_array()
                .filter(|list| list.len() == 2 && list[1] == json!({ "type": "null" }));
            offered(alternatives.map_or(value, |list| &list[0]), &key, keys);
            keys.push(key);
        }
    } else if schema["items"].is_object() {
        offered(&schema["items"], &format!("{path}[]"), keys);
    } else if schema["additionalProperties"].is_object() {
        offered(&schema["additionalProperties"], &format!("{path}.*"), keys);
    } else if let Some(shapes) = schema["anyOf"].as_array() {
        for (index, shape) in shapes.iter().enumerate() {
            offered(shape, &format!("{path}|{index}"), keys);
        }
    }
}

#[test]
fn a_schema_knows_the_keys_that_the_readers_know_and_no_others() {
    for (kind, shape, some) in [
        (
            "pipeline",
            pintail_sync::spec::shape(),
            "|1.stages[].source.columns[].hash_key",
        ),
        (
            "datastores",
            Datastores::shape(),
            ".datastores.*|0.connection.sslmode",
        ),
        ("global", GlobalConfig::shape(), ".build_system.on_build_failure"),
    ] {
        let (mut keys, mut properties) = (Vec::new(), Vec::new());
        known(&shape, "", &mut keys);
        offered(&schema(kind), "", &mut properties);
        keys.sort();
        properties.sort();
        assert_eq!(keys, properties);
        assert!(keys.iter().any(|key| key == some), "{keys:#?}");
    }
}

/// The readers are asked by an unknown key what they know: their hint lists it.
#[test]
fn the_keys_of_a_pipeline_are_the_known_ones() {
    let (mut keys, shape) = (Vec::new(), pintail_sync::spec::shape());
    known(&shape, "", &mut keys);
    let top = |form: &str| -> String {
        let keys = keys.iter().filter_map(|key| key.strip_prefix(form));
        let top: Vec<&str> = keys.filter(|key| !key.contains(['.', '['])).collect();
        top.join(" ")
    };
    assert_snapshot!(top("|0."), @"name description enabled sync_type source_provider destination_provider column_map partition_column partition_step max_concurrent_partitions strategies enrichment hash_algo deletes detect_deletes limits retries parity");
    assert_snapshot!(top("|1."), @"name description enabled sync_type stages backends partition_column partition_step max_concurrent_partitions strategies enrichment hash_algo deletes detect_deletes limits retries parity");
}
