//! Faults at random: what a bad line does, as often as it is told to, and the same again for the same seed.

use super::Fault;

/// What a line may do to those who use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// The same seed does the same to the same bytes.
    pub seed: u64,
    /// So many bytes of the server pass before anything happens.
    pub calm_bytes: u64,
    /// Something happens about once in so many bytes that the server sends.
    pub bytes_between: u64,
    /// How many connections are cut at most.
    pub cuts: u32,
    /// Whether commits are cut off too: before they reach the server, right after, or before their answer reaches the
    /// client.
    pub commits: bool,
}

/// What a line has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Felt {
    /// Connections that were cut in the middle of an answer.
    pub cuts: u32,
    /// Commits that were cut off, or whose answer was.
    pub commits: u32,
    /// Answers that came late.
    pub stalls: u32,
    /// Answers that came byte by byte.
    pub trickles: u32,
}

/// What happens to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gust {
    /// So many bytes of it pass, and then both connections are cut.
    Cut(usize),
    /// It comes late.
    Stall,
    /// It comes byte by byte.
    Trickle,
}

/// Weather under way.
#[derive(Debug)]
pub(super) struct Storm {
    weather: Weather,
    random: fastrand::Rng,
    /// Bytes until something happens.
    left: u64,
    /// Bytes until anything may happen.
    calm: u64,
    pub(super) felt: Felt,
}

impl Storm {
    pub(super) fn new(weather: Weather) -> Self {
        let mut storm = Self {
            weather,
            random: fastrand::Rng::with_seed(weather.seed),
            left: 0,
            calm: weather.calm_bytes,
            felt: Felt::default(),
        };
        storm.left = storm.interval();
        storm
    }

    fn interval(&mut self) -> u64 {
        self.random.u64(1..=self.weather.bytes_between.max(1) * 2)
    }

    fn may_cut(&self) -> bool {
        self.felt.cuts + self.felt.commits < self.weather.cuts
    }

    /// What happens to an answer of `length` bytes.
    pub(super) fn at_answer(&mut self, length: usize) -> Option<Gust> {
        let bytes = length as u64;
        if self.calm > 0 {
            self.calm = self.calm.saturating_sub(bytes);
            return None;
        }
        if bytes < self.left {
            self.left -= bytes;
            return None;
        }
        let passes = usize::try_from(self.left).unwrap_or(length).min(length);
        self.left = self.interval();
        Some(match self.random.u8(..3) {
            0 if self.may_cut() => {
                self.felt.cuts += 1;
                Gust::Cut(passes)
            }
            1 => {
                self.felt.stalls += 1;
                Gust::Stall
            }
            _ => {
                self.felt.trickles += 1;
                Gust::Trickle
            }
        })
    }

    /// What happens to a commit.
    pub(super) fn at_commit(&mut self) -> Option<Fault> {
        if !self.weather.commits || self.calm > 0 || !self.may_cut() || self.random.u8(..3) > 0 {
            return None;
        }
        self.felt.commits += 1;
        Some(match self.random.u8(..3) {
            0 => Fault::SwallowCommitAnswer,
            1 => Fault::CutBeforeCommit,
            _ => Fault::CutAfterCommit,
        })
    }
}
