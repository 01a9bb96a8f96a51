//! A sweep takes what runs of the table left, and nothing of others.

use std::time::Duration;

use pintail_lake::SweepPolicy;
use pintail_model::TableName;

use super::formats::{load, stage};
use super::shop::{columns, open, orders};

const RUN: &str = "20260101_000000_00000a";
const ROWS: &str = "select i::bigint as id, 1::bigint as version from range(100) as r(i)";

#[test]
fn other_tables_and_files_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!(
        "files:{}/out/?partition_by=version",
        folder.path().display()
    ));
    let sales = folder.path().join("out/sales");
    for table in [TableName::bare("sales"), TableName::bare("version=1"), orders()] {
        let part = stage(&shop, &table, RUN, ROWS);
        load(&shop, &table, &columns(), &part).unwrap();
    }
    // Another table whose folder looks like one of this table.
    let inner = TableName::new("sales", "version=8");
    let part = stage(&shop, &inner, RUN, ROWS);
    load(&shop, &inner, &columns(), &part).unwrap();
    let put = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "rows").unwrap();
        path
    };
    let left = format!("part-{RUN}-000002-0badcafe-0.parquet");
    let foreign = [
        put("out/sales/version=1/part-00000-5b2f1f4e-c000.snappy.parquet"),
        put("out/sales/version=1/partners.parquet"),
        put(&format!("out/sales/{left}")),
        put(&format!("out/sales/region=1/{left}")),
        put(&format!("out/sales/version=1/region=1/{left}")),
        put(&format!("out/sales/version=8/{left}")),
        put(&format!("elsewhere/{left}")),
    ];
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), sales.join("version=9")).unwrap();
    let own = put(&format!("out/sales/version=1/{left}"));
    let policy = SweepPolicy {
        own_runs: Vec::new(),
        older_than: Some(Duration::ZERO),
    };
    shop.attached.sweep(&TableName::bare("sales"), &policy).unwrap();
    assert!(!own.exists());
    for file in foreign {
        assert!(file.exists(), "{}", file.display());
    }
    assert_eq!(shop.contents(), (100, 100, 100));
    let session = shop.attached.session().unwrap();
    let found = shop.attached.table(&session, &inner, &columns()).unwrap();
    assert!(found.unwrap().fits, "all of its files are there");
}
