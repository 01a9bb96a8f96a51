//! Histories: what happens to a table and who looks at it meanwhile, made from a seed.

use fastrand::Rng;
use pintail_model::CursorType;
use pintail_sync::Phase;
use pintail_sync::spec::{Compare, NullCursor, StepUnit};

use super::model::Ratio;

/// Transactions that may be open at once.
pub(super) const SLOTS: usize = 2;

/// What a source lets a history do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// Time is told to it, and does not pass by itself.
    pub(super) own_clock: bool,
    /// It can be changed while a run reads it.
    pub(super) changes_during_runs: bool,
    pub(super) cursors: &'static [CursorType],
    /// The ways in which it is compared, one after the other.
    pub(super) compares: &'static [Compare],
    /// Floats may be no number, or have no end.
    pub(super) any_float: bool,
}

/// What stays the same for a whole history.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) cursor: CursorType,
    /// `None`: the cursor is NOT NULL.
    pub(super) nulls: Option<NullCursor>,
    /// Width of a delta's partitions.
    pub(super) step: Option<(u64, StepUnit)>,
    pub(super) lag_seconds: u32,
    /// Whether times are stored in whole seconds.
    pub(super) whole_seconds: bool,
    /// How far a delta reads again; never 0 where stamps are rounded.
    pub(super) lookback_seconds: u32,
    pub(super) concurrency: Option<u32>,
    /// Whether rows that are gone from the source stay, and say so.
    pub(super) soft: bool,
    /// Ids are below it: the fewer there are, the more often they are used again.
    pub(super) ids: i64,
    pub(super) end: End,
}

/// How the sides are brought together in the end, after all that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By a delta.
    Delta,
    /// By a delta, then a pass for deleted rows, then a comparison.
    Passes,
    /// By a full load.
    Full,
}

#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) setting: Setting,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Event(Event),
    /// The clock moves on, where it does not by itself.
    Wait {
        seconds: u32,
    },
    Run(RunStep),
}

/// Something that happens in the source.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A transaction that begins and commits at once.
    Write(Vec<Change>),
    Begin {
        slot: usize,
    },
    WriteOpen {
        slot: usize,
        changes: Vec<Change>,
    },
    End {
        slot: usize,
        commits: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) id: i64,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// Inserts the row, or updates it.
    Put {
        value: i64,
        note: Option<Note>,
        cents: i64,
        ratio: Option<Ratio>,
        stamp: Stamp,
    },
    Delete,
}

/// A word, so many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note(&'static str, usize);

