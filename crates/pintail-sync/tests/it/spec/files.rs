//! Which files are read.

use std::path::Path;

use insta::assert_snapshot;
use pintail_sync::spec::load;
use tempfile::TempDir;

const PIPELINE: &str = "\
name: orders
source_provider: {data_backend: {type: sqlite, datastore_name: shop, table: orders}}
destination_provider: {data_backend: {type: ducklake, datastore_name: lake, table: orders}}
strategies: [{name: full, type: full}]
limits: {temp_folder: spill}
";
const DATASTORES: &str = "\
datastores:
  shop: {type: sqlite, connection: {path: shop.db}}
  lake: {type: ducklake, connection: {catalog: 'sqlite:lake.sqlite', data_path: files}}
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a writable folder");
        std::fs::write(path, text).expect("a writable folder");
    }
    folder
}

/// Where the two sides are, or the problems.
fn check(folder: &TempDir, file: &str, datastores: Option<&str>) -> String {
    let datastores = datastores.map(|name| folder.path().join(name));
    let shown = match load(&folder.path().join(file), datastores.as_deref(), &|_| None) {
        Ok(pipeline) => {
            let temp_folder = pipeline.spec.limits.temp_folder.clone().unwrap_or_default();
            format!(
                "{}\n{}\n{}",
                pipeline.source,
                pipeline.destination,
                temp_folder.display()
            )
        }
        Err(problems) => problems.to_string(),
    };
    shown.replace(&folder.path().display().to_string(), "<folder>")
}

#[test]
fn datastores_are_found_beside_the_pipeline_or_above_it() {
    let beside = folder(&[
        ("a/p.yaml", PIPELINE),
        ("a/datastores.yaml", DATASTORES),
        ("datastores.yaml", "x: 1"),
    ]);
    assert_snapshot!(check(&beside, "a/p.yaml", None), @r"
    sqlite:<folder>/a/shop.db
    ducklake:sqlite:<folder>/a/lake.sqlite?data_path=<folder>/a/files
    <folder>/a/spill
    ");
    let above = folder(&[
        ("conf/pipelines/p.yaml", PIPELINE),
        ("conf/datastores.yaml", DATASTORES),
    ]);
    assert_snapshot!(check(&above, "conf/pipelines/p.yaml", None), @r"
    sqlite:<folder>/conf/shop.db
    ducklake:sqlite:<folder>/conf/lake.sqlite?data_path=<folder>/conf/files
    <folder>/conf/pipelines/spill
    ");
    let elsewhere = folder(&[("p.yaml", PIPELINE), ("other/stores.yaml", DATASTORES)]);
    assert_snapshot!(check(&elsewhere, "p.yaml", Some("other/stores.yaml")), @r"
    sqlite:<folder>/other/shop.db
    ducklake:sqlite:<folder>/other/lake.sqlite?data_path=<folder>/other/files
    <folder>/spill
    ");
}

#[test]
fn missing_files_are_named() {
    let alone = folder(&[("a/b/p.yaml", PIPELINE)]);
    assert_snapshot!(check(&alone, "a/b/p.yaml", None), @r"
    <folder>/a/b/p.yaml: there is no `datastores.yaml` beside this file or in the folder above it
      hint: write one, or name it with `--datastores FILE`
    ");
    assert_snapshot!(check(&alone, "a/b/p.yaml", Some("stores.yaml")), @"<folder>/stores.yaml: the file does not exist");
    assert_snapshot!(check(&alone, "q.yaml", Some("stores.yaml")), @r"
    found 2 problems in <folder>/q.yaml and <folder>/stores.yaml
    <folder>/q.yaml: the file does not exist
    <folder>/stores.yaml: the file does not exist
    ");
}

#[test]
fn problems_of_both_files_are_reported_together() {
    let wrong = folder(&[
        ("p.yaml", &PIPELINE.replace("limits", "limit")),
        (
            "datastores.yaml",
            &DATASTORES.replace("path: shop.db", "pth: shop.db"),
        ),
    ]);
    assert_snapshot!(check(&wrong, "p.yaml", None), @r"
    found 2 problems in <folder>/datastores.yaml and <folder>/p.yaml
    <folder>/datastores.yaml:2:37: datastores.shop.connection: key `pth` is not known
      hint: did you mean `path`?
    <folder>/p.yaml:5:1: key `limit` is not known
      hint: did you mean `limits`?
    ");
}

#[test]
fn the_files_of_a_pipeline_are_relative_to_its_folder() {
    let pipeline = pintail_sync::spec::parse(
        Path::new("conf/p.yaml"),
        PIPELINE,
        &pintail_config::Datastores::parse(Path::new("datastores.yaml"), DATASTORES, &|_| None)
            .expect("valid"),
        &|_| None,
    )
    .expect("valid");
    assert_eq!(pipeline.base(), Path::new("conf"));
    assert_eq!(
        pipeline.spec.limits.temp_folder.as_deref(),
        Some(Path::new("conf/spill"))
    );
}
