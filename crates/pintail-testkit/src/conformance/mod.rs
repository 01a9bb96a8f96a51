//! The conformance suite: what [`pintail_lake::connector`] promises, checked against a real system.
//!
//! A connector joins with a [`Fixture`] and one line, which gives it one test per guarantee:
//!
//! ```ignore
//! pintail_testkit::conformance!(ShopFixture::new());
//! ```
//!
//! Every test makes a fixture of its own, so each works on an empty database.

pub mod access;
mod attached;
pub mod description;
mod fixture;
pub mod names;
pub mod queries;
pub mod ranges;
pub mod snapshots;
pub mod values;

pub use attached::{Attached, read_as};
pub use fixture::{Fixture, Sample, Unfit};

/// One test per guarantee of the connector contract, for the fixture that the expression makes.
#[macro_export]
macro_rules! conformance {
    ($fixture:expr) => {
        $crate::conformance!(@group description, $fixture, [
            lists_tables_and_views,
            finds_columns_types_and_key,
            tells_nothing_about_types_without_a_home,
            names_a_missing_table_and_its_neighbour,
        ]);
        $crate::conformance!(@group ranges, $fixture, [
            cover_every_row_once,
            are_counted_as_they_are_read,
            of_an_empty_table_are_empty,
        ]);
        $crate::conformance!(@group queries, $fixture, [are_read_as_tables_are, give_groups]);
        $crate::conformance!(@group snapshots, $fixture, [
            show_one_state_to_all_sessions,
            end_with_their_transaction,
        ]);
        $crate::conformance!(@group values, $fixture, [
            arrive_as_they_are,
            that_do_not_fit_fail_the_scan,
        ]);
        $crate::conformance!(@group names, $fixture, [
            may_hold_anything,
            of_a_column_read_twice_are_kept_apart,
        ]);
        $crate::conformance!(@group access, $fixture, [
            is_read_only,
            with_a_wrong_password_is_unauthorized,
            to_a_closed_port_is_unavailable,
            leaves_no_secret_in_statements,
        ]);
    };
    (@group $group:ident, $fixture:expr, [$($guarantee:ident),+ $(,)?]) => {
        mod $group {
            use super::*;

            $(
                #[test]
                fn $guarantee() {
                    $crate::conformance::$group::$guarantee(&$fixture);
                }
            )+
        }
    };
}
