//! What this process has used of the machine.

use serde::Serialize;

/// Processor time and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Resources {
    /// Processor time of all threads.
    pub cpu_seconds: f64,
    /// The most memory that was in use at once, since the process began.
    pub peak_rss_bytes: u64,
}

impl Resources {
    /// What the process has used until now.
    #[must_use]
    pub fn now() -> Self {
        let (cpu_seconds, largest) = usage();
        Self {
            cpu_seconds,
            peak_rss_bytes: peak_of_status().unwrap_or(largest),
        }
    }

    /// What was used since `earlier`. The peak is that of the process: memory has no beginning.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_seconds: (self.cpu_seconds - earlier.cpu_seconds).max(0.0),
            ..self
        }
    }
}

/// The kernel's own high-water mark. `getrusage` would count what the parent used before it started this program.
fn peak_of_status() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[expect(unsafe_code, reason = "the standard library does not tell processor time")]
fn usage() -> (f64, u64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for a `rusage`, for which zeroes are a valid value.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let largest = u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit;
    (seconds(usage.ru_utime) + seconds(usage.ru_stime), largest)
}
