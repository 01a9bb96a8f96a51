//! A column of the destination that holds the hash of the row, and columns whose changes do not count.

use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{
    ColumnSource, ColumnSpec, DeclaredType, HashSpec, Role, StrategyKind, StrategySpec,
};

use crate::shop::Shop;

fn shop(hash: DeclaredType) -> Shop {
    let mut shop = Shop::new(100);
    let own = |name: &str| ColumnSpec {
        source: ColumnSource::Column(name.to_owned()),
        dest: name.to_owned(),
        roles: [].into(),
        data_type: None,
        length: None,
        nullable: None,
        hash_column: true,
    };
    shop.spec.columns = vec![
        ColumnSpec {
            source: ColumnSource::RowHash,
            data_type: Some(hash),
            ..own("checksum")
        },
        ColumnSpec {
            roles: [Role::UniqueColumn].into(),
            ..own("id")
        },
        own("item"),
        own("price"),
        ColumnSpec {
            hash_column: false,
            ..own("updated_at")
        },
    ];
    let hash = StrategyKind::Hash(HashSpec::default());
    shop.spec.strategies.push(StrategySpec::new("compare", hash));
    shop
}

fn hash_of(shop: &Shop, id: u32) -> String {
    shop.ask_one(&format!("select checksum from lake.main.orders where id = {id}"))
}

fn run(shop: &Shop, strategy: &str) -> (u64, u64, u64) {
    let report = shop.run(Some(strategy));
    let fine = [ParityStatus::Ok, ParityStatus::Unchanged].contains(&report.parity.status);
    assert!(fine, "{:?} {:?}", report.parity, report.notes);
    (report.rows_inserted, report.rows_updated, report.rows_deleted)
}

#[test]
fn a_hash_is_stored_beside_the_row_and_changes_with_what_counts() {
    for kind in [DeclaredType::BigInt, DeclaredType::Text] {
        let shop = shop(kind);
        run(&shop, "everything");
        let before = hash_of(&shop, 7);
        assert_ne!(before, hash_of(&shop, 8));
        let kinds = shop.ask_one("select typeof(checksum) from lake.main.orders limit 1");
        assert_eq!(kinds == "BIGINT", kind == DeclaredType::BigInt, "{kinds}");

        // A time of change alone makes nobody write.
        shop.change("update orders set updated_at = '2024-01-15 13:00:00+00' where id = 7");
        assert_eq!(run(&shop, "compare"), (0, 0, 0));
        shop.change("update orders set price = 3 where id = 7");
        assert_eq!(run(&shop, "compare"), (0, 1, 0));
        let after = hash_of(&shop, 7);
        assert_ne!(before, after);
        let stamp = "select updated_at = '2024-01-15 13:00:00+00' from lake.main.orders where id = 7";
        assert_eq!(shop.ask_one(stamp), "true");

        // A delta follows its cursor, and the hash stays what it is.
        shop.change("update orders set updated_at = '2024-01-15 14:00:10+00' where id = 7");
        shop.later(60);
        assert_eq!(run(&shop, "changes"), (0, 1, 0));
        assert_eq!(hash_of(&shop, 7), after);
    }
}

#[test]
fn a_hash_that_somebody_changed_is_put_right() {
    let shop = shop(DeclaredType::Text);
    run(&shop, "everything");
    let before = hash_of(&shop, 7);
    shop.in_lake("update lake.main.orders set checksum = 'none' where id = 7");
    assert_eq!(run(&shop, "compare"), (0, 1, 0));
    assert_eq!(hash_of(&shop, 7), before);
}

/// Kept hashes are compared with those of later releases.
#[test]
fn the_hash_of_a_row_is_that_of_version_1() {
    let shop = shop(DeclaredType::Text);
    run(&shop, "everything");
    insta::assert_snapshot!(hash_of(&shop, 1), @"10167487891562902341");
}
