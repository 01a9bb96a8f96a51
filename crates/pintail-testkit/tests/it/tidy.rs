//! The rules of the house that a compiler does not know (`ARCHITECTURE.md` explains them).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};

/// Dependencies point to strictly lower levels. A crate that is missing here fails the test: say first where it belongs.
const LEVELS: &[(&str, u8)] = &[
    ("pintail", 5),
    ("pintail-service", 4),
    ("pintail-playbook", 4),
    ("pintail-sync", 3),
    ("pintail-cache", 3),
    ("pintail-snapshot", 3),
    ("pintail-connectors", 3),
    ("pintail-lake", 2),
    ("pintail-jobs", 2),
    ("pintail-storage", 1),
    ("pintail-config", 1),
    ("pintail-model", 0),
];

/// Development only, and so outside the levels.
const TESTKIT: &str = "pintail-testkit";
const TESTKIT_SEES: &[&str] = &["pintail-lake", "pintail-model", "pintail-storage"];

/// The only crate that names DuckDB.
const LAKE: &str = "pintail-lake";
const DUCKDB: &[&str] = &["duckdb", "libduckdb-sys"];

/// Names of files that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn packages() -> Vec<Package> {
    let manifest = workspace_root().join("Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .unwrap()
        .packages
}

/// Every dependency between two crates as (from, to, kind), with crates outside the workspace included.
fn dependencies() -> Vec<(String, String, DependencyKind)> {
    packages()
        .iter()
        .flat_map(|package| {
            let edge = |to: &cargo_metadata::Dependency| (package.name.to_string(), to.name.clone(), to.kind);
            package.dependencies.iter().map(edge)
        })
        .collect()
}

/// A source file, and its path inside its crate.
struct Source {
    path: PathBuf,
    inside: PathBuf,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for package in packages() {
        let root = PathBuf::from(package.manifest_path.parent().unwrap());
        collect_sources(&root, &mut |path| {
            let inside = path.strip_prefix(&root).unwrap().to_owned();
            found.push(Source { path, inside });
        });
    }
    assert!(!found.is_empty(), "the search found no source at all");
    found
}

fn collect_sources(folder: &Path, found: &mut impl FnMut(PathBuf)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found(path);
        }
    }
}

#[track_caller]
fn assert_none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn every_crate_has_a_level() {
    let levels: BTreeMap<_, _> = LEVELS.iter().copied().collect();
    let unknown: Vec<_> = packages()
        .iter()
        .map(|package| package.name.to_string())
        .filter(|name| name != TESTKIT && !levels.contains_key(name.as_str()))
        .collect();
    assert_none("crates without a level in this test", &unknown);
}

#[test]
fn dependencies_point_to_lower_levels() {
    let levels: BTreeMap<_, _> = LEVELS.iter().copied().collect();
    let upward: Vec<_> = dependencies()
        .into_iter()
        .filter(|(_, _, kind)| *kind != DependencyKind::Development)
        .filter_map(|(from, to, _)| {
            Some((
                levels.get(from.as_str())?,
                levels.get(to.as_str())?,
                from.clone(),
                to.clone(),
            ))
        })
        .filter(|(from_level, to_level, _, _)| from_level <= to_level)
        .map(|(from_level, to_level, from, to)| format!("{from} ({from_level}) → {to} ({to_level})"))
        .collect();
    assert_none("dependencies that do not point to a lower level", &upward);
}

#[test]
fn only_the_lake_names_duckdb() {
    let others: Vec<_> = dependencies()
        .into_iter()
        .filter(|(from, to, _)| from != LAKE && DUCKDB.contains(&to.as_str()))
        .map(|(from, to, _)| format!("{from} → {to}"))
        .collect();
    assert_none("crates beside pintail-lake that name DuckDB", &others);
}

#[test]
fn testkit_stays_in_tests() {
    let outside: Vec<_> = dependencies()
        .into_iter()
        .filter(|(_, to, kind)| to == TESTKIT && *kind != DependencyKind::Development)
        .map(|(from, _, _)| from)
        .collect();
    assert_none("crates that use pintail-testkit outside their tests", &outside);

    let seen: Vec<_> = dependencies()
        .into_iter()
        .filter(|(from, to, _)| {
            from == TESTKIT && to.starts_with("pintail") && !TESTKIT_SEES.contains(&to.as_str())
        })
        .map(|(_, to, _)| to)
        .collect();
    assert_none("crates that pintail-testkit must not see", &seen);
}

/// Without it nobody could build the binary against a DuckDB of the system.
#[test]
fn binary_forwards_bundled() {
    if let Some(binary) = packages().iter().find(|package| package.name == "pintail") {
        let forwarded = binary
            .features
            .get("bundled")
            .is_some_and(|to| to.contains(&"pintail-lake/bundled".to_owned()));
        assert!(
            forwarded,
            "feature `bundled` of crate `pintail` is to contain `pintail-lake/bundled`"
        );
    }
}

/// DuckDB is linked into every test binary that can see it, which takes seconds each.
#[test]
fn a_crate_has_one_test_binary() {
    let mut offenders = Vec::new();
    for package in packages() {
        for target in &package.targets {
            if target.kind.contains(&TargetKind::Test) && target.name != "it" {
                offenders.push(format!(
                    "{}: tests/{} belongs into tests/it",
                    package.name, target.name
                ));
            }
        }
        let sees_duckdb = package
            .dependencies
            .iter()
            .any(|to| to.name == LAKE || DUCKDB.contains(&to.name.as_str()));
        for target in package
            .targets
            .iter()
            .filter(|target| sees_duckdb && !target.kind.contains(&TargetKind::Test))
        {
            if target.test || target.doctest {
                offenders.push(format!(
                    "{}: target {} is to say test = false, doctest = false",
                    package.name, target.name
                ));
            }
        }
    }
    assert_none("test binaries beside tests/it", &offenders);
}

#[test]
fn every_crate_inherits_the_lints() {
    let offenders: Vec<_> = packages()
        .iter()
        .filter(|package| {
            let manifest = fs::read_to_string(&package.manifest_path).unwrap();
            !manifest.contains("[lints]\nworkspace = true") && !manifest.contains("lints.workspace = true")
        })
        .map(|package| package.name.to_string())
        .collect();
    assert_none("crates without `[lints] workspace = true`", &offenders);
}

#[test]
fn every_module_opens_with_its_purpose() {
    let silent: Vec<_> = sources()
        .iter()
        .filter(|source| source.inside.starts_with("src") || source.inside == Path::new("build.rs"))
        .filter(|source| !fs::read_to_string(&source.path).unwrap().starts_with("//!"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert_none("files that do not open with `//!`", &silent);
}

#[test]
fn every_file_name_names_its_subject() {
    let empty: Vec<_> = sources()
        .iter()
        .filter(|source| {
            let mut names = source
                .inside
                .iter()
                .filter_map(|part| Path::new(part).file_stem()?.to_str());
            names.any(|name| EMPTY_NAMES.contains(&name))
        })
        .map(|source| source.path.display().to_string())
        .collect();
    assert_none("files whose name says nothing", &empty);
}

/// A test that is not run protects nothing.
#[test]
fn no_test_is_ignored() {
    let mut ignored = Vec::new();
    for Source { path, .. } in sources() {
        for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.trim_start().starts_with("#[ignore") {
                ignored.push(format!("{}:{}", path.display(), index + 1));
            }
        }
    }
    assert_none("ignored tests", &ignored);
}
