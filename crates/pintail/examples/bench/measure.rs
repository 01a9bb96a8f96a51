//! One run of one contestant.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::usage;

/// What it took.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) wall_seconds: f64,
    /// Of the processes and of the servers.
    pub(crate) cpu_seconds: f64,
    /// Of the largest process; servers do not count.
    pub(crate) peak_mib: f64,
}

/// Runs commands side by side and waits for all of them. `servers` are the processes of the servers that work for them.
pub(crate) fn measure(commands: Vec<Command>, servers: &[u32]) -> Result<Sample> {
    let servers_cpu_seconds = || -> Result<f64> {
        servers
            .iter()
            .map(|server| usage::server_cpu_seconds(*server))
            .sum()
    };
    let before = servers_cpu_seconds()?;
    let started_at = Instant::now();
    let mut children = Vec::new();
    for mut command in commands {
        let child = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn()?;
        children.push((child, command));
    }
    let (mut cpu_seconds, mut peak_mib) = (0.0, 0.0_f64);
    for (child, command) in children {
        let (usage, status, errors) = usage::wait(child)?;
        ensure!(status == 0, "{command:?} failed with {status}: {errors}");
        cpu_seconds += usage.cpu_seconds;
        peak_mib = peak_mib.max(usage.peak_mib);
    }
    let wall_seconds = started_at.elapsed().as_secs_f64();
    cpu_seconds += servers_cpu_seconds()? - before;
    Ok(Sample {
        wall_seconds,
        cpu_seconds,
        peak_mib,
    })
}
