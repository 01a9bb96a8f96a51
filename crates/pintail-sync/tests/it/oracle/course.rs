//! The course of a case: a history, step by step, on a real source and a real destination, and then what brings both sides
//! together. What is kept of the source is the business of a [`Subject`].

use super::history::{History, RunStep, Setting, Step};
use super::source::Source;
use super::tally::Tally;
use super::target::Target;
use super::world::World;

/// Where a case takes place.
pub(super) struct Scene<'a> {
    pub(super) target: &'a dyn Target,
    /// Of the table, the pipeline and everything else.
    pub(super) name: &'a str,
}

/// What all cases have.
pub(super) struct Stage<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) world: World<'a>,
    pub(super) setting: Setting,
    /// Runs so far.
    pub(super) runs: u32,
    pub(super) tally: Tally,
}

/// What is kept of a source, and what must be true of it after every run.
pub(super) trait Subject<'a>: Sized {
    /// The setting of a history as far as it makes sense here.
    fn setting(setting: &Setting) -> Setting {
        setting.clone()
    }

    fn new(stage: Stage<'a>) -> Self;

    fn stage(&mut self) -> &mut Stage<'a>;

    /// Lets one run take place, and looks at what it left.
    fn run(&mut self, step: &RunStep) -> Result<(), String>;

    /// Looks at what happened in the source.
    fn look(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Brings both sides together, after all transactions have ended and time has passed.
    fn end(&mut self) -> Result<(), String>;
}

/// Carries out the first `steps` steps of a history, and then what brings both sides together.
pub(super) fn play<'a, S: Subject<'a>>(
    scene: &'a Scene<'a>,
    source: &'a mut dyn Source,
    history: &History,
    steps: usize,
) -> Result<Tally, String> {
    let setting = S::setting(&history.setting);
    source.make_table(scene.name, &setting);
    let mut case = S::new(Stage {
        scene,
        world: World::new(source),
        setting,
        runs: 0,
        tally: Tally::default(),
    });
    for (number, step) in history.steps.iter().take(steps).enumerate() {
        take(&mut case, step, number).map_err(|problem| format!("after step {number}: {problem}"))?;
    }
    finish(&mut case).map_err(|problem| format!("at the end: {problem}"))?;
    let stage = case.stage();
    stage.tally.late_commits = stage.world.late_commits;
    Ok(stage.tally)
}

fn take<'a>(case: &mut impl Subject<'a>, step: &Step, number: usize) -> Result<(), String> {
    let source = &mut case.stage().world.source;
    // No two events of a history fall on one instant, unless they are meant to.
    source.wait(137_003 * (number as i64 % 3));
    match step {
        Step::Wait { seconds } => source.wait(i64::from(*seconds) * 1_000_000),
        Step::Event(event) => case.stage().world.happen(event),
        Step::Run(run) => case.run(run)?,
    }
    case.look()
}

fn finish<'a>(case: &mut impl Subject<'a>) -> Result<(), String> {
    case.stage().world.settle();
    case.look()?;
    let stage = case.stage();
    let lag = i64::from(stage.setting.lag_seconds + 1) * 1_000_000;
    stage.world.source.wait(lag + 2 * 86_400_000_000);
    case.end()?;
    let scene = case.stage().scene;
    scene.target.check(scene.name)
}
