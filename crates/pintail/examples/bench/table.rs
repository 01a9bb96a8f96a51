//! What a section found: medians, ratios to one contestant, and bounds with whether they are met.

use std::fmt;

use crate::measure::Sample;

/// Pintail's memory, whatever the size of the table.
const PEAK_MIB_AT_MOST: f64 = 400.0;

/// What a ratio of wall times may be at most.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) of: &'static str,
    pub(crate) to: &'static str,
    pub(crate) at_most: f64,
}

/// What a wall time may be at most, whatever others take.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) of: &'static str,
    pub(crate) seconds_at_most: f64,
}

/// The contestants of a section and their samples.
pub(crate) struct Table {
    title: String,
    /// The contestant whose medians are 1.
    base: &'static str,
    contestants: Vec<(&'static str, Vec<Sample>)>,
    bounds: Vec<Bound>,
    limits: Vec<Limit>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: String, base: &'static str, bounds: &[Bound]) -> Self {
        Self {
            title,
            base,
            contestants: Vec::new(),
            bounds: bounds.to_vec(),
            limits: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The same table with limits.
    pub(crate) fn with_limits(self, limits: &[Limit]) -> Self {
        Self {
            limits: limits.to_vec(),
            ..self
        }
    }

    /// Adds a sample. Contestants are shown in the order of their first ones.
    pub(crate) fn add(&mut self, name: &'static str, sample: Sample) {
        match self.contestants.iter_mut().find(|(known, _)| *known == name) {
            Some((_, samples)) => samples.push(sample),
            None => self.contestants.push((name, vec![sample])),
        }
    }

    /// Adds a line below the table.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The ratio of two medians of wall times.
    pub(crate) fn ratio(&self, of: &str, to: &str) -> f64 {
        let wall = |sample: &Sample| sample.wall_seconds;
        self.median(of, wall) / self.median(to, wall)
    }

    /// Whether each bound is met, that of memory last.
    pub(crate) fn bounds_met(&self) -> Vec<bool> {
        let ratios = self.bounds.iter().map(|bound| self.meets(bound));
        let limits = self.limits.iter().map(|limit| self.keeps(limit));
        ratios
            .chain(limits)
            .chain([self.peak_mib() <= PEAK_MIB_AT_MOST])
            .collect()
    }

    fn meets(&self, bound: &Bound) -> bool {
        self.ratio(bound.of, bound.to) <= bound.at_most
    }

    fn keeps(&self, limit: &Limit) -> bool {
        self.seconds(limit) <= limit.seconds_at_most
    }

    fn seconds(&self, limit: &Limit) -> f64 {
        self.median(limit.of, |sample| sample.wall_seconds)
    }

    /// Of all runs of Pintail, the highest.
    fn peak_mib(&self) -> f64 {
        let ours = self
            .contestants
            .iter()
            .filter(|(name, _)| name.starts_with("pintail"));
        ours.flat_map(|(_, samples)| samples)
            .map(|sample| sample.peak_mib)
            .fold(0.0, f64::max)
    }

    fn median(&self, name: &str, value: impl Fn(&Sample) -> f64) -> f64 {
        let found = self.contestants.iter().find(|(known, _)| *known == name);
        let mut values: Vec<f64> = found
            .into_iter()
            .flat_map(|(_, samples)| samples)
            .map(value)
            .collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}; ratios to \"{}\"", self.title, self.base)?;
        writeln!(
            f,
            "{:<44} {:>8} {:>7} {:>8} {:>7} {:>9}",
            "", "wall s", "×", "CPU s", "×", "peak MiB"
        )?;
        for (name, _) in &self.contestants {
            let wall = |sample: &Sample| sample.wall_seconds;
            let cpu = |sample: &Sample| sample.cpu_seconds;
            writeln!(
                f,
                "{name:<44} {:>8.2} {:>7.2} {:>8.2} {:>7.2} {:>9.0}",
                self.median(name, wall),
                self.median(name, wall) / self.median(self.base, wall),
                self.median(name, cpu),
                self.median(name, cpu) / self.median(self.base, cpu),
                self.median(name, |sample| sample.peak_mib)
            )?;
        }
        for bound in &self.bounds {
            writeln!(
                f,
                "{} is {:.2} × \"{}\", at most {:.2} is the bound: {}",
                bound.of,
                self.ratio(bound.of, bound.to),
                bound.to,
                bound.at_most,
                verdict(self.meets(bound))
            )?;
        }
        for limit in &self.limits {
            writeln!(
                f,
                "{} takes {:.0} ms, at most {:.0} is the bound: {}",
                limit.of,
                self.seconds(limit) * 1000.0,
                limit.seconds_at_most * 1000.0,
                verdict(self.keeps(limit))
            )?;
        }
        writeln!(
            f,
            "peak memory of Pintail is {:.0} MiB, at most {PEAK_MIB_AT_MOST:.0} is the bound: {}",
            self.peak_mib(),
            verdict(self.peak_mib() <= PEAK_MIB_AT_MOST)
        )?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}
