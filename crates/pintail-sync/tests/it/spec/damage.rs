//! Every line of a good file, damaged in every way: it loads or says why, and never panics.

use super::load;

const SEED: [&str; 3] = [
    include_str!("users_sync.yaml"),
    include_str!("advanced_sync_pipeline.yaml"),
    include_str!("users_row_sync.yaml"),
];
const OWN: &str = "\
name: own
source_provider: {data_backend: {type: sqlite, datastore_name: shop, table: orders}}
destination_provider: {data_backend: {type: ducklake, datastore_name: lake, table: orders}}
limits:
  memory: 1 GiB
  threads: 2
strategies:
  - name: delta
    type: delta
    column: at
    null_cursor: skip
    margin: 1s
    time_zone: UTC
    primary_partitions:
      - column: at
        step: 5
        step_unit: day
";
const VALUES: [&str; 11] = [
    "",
    "[]",
    "{}",
    "[[]]",
    "{a: {b: c}}",
    "true",
    "-1",
    "1e99",
    "''",
    "${NOT_SET}",
    "\"\\0\"",
];

#[test]
fn a_damaged_file_loads_or_says_why() {
    let mut refused = 0;
    for text in SEED.into_iter().chain([OWN]) {
        let lines: Vec<&str> = text.lines().collect();
        for damaged in 0..lines.len() {
            let with = |line: &str| {
                let mut lines = lines.clone();
                lines[damaged] = line;
                lines.join("\n")
            };
            let key = lines[damaged]
                .split_once(": ")
                .map_or(lines[damaged], |(key, _)| key);
            let key = key.trim_end_matches(':');
            let mut variants = vec![
                with(""),
                with(&format!("{key}x: 1")),
                with(&lines[damaged].replace(' ', "\t")),
            ];
            variants.extend(VALUES.map(|value| with(&format!("{key}: {value}"))));
            for variant in variants {
                if let Err(problems) = load(&variant) {
                    refused += 1;
                    assert!(
                        problems
                            .as_slice()
                            .iter()
                            .all(|problem| problem.position.is_some()),
                        "{problems}"
                    );
                }
            }
        }
    }
    assert!(refused > 1000, "only {refused} damaged files were refused");
}
