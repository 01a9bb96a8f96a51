//! Values that only one row can have, and that move from one row to another.

use pintail_model::LogicalType;

use super::places::{Copied, Kind, counts};

const ORDERS: &str = "create table orders (id bigint primary key, code int not null, item text);
     insert into orders select i, i, 'item ' || i from generate_series(1, 100) as i; analyze orders";

const COLUMNS: &[(&str, LogicalType)] = &[("id", LogicalType::Int64), ("code", LogicalType::Int32)];

/// The row that has the code of one that went comes in after that one is gone.
#[test]
fn a_unique_value_moves_from_a_deleted_row_to_another() {
    for kind in Kind::UNIQUE {
        let copied = Copied::new(kind, ORDERS);
        copied.run(&copied.request(None));
        copied.execute("create unique index codes on orders (code)");
        // One value goes to a row that is new, and one to a row that is there.
        copied.source.execute(
            "delete from orders where id in (7, 8);
             insert into orders values (107, 7, 'new'); update orders set code = 8 where id = 50",
        );
        let report = copied.run(&copied.request(Some("compare")));
        assert_eq!(counts(&report), (1, 1, 2), "{kind:?}");
        let rows = copied.rows(COLUMNS);
        assert_eq!(rows.len(), 99, "{kind:?}");
        for row in ["107 7", "50 8", "9 9"] {
            assert!(rows.iter().any(|found| found == row), "{kind:?}: {row}");
        }
    }
}
