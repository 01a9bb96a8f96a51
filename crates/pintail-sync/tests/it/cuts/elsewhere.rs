//! Full loads of a table `orders` of any system, cut by its key or by columns that the pipeline names.

use std::collections::BTreeSet;
use std::path::Path;

use pintail_model::{KeyValue, Range};
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{ColumnSource, ColumnSpec, PartitionSpec, Role, StepUnit};
use pintail_sync::{PipelinePlan, StopSignal, SyncRequest, Unwatched};

use crate::journey::{Journey, LAKE};

/// Rows of the tables here, unless a test says otherwise.
pub(super) const ROWS: u64 = 20_000;

/// A table to load, with a lake for it.
pub(super) struct Load {
    journey: Journey,
    from: String,
    /// The columns that the pipeline names; the key decides where there are none.
    pub(super) by: &'static [&'static str],
    pub(super) partitions: u32,
    /// The columns that the pipeline calls the key.
    pub(super) unique: &'static [&'static str],
    /// How many rows have to arrive.
    pub(super) rows: u64,
}

/// How a table was cut.
pub(super) struct Cut {
    pub(super) plan: PipelinePlan,
    /// Rows of each partition.
    pub(super) sizes: Vec<u64>,
}

impl Load {
    /// A load from the address that `make` tells, which may put files into the folder.
    pub(super) fn new(make: impl FnOnce(&Path) -> String) -> Self {
        let journey = Journey::new();
        let from = make(&journey.path(""));
        Self {
            journey,
            from,
            by: &[],
            partitions: 8,
            unique: &[],
            rows: ROWS,
        }
    }

    fn request(&self) -> SyncRequest {
        let mut request = self.journey.request(&self.from, LAKE);
        let partition = |column: &&str| PartitionSpec {
            column: (*column).to_owned(),
            step: None,
            step_unit: StepUnit::Second,
            data_type: None,
            bounded: false,
        };
        request.spec.strategies[0].primary_partitions = self.by.iter().map(partition).collect();
        let key = |name: &&str| ColumnSpec {
            source: ColumnSource::Column((*name).to_owned()),
            dest: (*name).to_owned(),
            roles: BTreeSet::from([Role::UniqueColumn]),
            data_type: None,
            length: None,
            nullable: None,
            hash_column: true,
        };
        request.spec.columns = self.unique.iter().map(key).collect();
        request.strategy = Some("full".to_owned());
        request.partitions = Some(self.partitions);
        request
    }

    /// Loads the table, and makes sure that every row arrived once.
    #[track_caller]
    pub(super) fn check(&self) -> Cut {
        let plan = pintail_sync::plan(&self.request()).unwrap_or_else(|error| panic!("{error}: {error:?}"));
        let report = pintail_sync::run(&self.request(), &Unwatched, &StopSignal::new())
            .unwrap_or_else(|error| panic!("{error}: {error:?}"));
        assert_eq!(
            (report.rows_inserted, report.parity.status),
            (self.rows, ParityStatus::Ok),
            "{:?}",
            plan.partitions
                .iter()
                .map(|partition| &partition.range)
                .collect::<Vec<&Range>>()
        );
        let sizes = report.partition_times.iter().map(|time| time.rows).collect();
        Cut { plan, sizes }
    }

    /// Loads the table in so many parts, of which none holds much more than its share.
    #[track_caller]
    pub(super) fn check_even(&self) {
        let Cut { sizes, plan } = self.check();
        assert_eq!(
            sizes.len(),
            self.partitions as usize,
            "{sizes:?} {:?}",
            plan.notes
        );
        let share = self.rows / u64::from(self.partitions);
        assert!(
            sizes.iter().all(|rows| (share / 3..share * 3).contains(rows)),
            "{sizes:?}"
        );
        // Bounds of texts are values of rows, which no plan shows.
        let shown = format!("{plan}{}", serde_json::to_string(&plan).expect("a plan is JSON"));
        for partition in &plan.partitions {
            let Range::Keys { low: Some(low), .. } = &partition.range else {
                continue;
            };
            for value in low {
                if let KeyValue::Text(text) = value {
                    assert!(
                        text.len() < 8 || !shown.contains(text.as_str()),
                        "{text} is shown"
                    );
                }
            }
        }
    }

    /// Loads the table in as many parts as there are.
    #[track_caller]
    pub(super) fn check_parts(&self, parts: usize) {
        let Cut { sizes, plan } = self.check();
        assert_eq!(sizes.len(), parts, "{sizes:?} {:?}", plan.notes);
    }
}
