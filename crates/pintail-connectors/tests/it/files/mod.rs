mod bucket;
mod csv;
mod destination;
pub(crate) mod fixture;
mod folders;
mod formats;
mod json;
mod maintain;
mod parquet;
mod retries;
pub(crate) mod shop;
mod sweep;

use fixture::FilesFixture;
use pintail_testkit::conformance;

/// What files promise of the contract: they have no keys, no views, and no transactions that hold a state.
macro_rules! conforms {
    ($group:ident, [$($guarantee:ident),+ $(,)?]) => {
        mod $group {
            use super::*;
            $(
                #[test]
                fn $guarantee() {
                    conformance::$group::$guarantee(&FilesFixture::in_folder());
                }
            )+
        }
    };
}

conforms!(
    description,
    [
        tells_nothing_about_types_without_a_home,
        names_a_missing_table_and_its_neighbour,
    ]
);
conforms!(
    ranges,
    [
        cover_every_row_once,
        are_counted_as_they_are_read,
        of_an_empty_table_are_empty,
    ]
);
conforms!(values, [arrive_as_they_are, that_do_not_fit_fail_the_scan]);
conforms!(names, [may_hold_anything, of_a_column_read_twice_are_kept_apart]);
conforms!(access, [is_read_only]);
conforms!(queries, [are_read_as_tables_are, give_groups]);
