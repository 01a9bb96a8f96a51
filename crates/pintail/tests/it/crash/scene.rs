//! One shop and one destination, from the first run to the last.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pintail_lake::Access;
use pintail_testkit::Process;
use serde_json::Value;

use super::moment::{Hits, Moment};
use super::orders::Orders;
use super::run::{Mix, Run};
use super::shop::{STEP, Shop};
use super::target::{Kind, Target};
use super::witness::{LakeWitness, Witness};

/// Longer than any run of these tests takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Where a run began that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Began {
    Anew,
    /// Where another one was killed.
    Before,
}

pub(crate) struct Scene {
    mix: Mix,
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
    /// Deltas of groups that could tell which groups changed, after all that was killed before.
    pub(crate) followed: u64,
}

impl Scene {
    pub(crate) fn open(shop: Shop, kind: Kind, mix: Mix, random: Rng, hits: Hits) -> Self {
        let project = shop.project();
        let target = Target::new(kind, project);
        project.write("pipeline.yaml", &mix.pipeline(&shop, &target));
        project.write(
            "datastores.yaml",
            &format!(
                "datastores:\n  shop: {}\n  copy: {}\n",
                shop.datastore(),
                target.datastore()
            ),
        );
        Self {
            mix,
            shop,
            target,
            random,
            seen: Orders::default(),
            usual: Duration::from_secs(1),
            ends: Vec::new(),
            deleted: false,
            hits,
            resumed: 0,
            followed: 0,
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
            self.seen.assert_same(&self.wanted(), &context);
            witness.assert_once(&context);
            witness.assert_nothing_left(&context);
        }
        // Whatever waits for the next commit goes with it.
        self.finish(Run::Full);
        let witness = self.witness(Access::ReadWrite).expect("a destination");
        witness.assert_swept("at the end");
        witness.assert_once("at the end");
        witness.orders().assert_same(&self.wanted(), "at the end");
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
        // What was chosen when there was nothing may have come to be, and the other way round.
        if run == Run::Deletes && self.seen.len() == 0 {
            run = Run::Delta;
        }
        self.finish(run);
        if self.deleted {
            self.finish(self.mix.without_deleted());
        }
        // What an unfinished run left for the next one may reach less far than what changed meanwhile.
        while self.finish(Run::Delta) == Began::Before {}
    }

    fn choose(&mut self) -> Run {
        self.mix.choose(&mut self.random, self.seen.len() > 0)
    }

    pub(crate) fn change(&mut self) {
        self.update();
        if self.random.u8(..6) == 0 {
            self.shop.delete(&mut self.random);
            self.deleted = true;
        }
    }

    /// A change without deletes.
    pub(crate) fn update(&mut self) {
        self.shop.change(&mut self.random);
    }

    /// What the destination has to be when everything is in.
    pub(crate) fn wanted(&self) -> Orders {
        match self.mix {
            Mix::Loads | Mix::Comparisons => self.shop.orders(),
            Mix::Groups => self.shop.groups(),
        }
    }

    /// Starts a run and kills it at a random moment, unless it ends before. Whatever it left in the destination is whole.
    fn kill(&mut self, run: Run) {
        let before = self.seen.clone();
        let mut sources = vec![self.wanted()];
        let mut ends = vec![self.shop.orders().end()];
        let partitions = run.has_partitions(self.mix);
        let moment = Moment::choose(&mut self.random, self.hits, self.usual, partitions);
        let mut command = self.command(&run.arguments());
        let mut process = Process::spawn(command.env("PINTAIL_LOG_LEVEL", "debug"));
        if self.random.u8(..5) == 0 {
            self.shop.change(&mut self.random);
            sources.push(self.wanted());
            ends.push(self.shop.orders().end());
        }
        self.ends.append(&mut ends);
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
        self.see();
        match (self.mix, run) {
            (Mix::Loads | Mix::Comparisons, Run::Delta) if before.len() > 0 => {
                self.seen.assert_between(before, sources, context);
                // Whether a run saw a change that came while it planned is left open.
                if let [source] = sources {
                    let ends = |version| version % STEP == 0 || self.ends.contains(&version);
                    self.seen.assert_in_order(before, source, ends, context);
                }
            }
            // Groups that lost a row, and of which no other row changed, are as they were.
            (Mix::Groups, Run::Delta) if self.deleted => self.seen.assert_each(before, sources, context),
            (Mix::Comparisons, Run::Deletes) => self.seen.assert_without_deleted(before, sources, context),
            _ => self.seen.assert_whole(before, sources, context),
        }
    }

    /// Notes what the destination holds.
    #[track_caller]
    fn see(&mut self) {
        let witness = self.witness(Access::ReadOnly);
        self.seen = witness.map(|witness| witness.orders()).unwrap_or_default();
    }

    /// Runs until the end, which has to be a good one.
    #[track_caller]
    pub(crate) fn finish(&mut self, run: Run) -> Began {
        let began = Instant::now();
        let report = self.succeed(&run.arguments());
        assert_eq!(report["status"], "completed", "{report}");
        assert_eq!(report["errors"], 0, "{report}");
        assert_ne!(report["parity"]["status"], "mismatch", "{report}");
        if report["rows_processed"] != 0 {
            self.usual = began.elapsed();
        }
        let began_before = report["resumed"] == true;
        self.resumed += u64::from(began_before);
        self.followed += u64::from(report["kind"] == "groups");
        if self.mix != Mix::Loads {
            let before = std::mem::take(&mut self.seen);
            self.see();
            self.check_report(run, &before, &report);
        }
        self.deleted &= run == Run::Delta;
        match began_before {
            true => Began::Before,
            false => Began::Anew,
        }
    }

    /// Fails unless a run left what it has to leave, and said how many rows that took.
    #[track_caller]
    fn check_report(&self, run: Run, before: &Orders, report: &Value) {
        let wanted = self.wanted();
        let left = match (self.mix, run) {
            (Mix::Comparisons, Run::Deletes) => before.only_those_of(&wanted),
            // One that began before reads no further than it would have then.
            (_, Run::Delta) if self.deleted || report["resumed"] == true => self.seen.clone(),
            _ => wanted,
        };
        self.seen.assert_same(&left, &format!("{run:?}: {report}"));
        if ["hash", "deletes", "groups"]
            .iter()
            .any(|kind| report["kind"] == *kind)
        {
            let said = ["inserted", "updated", "deleted"].map(|what| &report[format!("rows_{what}")]);
            let did = before.steps_to(&self.seen);
            assert_eq!(said.map(Value::as_u64), did.map(Some), "{run:?}: {report}");
        }
    }

    /// The binary in the folder of the pipeline.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.shop.project().command(arguments)
    }

    /// Runs a command that prints JSON and has to succeed.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Value {
        self.shop.project().succeed(arguments).json()
    }

    /// Whether rows were deleted that only a full load takes away.
    pub(crate) fn lacks_deletes(&self) -> bool {
        self.deleted
    }

    /// Waits until no server works for a killed process any more.
    pub(crate) fn settle(&self) {
        self.target.settles();
    }

    /// The lake, which is there.
    #[track_caller]
    pub(crate) fn lake(&self, access: Access) -> LakeWitness {
        self.target.lake(access).expect("a lake")
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
