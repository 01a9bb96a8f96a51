//! What users of other tools complain of, and the test that holds it here.
//!
//! The complaints are of users of Airbyte (A), sling (S), dlt (D), PeerDB (P), Estuary (E), ConnectorX (C), Kafka Connect (K), of DuckDB
//! and its extensions (DB), of DuckLake (DL) and of data-diff (DD), by the numbers of their issues. What concerns change
//! data capture has no place here: Pintail has none.

use std::path::Path;

use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{PartitionSpec, StepUnit};
use pintail_sync::{StopSignal, Unwatched};

use crate::resume::stopped;
use crate::shop::Shop;

/// A complaint, and tests as `crate/module name`.
const HELD: &[(&str, &[&str])] = &[
    (
        "rows that are committed while a sync begins, or long after they were stamped, are missed (A80152, A9668, A10782, A21500, D2269)",
        &[
            "pintail-sync/late_commit late_commit_is_picked_up_by_the_next_delta_run",
            "pintail-sync/late_commit a_commit_between_the_bound_and_the_snapshot_is_not_lost",
            "pintail-sync/late_commit a_late_commit_is_picked_up_after_a_full_load_as_well",
            "pintail-sync/late_commit late_numbers_are_picked_up_by_the_next_delta_run",
            "pintail-sync/late_commit prepared_transactions_hold_the_watermark",
            "pintail-sync/delta/reach rows_that_were_stamped_late_are_read_by_the_lookback",
            "pintail-sync/oracle/mod histories_of_postgres_hold_in_a_lake_on_sqlite",
        ],
    ),
    (
        "rows of one stamp are cut in two by a state that is kept in the middle of a run (A15427)",
        &[
            "pintail-sync/complaints rows_of_one_stamp_stay_together_when_a_run_is_stopped_between_them",
            "pintail-sync/partition windows_are_cut_without_gaps",
        ],
    ),
    (
        "rows without a cursor vanish (D1935)",
        &["pintail-sync/delta/reach rows_without_a_cursor_follow_the_policy"],
    ),
    (
        "a cursor that changes its type or loses its zone goes on as if it had not (D3735)",
        &[
            "pintail-sync/delta/standing a_changed_type_of_the_cursor_leads_to_a_full_load_that_says_so",
            "pintail-sync/watermark the_hour_that_clocks_repeat_is_not_passed_over",
        ],
    ),
    (
        "a cursor is kept with fewer digits than it has, so that rows come again or never (S471, S307, S36)",
        &[
            "pintail-sync/complaints a_stamp_a_microsecond_beside_the_watermark_is_read_once",
            "pintail-connectors/sqlite/scan times_are_compared_as_times_whatever_their_form",
        ],
    ),
    (
        "a run that finds nothing fails, or sets the cursor back (A72936, S793)",
        &["pintail-sync/delta/mod a_run_that_finds_nothing_commits_nothing_and_moves_the_watermark"],
    ),
    (
        "transaction numbers that wrap around drop most rows, and the run succeeds (P747, A38836, E2651, E2620, E2592)",
        &[
            // Deltas follow a column of the table and never the number of a transaction; and what was read is counted.
            "pintail-sync/full rows_that_were_lost_on_the_way_keep_the_old_table",
            // What is stored of transaction numbers is not trusted where they may have wrapped around.
            "pintail-sync/hash/stored where_the_sums_may_hold_no_more_both_sides_are_read",
        ],
    ),
    (
        "deleted rows stay for ever and nobody says so (S333, A6383, A15241, A10140)",
        &[
            "pintail-sync/full full_load_replaces_the_table_in_one_snapshot",
            "pintail-sync/resume staged_partitions_are_thrown_away_when_rows_were_deleted",
            "pintail-sync/hash/found just_what_differs_comes_in_by_one_commit",
            "pintail-sync/hash/deletes a_pass_by_keys_takes_deleted_rows_away_and_leaves_the_watermark",
            "pintail-sync/joined a_plan_says_what_is_joined_and_what_a_delta_does_not_see",
        ],
    ),
    (
        "numbers of many digits become doubles or overflow (DB92, DB136, S636, S549, S86)",
        &[
            "pintail-sync/types/postgres values_of_every_type_go_to_a_lake_and_come_back_as_postgres_shows_them",
            "pintail-sync/postgres types_without_a_lossless_home_are_refused_by_name_before_anything_is_made",
            "pintail-sync/postgres not_a_number_is_refused_however_the_table_is_read",
            "pintail-connectors/postgres/scan a_number_without_precision_is_read_exactly_as_declared",
        ],
    ),
    (
        "unsigned integers of 64 bits become doubles in silence (DB246)",
        &["pintail-connectors/mysql/round_trip any_value_of_any_type_arrives_as_it_is"],
    ),
    (
        "arrays and infinite times end the program, or are left out (C108, C573, C574, K1662)",
        &[
            "pintail-sync/types/postgres values_of_every_type_go_to_a_lake_and_come_back_as_postgres_shows_them",
        ],
    ),
    (
        "a large JSON document takes all memory (E1755)",
        &[
            "pintail-sync/types/large values_of_a_hundred_megabytes_are_copied_with_a_larger_budget_and_refused_without",
        ],
    ),
    (
        "memory grows with the table (A21406, A11661, A16693, DB11697, DB8981, DB25920)",
        &["pintail/memory memory_does_not_grow_with_the_rows"],
    ),
    (
        "ranges of pages miss children, parts and what lies beyond 32 bits (DB319, DB60, E2878, E3473, E2890)",
        &[
            "pintail-connectors/postgres/scan pages_of_a_partitioned_table_cover_all_of_its_parts",
            "pintail-sync/cuts/postgres tables_of_all_kinds_are_cut_as_far_as_they_can_be",
        ],
    ),
    (
        "a snapshot or the state that is lost costs everything, or rows (P1750, A11661)",
        &[
            "pintail-sync/wire/reading a_load_whose_snapshot_is_lost_starts_again_and_says_so",
            "pintail-sync/wire/reading a_load_with_a_cursor_keeps_what_it_had_staged_when_its_snapshot_is_lost",
            "pintail-sync/delta/standing a_lost_state_costs_nothing_because_the_ledger_knows",
            "pintail-sync/resume a_full_load_goes_on_with_what_it_staged_and_catches_up",
        ],
    ),
    (
        "a scan in the order of the key fills the disk of the source (A25276)",
        &[
            // Their snapshots show statements without an order.
            "pintail-connectors/postgres/scan statements_are_plain_to_read",
            "pintail-connectors/mysql/scan statements_are_plain_to_read",
        ],
    ),
    (
        "writers to a lake are in conflict all the time (DL233, DL376, DL1283, DL851)",
        &[
            "pintail-lake/concurrency four_processes_commit_each_partition_once_on_postgres",
            "pintail-lake/concurrency four_processes_commit_each_partition_once_on_sqlite",
        ],
    ),
    (
        "rows of a lake are doubled in silence (DL906, DL1393, DL1394)",
        &[
            "pintail-lake/traps two_upserts_of_an_absent_key_both_commit",
            "pintail-lake/commit a_partition_is_committed_once_whatever_it_is_grouped_with",
            "pintail-sync/lost_answer random_losses_leave_both_sides_equal",
        ],
    ),
    (
        "counts of a lake are wrong after deletes, inserts and merges of the same keys (DL917, DL1074, DL1364, DL1406)",
        &[
            "pintail-lake/traps an_inlined_delete_beside_a_delete_file_is_miscounted",
            "pintail-lake/repeat repeated_changes_of_the_same_keys_stay_right_on_sqlite",
            "pintail-lake/repeat repeated_changes_of_the_same_keys_stay_right_on_postgres",
            "pintail-lake/maintenance the_same_keys_come_and_go_between_merges_and_clean_ups",
        ],
    ),
    (
        "an upsert writes rows anew that did not change (DL1388, DL462)",
        &["pintail-sync/delta/reach rows_that_were_stamped_late_are_read_by_the_lookback"],
    ),
    (
        "loads are made of many snapshots, until a lake takes minutes to open (DL1228, DL295)",
        &[
            "pintail-sync/full forced_partitions_are_read_at_once_and_committed_as_one",
            "pintail-lake/maintenance small_files_become_one_and_old_ones_go",
        ],
    ),
    (
        "keys that are texts, UUIDs in several spellings, and gaps of a billion cannot be cut (DD37, DD550, DD59, DD72)",
        &[
            "pintail-sync/cuts/mysql texts_of_any_collation_are_cut_by_their_bytes",
            "pintail-sync/cuts/sqlite uuids_in_several_spellings_are_cut",
            "pintail-sync/cuts/engine gaps_of_a_billion_make_no_giant",
            "pintail-sync/cuts/postgres a_value_that_holds_half_of_a_table_is_not_divided_and_gaps_make_no_partitions",
            "pintail-sync/hash/found keys_may_be_texts_several_columns_or_far_apart",
            "pintail-sync/hash/pushdown keys_may_be_texts_uuids_or_several_columns_and_tables_without_statistics",
        ],
    ),
    (
        "many differences make a comparison slower than reading both sides (DD96)",
        &[
            "pintail-sync/hash/found more_differences_than_a_sketch_tells_apart_are_found_by_a_join",
            "pintail-sync/hash/pushdown where_many_leaves_differ_all_rows_are_read",
        ],
    ),
];

