//! Children: this test binary, started again to do something in a process of its own, which is killed.

use std::process::Command;

use pintail_testkit::Process;
use serde::{Deserialize, Serialize};

use crate::kills::Work;

const VARIABLE: &str = "PINTAIL_TEST_ROLE";

/// What a child does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    Work(Work),
    Cramped(crate::kills::Cramped),
    Decide(crate::buckets::Decide),
    Pin(crate::pin_kills::Work),
}

#[test]
fn a_child_plays_its_role_and_nobody_else_does() {
    let Ok(role) = std::env::var(VARIABLE) else {
        return;
    };
    match serde_json::from_str(&role).expect("a role") {
        Role::Work(work) => work.play(),
        Role::Cramped(cramped) => cramped.play(),
        Role::Decide(decide) => decide.play(),
        Role::Pin(work) => work.play(),
    }
}

impl Role {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a test has a binary"));
        self.set_up(&mut command);
        command
    }

    /// Gives a command that ends with the name of this binary its arguments and its environment.
    pub(crate) fn set_up(&self, command: &mut Command) {
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
    }

    pub(crate) fn start(&self) -> Process {
        Process::spawn(&mut self.command())
    }
}
