//! One shop and one destination, from the first run to the last.

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pintail_lake::Access;
use pintail_testkit::Process;
use serde_json::Value;

use super::moment::{Hits, Moment};
use super::orders::Orders;
use super::shop::{STEP, Shop};
use super::target::{Kind, Target};
use super::witness::Witness;

/// Longer than any run of these tests takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

const PIPELINE: &str = "\
name: orders
source_provider:
  data_backend: {type: SYSTEM, datastore_name: shop, table: orders}
destination_provider:
  data_backend: {type: TARGET, datastore_name: copy, table: orders}
strategies:
  - {name: changes, type: delta, column: version, primary_partitions: [{column: version, step: STEP}]}
  - {name: everything, type: full}
";

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Full,
    /// In so many partitions, whatever the plan would choose.
    Forced,
    /// A full load, as long as there is nothing to go on from.
    Delta,
}

impl Run {
    fn arguments(self) -> Vec<&'static str> {
        let chosen: &[_] = match self {
            Self::Full => &["--strategy", "everything"],
            Self::Forced => &["--strategy", "everything", "--partitions", "6"],
            Self::Delta => &["--strategy", "changes"],
        };
        [&["run", "--config", "pipeline.yaml", "--json"], chosen].concat()
    }
}

pub(crate) struct Scene {
    shop: Shop,
    target: Target,
    random: Rng,
    /// What a reader of the destination saw last.
    seen: Orders,
    /// How long the last run took that nobody disturbed.
    usual: Duration,
    /// Versions at which the source ended when a run was killed: the last partition of its plan may end there.
    ends: Vec<i64>,
    /// The source lost rows, of which only a full load knows.
    deleted: bool,
    pub(crate) hits: Hits,
    /// Runs that went on where another one was killed.
    pub(crate) resumed: u64,
}

impl Scene {
    pub(crate) fn open(shop: Shop, kind: Kind, random: Rng, hits: Hits) -> Self {
        let project = shop.project();
        let target = Target::new(kind, project);
        let pipeline = PIPELINE
            .replace("SYSTEM", shop.system())
            .replace("TARGET", target.system());
        project.write("pipeline.yaml", &pipeline.replace("STEP", &STEP.to_string()));
        project.write(
            "datastores.yaml",
            &format!(
                "datastores:\n  shop: {}\n  copy: {}\n",
                shop.datastore(),
                target.datastore()
            ),
        );
        Self {
            shop,
            target,
            random,
            seen: Orders::default(),
            usual: Duration::from_secs(1),
            ends: Vec::new(),
            deleted: false,
            hits,
            resumed: 0,
        }
    }

    /// Kills runs until there were `kills`. The first of them die before there is a destination.
    pub(crate) fn play(&mut self, kills: u64) {
        while self.hits.all() < kills {
            self.change();
            self.round(kills);
            let context = format!("after {} kills", self.hits.all());
            let witness = self.witness(Access::ReadOnly).expect("a destination");
            self.seen = witness.orders();
            self.seen.assert_same(&self.shop.orders(), &context);
            witness.assert_once(&context);
            witness.assert_nothing_left(&context);
        }
        // Whatever waits for the next commit goes with it.
        self.finish(Run::Full);
        let witness = self.witness(Access::ReadWrite).expect("a destination");
        witness.assert_swept("at the end");
        witness.assert_once("at the end");
        witness.orders().assert_same(&self.shop.orders(), "at the end");
        let left = processes_in(&self.shop.project().path(""));
        assert_eq!(left, Vec::<String>::new(), "processes that are left");
    }

    /// Kills some runs, and then lets runs end until everything is in.
    fn round(&mut self, kills: u64) {
        let mut run = self.choose();
        for _ in 0..self.random.usize(1..=4) {
            if self.hits.all() < kills {
                self.kill(run);
            }
            if self.random.u8(..3) == 0 {
                self.change();
            }
            if self.random.u8(..4) == 0 {
                run = self.choose();
            }
        }
        self.finish(run);
        if self.deleted {
            self.finish(Run::Full);
            self.deleted = false;
        }
        // What an unfinished run left for the next one may reach less far than what changed meanwhile.
        self.finish(Run::Delta);
    }

    fn choose(&mut self) -> Run {
        let runs = [Run::Full, Run::Forced, Run::Delta, Run::Delta];
        runs[self.random.usize(..runs.len())]
    }

    fn change(&mut self) {
        self.shop.change(&mut self.random);
        if self.random.u8(..6) == 0 {
            self.shop.delete(&mut self.random);
            self.deleted = true;
        }
    }

    /// Starts a run and kills it at a random moment, unless it ends before. Whatever it left in the destination is whole.
    fn kill(&mut self, run: Run) {
        let before = self.seen.clone();
        let mut sources = vec![self.shop.orders()];
        let moment = Moment::choose(&mut self.random, self.hits, self.usual);
        let mut command = self.shop.project().command(&run.arguments());
        let mut process = Process::spawn(command.env("PINTAIL_LOG_LEVEL", "debug"));
        if self.random.u8(..5) == 0 {
            self.shop.change(&mut self.random);
            sources.push(self.shop.orders());
        }
        self.ends.extend(sources.iter().map(Orders::end));
        let alive = moment.wait(&mut process);
        let end = process.kill();
        // All that it said is here once nothing more can come.
        process.wait_for_output("\0", LIMIT);
        let said = process.stderr();
        if alive && !end.success() {
            self.hits.add(moment.stage, &said);
        } else {
            assert!(end.success(), "{}", said);
        }

        let context = format!("after {} kills, {run:?}, {moment:?}\n{said}", self.hits.all());
        self.look(run, &before, &sources, &context);
        // A server may work on for a moment, and take a commit that was sent.
        if self.target.settles() {
            self.look(run, &before, &sources, &context);
        }
    }

    /// Looks at the destination. Fails unless it is one that a killed run may leave.
    #[track_caller]
    fn look(&mut self, run: Run, before: &Orders, sources: &[Orders], context: &str) {
        let witness = self.witness(Access::ReadOnly);
        self.seen = witness.map(|witness| witness.orders()).unwrap_or_default();
        if run != Run::Delta || before.len() == 0 {
            self.seen.assert_whole(before, sources, context);
            return;
        }
        self.seen.assert_between(before, sources, context);
        // Whether a run saw a change that came while it planned is left open.
        if let [source] = sources {
            let ends = |version| version % STEP == 0 || self.ends.contains(&version);
            self.seen.assert_in_order(before, source, ends, context);
        }
    }

    /// Runs until the end, which has to be a good one.
    #[track_caller]
    fn finish(&mut self, run: Run) {
        let began = Instant::now();
        let seen = self.shop.project().succeed(&run.arguments());
        let report: Value = seen.json();
        assert_eq!(report["status"], "completed", "{seen}");
        assert_eq!(report["errors"], 0, "{seen}");
        assert_ne!(report["parity"]["status"], "mismatch", "{seen}");
        if report["rows_processed"] != 0 {
            self.usual = began.elapsed();
        }
        self.resumed += u64::from(report["resumed"] == true);
    }

    fn witness(&self, access: Access) -> Option<Box<dyn Witness>> {
        self.target.witness(access)
    }
}

/// Processes that work in a folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let here = |process: &std::fs::DirEntry| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|place| place.starts_with(folder))
    };
    processes
        .filter(here)
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}
