//! The files in `examples/` are valid, and those that need no server run.

use std::path::{Path, PathBuf};

use crate::project::{Project, Seen};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

#[test]
fn every_example_is_valid() {
    let mut checked = 0;
    for entry in std::fs::read_dir(examples()).expect("the examples") {
        let folder = entry.expect("an entry").path();
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).expect("an example") {
            let file = entry.expect("an entry").path();
            if file.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let project = Project::empty();
            let file = file.to_string_lossy();
            let mut command = project.command(&["config", "validate", &file]);
            let seen = Seen::of(command.env("SHOP_PASSWORD", "any").env("LAKE_PASSWORD", "any"));
            assert_eq!(seen.code, Some(0), "{seen}");
            checked += 1;
        }
    }
    assert!(checked >= 4, "only {checked} files were found");
}

#[test]
fn the_example_without_a_server_runs() {
    let example = examples().join("shop-sqlite");
    let read = |name: &str| std::fs::read_to_string(example.join(name)).expect(name);
    let project = Project::empty();
    project.execute(&read("shop.sql"));
    project.write("datastores.yaml", &read("datastores.yaml"));
    project.write("pipeline.yaml", &read("pipeline.yaml"));
    let seen = project.succeed(&["run", "--config", "pipeline.yaml"]);
    assert!(seen.stdout.starts_with("synced orders  3 rows"), "{seen}");
    assert_eq!(
        project.ask("select customer, amount, paid from shop.orders where id = 3"),
        "Zoë,7.00,true"
    );
}
