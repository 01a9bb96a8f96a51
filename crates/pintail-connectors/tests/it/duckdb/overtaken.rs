//! A DuckDB file that somebody else has committed to after a change was worked out.

use pintail_lake::{Change, Error};

use crate::files::shop::open_in;

#[test]
fn a_change_that_was_worked_out_before_another_commit_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("copy.duckdb");
    let shop = open_in(&format!("duckdb:{}", file.display()), folder.path());
    let first = shop.stage("20240101_000000_000001", "all", 0..10, 1);
    let before = first.entry.key.clone();
    shop.commit(Change::ReplaceAll, vec![first]);
    let other = shop.stage("20240101_000000_000002", "other", 3..4, 5);
    let newest = other.entry.key.clone();
    shop.commit_on(Some(&before), vec![other])
        .expect("nobody was faster");
    assert_eq!(shop.contents(), (10, 10, 14));

    let late = shop.stage("20240101_000000_000003", "late", 3..6, 2);
    for basis in [Some(&before), None] {
        let error = shop
            .commit_on(basis, vec![late.clone()])
            .expect_err("it is overtaken");
        assert!(matches!(error, Error::Overtaken { .. }), "{error:?}");
        assert_eq!(shop.contents(), (10, 10, 14), "nothing came in");
    }
    // Worked out from what is there, the very same files are welcome.
    shop.commit_on(Some(&newest), vec![late])
        .expect("nobody was faster");
    assert_eq!(shop.contents(), (10, 10, 13));
}
