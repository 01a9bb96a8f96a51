//! When a run is killed: soon after something that it said, and what it was doing when it died.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use pintail_testkit::Process;

use super::scene::LIMIT;

/// What a run was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It started, looked at both sides and planned.
    Planning,
    /// It read the source into files.
    Staging,
    /// It worked on a commit.
    Committing,
    /// A commit was in, and the run wrote that down, compared, swept or ended.
    Recording,
}

const STAGES: [Stage; 4] = [
    Stage::Planning,
    Stage::Staging,
    Stage::Committing,
    Stage::Recording,
];

/// What stands on stderr when a stage begins, at the level `debug`.
const SIGNS: [(&str, Stage); 5] = [
    ("phase began phase=Planning", Stage::Planning),
    ("phase began phase=Reading", Stage::Staging),
    ("phase began phase=Committing", Stage::Committing),
    (" INFO committed ", Stage::Recording),
    (" INFO sync ended ", Stage::Recording),
];

impl Stage {
    fn sign(self) -> &'static str {
        let (sign, _) = SIGNS
            .iter()
            .find(|(_, stage)| *stage == self)
            .expect("every stage has a sign");
        sign
    }

    /// The stage in which whoever said this was.
    fn of(stderr: &str) -> Self {
        let stage = |line: &str| {
            SIGNS
                .iter()
                .find(|(sign, _)| line.contains(sign))
                .map(|(_, stage)| *stage)
        };
        stderr.lines().rev().find_map(stage).unwrap_or(Self::Planning)
    }
}

/// A moment of a run: so long after a stage began, or after partitions were done and it begins again.
#[derive(Debug)]
pub(crate) struct Moment {
    /// The stage that is aimed at.
    pub(crate) stage: Stage,
    partition: Option<u8>,
    delay: Duration,
}

impl Moment {
    /// A moment in the stage that was hit least. `usual` is how long an undisturbed run takes.
    ///
    /// Whoever aims at a stage and hits another one aims at it again, and earlier: in the end as soon as it begins. So
    /// each stage gets its share of the kills, unless it never begins or is over at once. A run with partitions may die
    /// after so many of them instead.
    pub(crate) fn choose(random: &mut Rng, hits: Hits, usual: Duration, has_partitions: bool) -> Self {
        let least = STAGES.into_iter().map(|stage| hits.of(stage)).min();
        let stages: Vec<Stage> = STAGES
            .into_iter()
            .filter(|stage| Some(hits.of(*stage)) == least)
            .collect();
        let stage = stages[random.usize(..stages.len())];
        // Where nothing takes long, most of the moments are early.
        let share = match stage {
            Stage::Planning => 0.4,
            Stage::Staging | Stage::Committing => 0.15,
            Stage::Recording => 0.05,
        };
        let delay = usual.mul_f64(share * random.f64() * random.f64());
        let again = hits.missed > 0;
        let counts = has_partitions && stage != Stage::Planning && !again;
        let partition = (counts && random.bool()).then(|| random.u8(1..6));
        Self {
            stage,
            partition,
            delay: delay / (1 << (3 * hits.missed).min(30)),
        }
    }

    /// Waits for the moment. False if the run ended before.
    pub(crate) fn wait(&self, run: &mut Process) -> bool {
        let begun = match (self.stage, self.partition) {
            // It says nothing before it plans, and may be killed before that.
            (Stage::Planning, _) => true,
            (_, Some(partition)) => run.wait_for_output(&format!(": partition {partition} of"), LIMIT),
            (stage, None) => run.wait_for_output(stage.sign(), LIMIT),
        };
        begun && run.wait(self.delay).is_none()
    }
}

/// How many kills hit which stage.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hits {
    of: [u64; STAGES.len()],
    /// How many of the last ones hit another stage than the one that was aimed at.
    missed: u32,
}

impl Hits {
    pub(crate) fn all(self) -> u64 {
        self.of.iter().sum()
    }

    pub(crate) fn of(self, stage: Stage) -> u64 {
        self.of[stage as usize]
    }

    /// Counts the kill of a run that said this.
    pub(crate) fn add(&mut self, aimed: Stage, stderr: &str) {
        let hit = Stage::of(stderr);
        self.of[hit as usize] += 1;
        self.missed = if hit == aimed { 0 } else { self.missed + 1 };
    }

    /// Fails unless each stage has a tenth of the kills, in whole numbers.
    #[track_caller]
    pub(crate) fn assert_spread(self) {
        let missed = STAGES.into_iter().find(|stage| self.of(*stage) < self.all() / 10);
        assert_eq!(missed, None, "the kills are not spread: {self}");
    }
}

impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [planning, staging, committing, recording] = self.of;
        write!(
            f,
            "{planning} before reading, {staging} while staging, {committing} while committing, {recording} after a commit"
        )
    }
}