impl Note {
    pub(super) fn text(self) -> String {
        self.0.repeat(self.1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// When the transaction began, or the next number.
    Begin,
    /// This moment, or the next number.
    Moment,
    Null,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RunStep {
    pub(super) strategy: Option<&'static str>,
    /// Only looks for deleted rows.
    pub(super) deletes: bool,
    pub(super) partitions: Option<u32>,
    pub(super) without_parity: bool,
    /// Between the plan, which has the bound, and the snapshot that is read.
    pub(super) before_snapshot: Vec<Event>,
    /// While the run reads.
    pub(super) after_snapshot: Vec<Event>,
    pub(super) stop: Option<StopAt>,
}

/// When somebody asks a run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopAt {
    Phase(Phase),
    Partition(usize),
}

/// Floats that every database has.
pub(super) const PLAIN_FLOATS: &[f64] = &[0.5, -2.25, 0.0, 1e300];
/// Those of databases that have all of them. Of NaN, a comparison by values would say that it differs from itself.
pub(super) const ANY_FLOATS: &[f64] = &[
    0.5,
    -2.25,
    0.0,
    1e300,
    f64::NAN,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// Makes the history of a seed, with some of `floats` in it.
pub(super) fn generate(seed: u64, traits: Traits, floats: &'static [f64]) -> History {
    let mut random = Rng::with_seed(seed);
    let setting = setting(&mut random, traits);
    let mut maker = Maker {
        random,
        traits,
        floats,
        setting,
        open: [false; SLOTS],
    };
    let mut steps = vec![Step::Event(Event::Write(maker.changes(60)))];
    // Most of what a run costs is the loading of its engine's extensions, so histories are short and many.
    for round in 0..1 + maker.random.usize(0..3).max(maker.random.usize(0..2)) {
        for _ in 0..maker.random.usize(1..=5) {
            steps.push(maker.step());
        }
        steps.push(Step::Run(maker.run(round == 0)));
    }
    steps.extend(maker.always(seed));
    for _ in 0..maker.random.usize(0..=4) {
        steps.push(maker.step());
    }
    History {
        setting: maker.setting,
        steps,
    }
}

fn setting(random: &mut Rng, traits: Traits) -> Setting {
    const NULLS: &[Option<NullCursor>] = &[
        None,
        None,
        None,
        Some(NullCursor::Include),
        Some(NullCursor::Include),
        Some(NullCursor::Skip),
        Some(NullCursor::Fail),
    ];
    const STEPS: &[Option<(u64, StepUnit)>] = &[
        None,
        Some((1, StepUnit::Second)),
        Some((90, StepUnit::Second)),
        Some((1, StepUnit::Hour)),
        Some((7, StepUnit::Day)),
    ];
    let pick = |random: &mut Rng, from: usize| random.usize(..from);
    let cursor = traits.cursors[pick(random, traits.cursors.len())];
    let whole_seconds =
        matches!(cursor, CursorType::Timestamp | CursorType::TimestampTz) && random.u8(..3) == 0;
    let lookbacks: &[u32] = if whole_seconds { &[2, 5] } else { &[0, 2, 5] };
    Setting {
        cursor,
        whole_seconds,
        lookback_seconds: lookbacks[pick(random, lookbacks.len())],
        nulls: NULLS[pick(random, NULLS.len())],
        // A server's clock moves seconds in one history; a clock that is told to moves hours.
        step: STEPS[if traits.own_clock {
            pick(random, STEPS.len())
        } else {
            pick(random, 2)
        }],
        // Without a long lag, so that rounded stamps lie below a bound.
        lag_seconds: random.u32(0..if whole_seconds { 2 } else { 600 }),
        soft: random.u8(..3) == 0,
        concurrency: random.bool().then(|| random.u32(1..=3)),
        ids: if random.bool() {
            random.i64(3..12)
        } else {
            random.i64(20..120)
        },
        end: match random.u8(..4) {
            0 => End::Full,
            _ => End::Delta,
        },
    }
}

impl Setting {
    /// From where on a delta reads again if everything below `watermark` was read before.
    pub(super) fn again(&self, watermark: i64) -> i64 {
        let lookback = i64::from(self.lookback_seconds);
        match self.cursor {
            CursorType::Integer => watermark,
            CursorType::Date => watermark - lookback.min(1),
            CursorType::Timestamp | CursorType::TimestampTz => watermark - lookback * 1_000_000,
        }
    }
}

struct Maker {
    random: Rng,
    traits: Traits,
    floats: &'static [f64],
    setting: Setting,
    open: [bool; SLOTS],
}

impl Maker {
    fn step(&mut self) -> Step {
        if self.traits.own_clock && self.random.u8(..3) == 0 {
            let seconds = match self.random.u8(..4) {
                0 => 0,
                1 => self.random.u32(..60),
                2 => self.random.u32(..600),
                _ => self.random.u32(..100_000),
            };
            return Step::Wait { seconds };
        }
        Step::Event(self.event())
    }

    fn event(&mut self) -> Event {
        let slot = self.random.usize(..SLOTS);
        match (self.open[slot], self.random.u8(..10)) {
            (false, 0..4) => {
                self.open[slot] = true;
                Event::Begin { slot }
            }
            (true, 0..3) => {
                self.open[slot] = false;
                Event::End {
                    slot,
                    commits: self.random.u8(..5) > 0,
                }
            }
            (true, 3..8) => Event::WriteOpen {
                slot,
                changes: self.changes(6),
            },
            _ => Event::Write(self.changes(12)),
        }
    }

    /// What no share of the cases may be without, taken in turns: left to chance, a few cases would miss it now and then.
    fn always(&mut self, seed: u64) -> Vec<Step> {
        let run = RunStep::default();
        match seed / super::TESTS % 3 {
            // A transaction that a run finds open, and that commits afterwards.
            0 => {
                let slot = self.random.usize(..SLOTS);
                let begin = (!self.open[slot]).then_some(Event::Begin { slot });
                self.open[slot] = false;
                let changes = self.changes(6);
                let before = begin.into_iter().chain([Event::WriteOpen { slot, changes }]);
                let after = Event::End { slot, commits: true };
                let before = before.map(Step::Event);
                before.chain([Step::Run(run), Step::Event(after)]).collect()
            }
            // Passes and comparisons.
            1 => {
                self.setting.end = End::Passes;
                Vec::new()
            }
            _ => {
                let partitions = Some(4);
                let strategy = Some("full");
                let run = RunStep {
                    strategy,
                    partitions,
                    ..run
                };
                vec![Step::Run(run)]
            }
        }
    }

    /// Changes of different rows.
    fn changes(&mut self, most: usize) -> Vec<Change> {
        let mut ids: Vec<i64> = (0..self.random.usize(1..=most))
            .map(|_| self.random.i64(0..self.setting.ids))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .map(|id| Change {
                id,
                what: self.what(),
            })
            .collect()
    }

    fn what(&mut self) -> What {
        if self.random.u8(..8) == 0 {
            return What::Delete;
        }
        let random = &mut self.random;
        let stamp = match random.u8(..10) {
            0..2 if self.setting.nulls.is_some() => Stamp::Null,
            2..5 => Stamp::Moment,
            _ => Stamp::Begin,
        };
        const NOTES: &[&str] = &[
            "",
            "a",
            "it's",
            "ä€🦆",
            " padded ",
            "NULL",
            "line\nbreak",
            "\\x00",
        ];
        let note =
            (random.u8(..4) > 0).then(|| Note(NOTES[random.usize(..NOTES.len())], random.usize(1..40)));
        // Few values, so that rows are often written again as they are.
        let cents = if random.bool() {
            random.i64(-3..3)
        } else {
            random.i64(-999_999_999_999..=999_999_999_999)
        };
        let ratio = (random.u8(..4) > 0).then(|| Ratio::of(self.floats[random.usize(..self.floats.len())]));
        What::Put {
            value: random.i64(0..5),
            note,
            cents,
            ratio,
            stamp,
        }
    }

    fn run(&mut self, first: bool) -> RunStep {
        let deletes = !first && self.random.u8(..8) == 0;
        let strategy = match self.random.u8(..10) {
            _ if deletes => None,
            0 => Some("full"),
            1 => Some("delta"),
            2..4 => Some("hash"),
            _ => None,
        };
        let stop = (!first && self.random.u8(..3) == 0).then(|| match self.random.u8(..7) {
            0 => StopAt::Phase(Phase::Planning),
            1 => StopAt::Phase(Phase::Reading),
            2 => StopAt::Phase(Phase::Committing),
            3 => StopAt::Phase(Phase::Comparing),
            _ => StopAt::Partition(self.random.usize(1..4)),
        });
        let events = |maker: &mut Self| -> Vec<Event> {
            if !maker.traits.changes_during_runs || maker.random.u8(..3) > 0 {
                return Vec::new();
            }
            (0..maker.random.usize(1..=2)).map(|_| maker.event()).collect()
        };
        RunStep {
            strategy,
            deletes,
            before_snapshot: events(self),
            after_snapshot: events(self),
            partitions: (self.random.u8(..3) == 0).then(|| self.random.u32(2..6)),
            without_parity: self.random.u8(..6) == 0,
            stop,
        }
    }
}
