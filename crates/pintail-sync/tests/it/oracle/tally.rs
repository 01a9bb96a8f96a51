//! What histories had in them: a test that never met a late commit proves nothing about late commits.

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) runs: u64,
    pub(super) deltas: u64,
    pub(super) resumed: u64,
    pub(super) stopped: u64,
    pub(super) partitions: u64,
    pub(super) rows: u64,
    pub(super) late_commits: u64,
    /// Comparisons and passes for deleted rows.
    pub(super) compared: u64,
    pub(super) kept: u64,
    /// Rows that only a lookback brought in.
    pub(super) looked_back: u64,
}

/// So many cases have everything that histories have in turns, whatever the seed: no more than the default gives each test.
const SOME: u64 = 6;

/// So many cases have a late commit and a run with several partitions, whatever the source is.
const MORE: u64 = 30;

/// So many cases stop some run and go on with it, whatever the seed.
const MANY: u64 = 500;

impl Tally {
    /// Whether everything took place that so many cases cannot do without. One case in twenty-five or so goes on
    /// with what a stopped run had staged, so that only many cases have to: `resume.rs` tests it case by case.
    pub(super) fn covers(&self, cases: u64) -> bool {
        let frequent = self.late_commits > 0 && self.partitions > self.runs;
        self.covers_turns(cases)
            && (cases < MORE || frequent)
            && (cases < MANY || self.stopped > 0 && self.resumed > 0)
    }

    /// The same for runs that have one partition and begin again.
    pub(super) fn covers_groups(&self, cases: u64) -> bool {
        self.covers_turns(cases) && (cases < MORE || self.late_commits > 0)
    }

    /// The same for rows without a key, which no delta follows.
    pub(super) fn covers_bags(&self, cases: u64) -> bool {
        cases < SOME || self.compared > 0
    }

    fn covers_turns(&self, cases: u64) -> bool {
        cases < SOME || self.deltas > 0 && self.compared > 0
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.deltas += other.deltas;
        self.resumed += other.resumed;
        self.stopped += other.stopped;
        self.partitions += other.partitions;
        self.rows += other.rows;
        self.late_commits += other.late_commits;
        self.compared += other.compared;
        self.kept += other.kept;
        self.looked_back += other.looked_back;
    }
}
