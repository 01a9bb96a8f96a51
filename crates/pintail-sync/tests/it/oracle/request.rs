//! The runs of a case, as they are asked for.

use pintail_lake::EngineSettings;
use pintail_sync::log::Level;
use pintail_sync::plan::Task;
use pintail_sync::spec::{
    ColumnSource, ColumnSpec, Compare, DeclaredType, DeletePolicy, DeltaSpec, FullSpec, HashSpec,
    PartitionSpec, PipelineSpec, Role, StrategyKind, StrategySpec, SyncType,
};
use pintail_sync::{DataFolders, SyncRequest};

use super::course::Scene;
use super::history::{RunStep, Setting};
use super::source::Source;
use crate::shop::backend;

/// The column of rows that are gone and stay.
pub(super) const MARK: &str = "deleted_at";

/// A run of a case.
pub(super) struct Asked<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) setting: &'a Setting,
    pub(super) source: &'a dyn Source,
    pub(super) step: &'a RunStep,
    /// The number of the run in its case.
    pub(super) number: u32,
    /// Whether the destination has the table.
    pub(super) there: bool,
}

impl Asked<'_> {
    /// A run that copies orders.
    pub(super) fn orders(&self) -> SyncRequest {
        let compares = self.source.traits().compares;
        let mut spec = self.spec(compares[self.number as usize % compares.len()]);
        if !self.source.has_key() {
            spec.columns = keyed_columns();
        }
        if self.setting.soft {
            spec.deletes.policy = DeletePolicy::Soft {
                column: MARK.to_owned(),
            };
        }
        self.request(spec)
    }

    /// A run that copies rows without a key: see [`super::model::bag`].
    pub(super) fn copies(&self) -> SyncRequest {
        let mut spec = self.spec(Compare::Auto);
        // Without a key, nothing can be followed.
        spec.strategies
            .retain(|strategy| !matches!(strategy.kind, StrategyKind::Delta(_)));
        let named = |name: &str| column(ColumnSource::Column(name.to_owned()), name, None);
        spec.columns = ["value", "ratio"].map(named).into();
        let mut request = self.request(spec);
        request.task = Task::Sync;
        request.strategy = Some(
            self.step
                .strategy
                .filter(|name| *name == "full")
                .unwrap_or("hash")
                .to_owned(),
        );
        request
    }

    /// A run that copies groups of orders: see [`super::model::groups`].
    pub(super) fn groups(&self) -> SyncRequest {
        let mut spec = self.spec(Compare::Auto);
        spec.sync_type = SyncType::Aggregate;
        spec.source.group_by = vec!["value".to_owned()];
        spec.columns = group_columns();
        self.request(spec)
    }

    fn spec(&self, compare: Compare) -> PipelineSpec {
        let mut source = backend("source", self.scene.name);
        source.table = self.source.table();
        PipelineSpec {
            name: self.scene.name.to_owned(),
            source,
            destination: backend("ducklake", self.scene.name),
            strategies: vec![
                StrategySpec::new("everything", StrategyKind::Full(FullSpec::default())),
                self.changes(),
                StrategySpec {
                    // What runs without a name is a delta, or a full load.
                    enabled: false,
                    ..StrategySpec::new("hash", StrategyKind::Hash(HashSpec { compare }))
                },
            ],
            max_concurrent_partitions: self.setting.concurrency,
            ..crate::shop::spec(DeltaSpec::default())
        }
    }

    fn changes(&self) -> StrategySpec {
        let Setting {
            nulls,
            lookback_seconds,
            lag_seconds,
            step,
            ..
        } = self.setting;
        let seconds = |seconds: u32| std::time::Duration::from_secs(seconds.into());
        let delta = DeltaSpec {
            column: Some("updated_at".to_owned()),
            null_cursor: nulls.unwrap_or_default(),
            lookback: seconds(*lookback_seconds),
            lag: Some(seconds(*lag_seconds)),
            time_zone: match self.source.traits().own_clock {
                true => None,
                false => Some("Europe/Berlin".to_owned()),
            },
            ..DeltaSpec::default()
        };
        let mut changes = StrategySpec::new("changes", StrategyKind::Delta(delta));
        changes
            .primary_partitions
            .extend(step.map(|(step, step_unit)| PartitionSpec {
                column: "updated_at".to_owned(),
                step: Some(step),
                step_unit,
                data_type: None,
                bounded: false,
            }));
        changes
    }

    fn request(&self, spec: PipelineSpec) -> SyncRequest {
        SyncRequest {
            spec,
            source: self.source.connector(),
            destination: self.scene.target.place(),
            data: DataFolders::below(self.scene.target.data_dir()),
            strategy: self.step.strategy.map(str::to_owned),
            partitions: self.step.partitions,
            parity: !self.step.without_parity,
            allow_deletes: true,
            task: match self.step.deletes && self.there {
                true => Task::Deletes,
                false => Task::Sync,
            },
            engine: EngineSettings {
                threads: 2,
                ..EngineSettings::default()
            },
            log_level: Level::Error,
            clock: self.source.clock(),
            random: self.number,
        }
    }
}

/// All columns, with the key that the source does not name.
fn keyed_columns() -> Vec<ColumnSpec> {
    let column = |name: &str| ColumnSpec {
        roles: (name == "id").then_some(Role::UniqueColumn).into_iter().collect(),
        ..column(ColumnSource::Column(name.to_owned()), name, None)
    };
    ["id", "value", "note", "price", "updated_at", "ratio"]
        .map(column)
        .into()
}

fn group_columns() -> Vec<ColumnSpec> {
    let computed = |sql: &str, dest: &str, data_type| {
        column(ColumnSource::Expression(sql.to_owned()), dest, Some(data_type))
    };
    vec![
        column(
            ColumnSource::Column("value".to_owned()),
            "value",
            Some(DeclaredType::BigInt),
        ),
        computed("count(1)", "orders", DeclaredType::BigInt),
        computed("count(note)", "notes", DeclaredType::BigInt),
        computed("sum(id)", "ids", DeclaredType::Decimal(None)),
        computed("max(price)", "top", DeclaredType::Decimal(None)),
        computed("max(ratio)", "high", DeclaredType::Double),
    ]
}

fn column(source: ColumnSource, dest: &str, data_type: Option<DeclaredType>) -> ColumnSpec {
    ColumnSpec {
        source,
        dest: dest.to_owned(),
        roles: [].into(),
        data_type,
        length: None,
        nullable: None,
        hash_column: true,
    }
}
