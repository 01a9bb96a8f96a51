//! Children: this test binary, started again to play a role in a process of its own.
//!
//! A child is told its role by an environment variable and answers with lines of JSON on its standard output.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pintail_testkit::Process;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{concurrency, engine, kill, stopped};

/// Longer than any step of a child takes, on a machine with ten times the work that it can do.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

const VARIABLE: &str = "PINTAIL_TEST_ROLE";
const ANSWER: &str = "answer ";

#[derive(Serialize, Deserialize)]
pub(crate) enum Role {
    Maker(concurrency::Maker),
    Loader(kill::Loader),
    Racer(concurrency::Racer),
    Sleeper(stopped::Sleeper),
    Cramped(engine::Cramped),
}

#[test]
fn a_child_plays_its_role_and_nobody_else_does() {
    let Ok(role) = std::env::var(VARIABLE) else {
        return;
    };
    match serde_json::from_str(&role).expect("a role") {
        Role::Maker(maker) => maker.play(),
        Role::Loader(loader) => loader.play(),
        Role::Racer(racer) => racer.play(),
        Role::Sleeper(sleeper) => sleeper.play(),
        Role::Cramped(cramped) => cramped.play(),
    }
}

impl Role {
    /// The command that plays this role.
    pub(crate) fn command(&self) -> Command {
        let binary = std::env::current_exe().expect("a test has a binary");
        let mut command = Command::new(binary);
        command
            .args([
                "roles::a_child_plays_its_role_and_nobody_else_does",
                "--exact",
                "--nocapture",
            ])
            .env(
                VARIABLE,
                serde_json::to_string(self).expect("roles are plain data"),
            );
        command
    }

    pub(crate) fn start(&self) -> Process {
        Process::spawn(&mut self.command())
    }
}

/// Prints one answer, in a line of its own.
pub(crate) fn answer(value: &impl Serialize) {
    let text = serde_json::to_string(value).expect("answers are plain data");
    let mut output = std::io::stdout().lock();
    writeln!(output, "\n{ANSWER}{text}").expect("the parent reads");
    output.flush().expect("the parent reads");
}

/// The answers that a child has given until now, as far as they are complete.
pub(crate) fn answers<T: DeserializeOwned>(child: &Process) -> Vec<T> {
    let output = child.stdout();
    let complete = output.rfind('\n').map_or("", |end| &output[..end]);
    complete
        .lines()
        .filter_map(|line| line.strip_prefix(ANSWER))
        .map(|text| serde_json::from_str(text).expect("a child answers in the agreed form"))
        .collect()
}

/// Fails, with what the child printed, unless it ends well.
#[track_caller]
pub(crate) fn assert_ends_well(child: &mut Process) {
    let status = child.wait(LIMIT);
    assert!(
        status.is_some_and(|status| status.success()),
        "a child ended with {status:?}\n{}\n{}",
        child.stdout(),
        child.stderr()
    );
}

/// A gate that is closed until it is dropped. Children wait at it with [`pass_gate`].
pub(crate) struct Gate {
    pub(crate) path: PathBuf,
    file: File,
}

impl Gate {
    pub(crate) fn new(path: PathBuf) -> Self {
        let file = File::create(&path).expect("a folder for the gate");
        file.lock().expect("nobody else locks a new file");
        Self { path, file }
    }

    pub(crate) fn open(self) {
        self.file.unlock().expect("we hold it");
    }
}

/// Waits until a gate is open.
pub(crate) fn pass_gate(path: &Path) {
    let file = File::open(path).expect("the parent made a gate");
    file.lock_shared().expect("the parent opens the gate");
}
