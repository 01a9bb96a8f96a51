//! What processes used: a child that ended, and a server that goes on.

use std::process::Child;

use anyhow::{Context, Result, ensure};

/// What a child used until its end, its own children included.
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
}

/// Waits for a child; gives what it used, its status, and what it wrote to stderr.
#[expect(unsafe_code, reason = "the standard library does not tell what a child used")]
pub(crate) fn wait(mut child: Child) -> Result<(Usage, i32, String)> {
    let mut errors = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        std::io::Read::read_to_string(&mut stderr, &mut errors)?;
    }
    let pid = i32::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: `rusage` is plain data, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, and nobody else waits for this child.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    ensure!(
        waited == pid,
        "cannot wait for a child: {}",
        std::io::Error::last_os_error()
    );
    #[expect(clippy::cast_precision_loss, reason = "seconds and kibibytes of a benchmark")]
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    #[expect(clippy::cast_precision_loss, reason = "seconds and kibibytes of a benchmark")]
    let peak_mib = usage.ru_maxrss as f64 / 1024.0;
    let usage = Usage {
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak_mib,
    };
    Ok((usage, status, errors))
}

/// CPU of a server, of its running children and of all that ended.
pub(crate) fn server_cpu_seconds(server: u32) -> Result<f64> {
    let server = i64::from(server);
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match stat(pid)? {
            Some(process) if pid == server => ticks += process.own_ticks + process.children_ticks,
            Some(process) if process.parent == server => ticks += process.own_ticks,
            _ => {}
        }
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds of a benchmark; Linux counts 100 ticks a second"
    )]
    Ok(ticks as f64 / 100.0)
}

struct Process {
    parent: i64,
    own_ticks: i64,
    children_ticks: i64,
}

/// Reads `/proc/<pid>/stat`; `None` if the process is gone. Fields: proc_pid_stat(5).
fn stat(pid: i64) -> Result<Option<Process>> {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return Ok(None);
    };
    // The second field is a name in parentheses that may hold anything.
    let rest = text.rsplit_once(')').context("a name ends")?.1;
    let fields: Vec<i64> = rest
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let field = |number: usize| fields.get(number - 4).copied().unwrap_or(0);
    Ok(Some(Process {
        parent: field(4),
        own_ticks: field(14) + field(15),
        children_ticks: field(16) + field(17),
    }))
}