#[test]
fn every_complaint_is_held_by_tests_that_exist() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a folder of crates");
    for (complaint, tests) in HELD {
        assert!(!tests.is_empty(), "{complaint}");
        for test in *tests {
            let (place, name) = test.split_once(' ').expect("a place and a name");
            let (package, module) = place.split_once('/').expect("a crate and a module");
            let file = crates.join(package).join("tests/it").join(format!("{module}.rs"));
            let text =
                std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(
                text.contains(&format!("fn {name}(")),
                "{test} does not exist: {complaint}"
            );
        }
    }
}

#[test]
fn rows_of_one_stamp_stay_together_when_a_run_is_stopped_between_them() {
    for stop_after in [1, 4, 9] {
        let mut shop = Shop::new(600);
        shop.run(None);
        // Sixty rows at each full second hour, which is where partitions meet.
        shop.change(
            "update orders set item = 'changed', updated_at = ('2024-01-15T16:00:00'::timestamp + to_hours(2 * (id % 10)::integer))::timestamptz",
        );
        shop.spec.strategies[1].primary_partitions = vec![PartitionSpec {
            column: "updated_at".to_owned(),
            step: Some(2),
            step_unit: StepUnit::Hour,
            data_type: None,
            bounded: false,
        }];
        shop.later(24 * 3600);
        stopped(&shop, None, stop_after, None);
        // Another row of a stamp of which the others are in.
        shop.change("insert into orders values (9000, 'new', 1, '2024-01-15T18:00:00Z'::timestamptz)");
        shop.later(10);
        let report = pintail_sync::run(&shop.request(None), &Unwatched, &StopSignal::new())
            .unwrap_or_else(|error| panic!("{error}: {error:?}"));
        assert_eq!((report.resumed, report.parity.status), (true, ParityStatus::Ok));
        let twice = "select count(*) - count(distinct id) from lake.main.orders";
        assert_eq!(shop.ask_one(twice), "0");
        shop.change("update orders set updated_at = '2024-01-16T14:00:05Z'::timestamptz where id = 9000");
        shop.later(10);
        shop.run(None);
        assert_eq!(shop.differences(), "0", "stopped after {stop_after}");
    }
}

#[test]
fn a_stamp_a_microsecond_beside_the_watermark_is_read_once() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.later(60);
    shop.change(
        "insert into orders values
             (200, 'below', 1, '2024-01-15T14:01:00.998999Z'::timestamptz),
             (201, 'at', 1, '2024-01-15T14:01:00.999000Z'::timestamptz),
             (202, 'above', 1, '2024-01-15T14:01:00.999001Z'::timestamptz)",
    );
    let report = shop.run(None);
    assert_eq!(
        (report.rows_inserted, report.watermark.as_deref()),
        (1, Some("2024-01-15 14:01:00.999000+00"))
    );
    shop.later(60);
    assert_eq!(shop.run(None).rows_inserted, 2);
    shop.later(60);
    assert_eq!(shop.run(None).rows_processed, 0);
    assert_eq!(shop.differences(), "0");
}
