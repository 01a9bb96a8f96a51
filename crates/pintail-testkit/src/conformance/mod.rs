//! The conformance suite: what [`pintail_lake::connector`] promises, checked against a real system.
//!
//! A connector joins with a [`Fixture`] and one line, which gives it one test per guarantee:
//!
//! ```ignore
//! pintail_testkit::conformance!(ShopFixture::new());
//! ```
//!
//! Every test makes a fixture of its own, so each works on an empty database.

mod attached;
mod fixture;
pub mod access;
pub mod description;
pub mod names;
pub mod ranges;
pub mod snapshots;
pub mod values;

pub use attached::Attached;
pub use fixture::{Fixture, Sample, Unfit};

/// One test per guarantee of the connector contract, for the fixture that the expression makes.
#[macro_export]
macro_rules! conformance {
    ($fixture:expr) => {
        $crate::conformance!(@tests $fixture,
            description::finds_columns_types_and_key,
            description::tells_nothing_about_types_without_a_home,
            description::names_a_missing_table_and_its_neighbour,
            ranges::cover_every_row_once,
            ranges::are_counted_as_they_are_read,
            ranges::of_an_empty_table_are_empty,
            snapshots::show_one_state_to_all_sessions,
            snapshots::hold_for_whole_and_partial_scans_alike,
            values::arrive_as_they_are,
            values::that_do_not_fit_fail_the_scan,
            names::may_hold_anything,
            names::of_a_column_read_twice_are_kept_apart,
            access::is_read_only,
            access::is_denied_as_unauthorized,
            access::to_a_closed_port_is_unavailable,
            access::leaves_no_secret_in_statements,
        );
    };
    (@tests $fixture:expr, $($module:ident :: $guarantee:ident),+ $(,)?) => {
        $($crate::conformance!(@test $fixture, $module, $guarantee);)+
    };
    (@test $fixture:expr, description, $guarantee:ident) => {
        $crate::conformance!(@in description, $fixture, $guarantee);
    };
}
