//! `pintail demo`: the story is told, true, and can be told again.

use std::process::Command;

use crate::project::{Project, Seen};

#[test]
fn the_demo_tells_its_story_and_the_suggested_commands_work() {
    let project = Project::empty();
    let seen = project.succeed(&["demo", "--rows", "20000"]);
    let has = |text: &str| assert!(seen.stdout.contains(text), "`{text}` is missing\n{seen}");
    has("20,000 orders");
    has("kill -9 of process");
    has("so they were skipped: nothing is lost, nothing is doubled");
    has("equal");
    has("at (version => ");
    let (_, suggested) = seen.stdout.split_once("Try next:").expect("suggestions");
    let commands: Vec<&str> = suggested
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(commands.len(), 3, "{suggested}");
    for command in commands {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .current_dir(project.path(""))
            .env("XDG_STATE_HOME", project.path("state"));
        let tried = Seen::of(&mut shell);
        assert_eq!(tried.code, Some(0), "{command}\n{tried}");
        assert!(!tried.stdout.is_empty(), "{command}\n{tried}");
    }
}

#[test]
fn a_rerun_replaces_its_own_files_and_no_others() {
    let project = Project::empty();
    project.succeed(&["demo", "--rows", "1000", "--dir", "tour"]);
    project.write("tour/notes.txt", "mine");
    let again = project.succeed(&["demo", "--rows", "1000", "--dir", "tour"]);
    assert!(again.stdout.contains("1,000 orders"), "{again}");
    assert_eq!(
        std::fs::read_to_string(project.path("tour/notes.txt")).expect("my file"),
        "mine"
    );
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let project = Project::empty();
    project.write("shop.db", "mine");
    let seen = project.pintail(&["demo", "--dir", "."]);
    insta::assert_snapshot!(seen, @"
    exit code 9
    --- stderr
    error: folder `.` holds files that no demo made
    hint: Name another folder with `--dir`.
    ");
    assert_eq!(
        std::fs::read_to_string(project.path("shop.db")).expect("my file"),
        "mine"
    );
}
