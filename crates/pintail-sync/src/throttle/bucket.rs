//! How long to wait before so many bytes may pass. Pure: the time is passed in.

use std::time::Duration;

/// How much may pass at once after a while in which nothing did.
const BURST: Duration = Duration::from_millis(100);

/// An allowance of bytes that fills up with time, up to a tenth of a second's worth.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    bytes_per_second: u64,
    /// When everything that was taken has been paid for.
    paid_at: Duration,
}

impl TokenBucket {
    /// A bucket for so many bytes a second, at least one.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            paid_at: Duration::ZERO,
        }
    }

    /// Takes `bytes` at `now`, a time since any fixed moment that never goes back. Returns how long to wait before they
    /// may pass: whoever takes more than there is pays for it afterwards.
    pub fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let price = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(now.saturating_sub(BURST)).saturating_add(price);
        self.paid_at.saturating_sub(now)
    }
}
