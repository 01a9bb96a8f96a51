//! What is tried again, and how patiently.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use pintail_config::Node;
use pintail_config::decode::{Decoder, duration, whole_number};

/// Longer waits are left to a scheduler.
const WAIT_MAX: Duration = Duration::from_hours(24);

/// `retries`: how often and how patiently a run tries again what failed because a connection broke or nobody answered.
/// What counts is one piece of work: a partition that came in ends the counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySpec {
    /// `attempts`: how often one piece of work is tried again. Default 5; 0 fails at once.
    pub attempts: u32,
    /// `initial_wait`: the wait before the first of them; each further one is twice as long, and up to as much again by
    /// chance, so that runs that failed together do not come back together. Default 500 ms: most connections that
    /// break can be made anew at once.
    pub initial_wait: Duration,
    /// `longest_wait`: no wait grows beyond it, but for chance. Default 30 s.
    pub longest_wait: Duration,
    /// `total`: all waits for one piece of work together stay below it. Default 5 minutes.
    pub total: Duration,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            attempts: 5,
            initial_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            total: Duration::from_mins(5),
        }
    }
}

impl RetrySpec {
    /// The waits for one piece of work. The same seed gives the same waits.
    pub fn waits(&self, seed: u64) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::new()
            .with_factor(2.0)
            .with_min_delay(self.initial_wait)
            .with_max_delay(self.longest_wait)
            .with_max_times(self.attempts as usize)
            .with_total_delay(Some(self.total))
            .with_jitter()
            .with_jitter_seed(seed)
            .build()
    }
}

pub(super) fn read(node: &Node, decoder: &mut Decoder) -> Option<RetrySpec> {
    let default = RetrySpec::default();
    let mut fields = decoder.fields(node)?;
    let wait = |node: &Node, decoder: &mut Decoder| {
        let wait = duration(node, decoder)?;
        if wait > WAIT_MAX {
            decoder.problem(node.position, "a wait may take 24 hours at most");
            return None;
        }
        Some(wait)
    };
    let spec = RetrySpec {
        attempts: fields.with_default("attempts", default.attempts, whole_number(0_u32..=1000)),
        initial_wait: fields.with_default("initial_wait", default.initial_wait, wait),
        longest_wait: fields.with_default("longest_wait", default.longest_wait, wait),
        total: fields.with_default("total", default.total, wait),
    };
    fields.finish();
    Some(spec)
}
