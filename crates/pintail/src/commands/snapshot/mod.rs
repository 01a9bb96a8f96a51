//! `pintail snapshot`: takes snapshots of tables, shows and checks them, and restores them.

mod create;
mod diff;
mod drill;
mod explain;
mod hold;
mod lakes;
mod list;
mod place;
mod prune;
mod restore;
mod settings;
mod show;
mod verify;

use clap::{Args, Subcommand};

pub(crate) use self::place::{snapshots, somebody};
use super::Outcome;

/// Keep the state of tables in files that are proven when they are written and when they are restored.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(create::Arguments),
    List(list::Arguments),
    Show(show::Arguments),
    Verify(verify::Arguments),
    Restore(restore::Arguments),
    Diff(diff::Arguments),
    Drill(drill::Arguments),
    Explain(explain::Arguments),
    Hold(hold::HoldArguments),
    Release(hold::ReleaseArguments),
    Delete(hold::DeleteArguments),
    Prune(prune::Arguments),
    Settings(settings::Arguments),
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        match &self.action {
            Action::Create(arguments) => arguments.json,
            Action::List(arguments) => arguments.json,
            Action::Show(arguments) => arguments.json,
            Action::Verify(arguments) => arguments.json,
            Action::Restore(arguments) => arguments.json,
            Action::Diff(arguments) => arguments.json,
            Action::Drill(arguments) => arguments.json,
            Action::Explain(arguments) => arguments.json,
            Action::Hold(arguments) => arguments.json,
            Action::Release(arguments) => arguments.json,
            Action::Delete(arguments) => arguments.json,
            Action::Prune(arguments) => arguments.json,
            Action::Settings(arguments) => arguments.json(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Action::Create(arguments) => create::run(arguments),
        Action::List(arguments) => list::run(arguments),
        Action::Show(arguments) => show::run(arguments),
        Action::Verify(arguments) => verify::run(arguments),
        Action::Restore(arguments) => restore::run(arguments),
        Action::Diff(arguments) => diff::run(arguments),
        Action::Drill(arguments) => drill::run(arguments),
        Action::Explain(arguments) => explain::run(arguments),
        Action::Hold(arguments) => hold::hold(arguments),
        Action::Release(arguments) => hold::release(arguments),
        Action::Delete(arguments) => hold::delete(arguments),
        Action::Prune(arguments) => prune::run(arguments),
        Action::Settings(arguments) => settings::run(arguments),
    }
}
