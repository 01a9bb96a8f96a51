//! Children that are killed, frozen and waited for.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use pintail_testkit::Process;

const LIMIT: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Process {
    Process::spawn(Command::new("sh").arg("-c").arg(script))
}

#[test]
fn child_that_ends_gives_its_status_and_all_its_output() {
    let mut child = shell("seq 1 20000; echo done >&2; exit 3");
    let status = child.wait(LIMIT).unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(child.stdout().lines().count(), 20_000);
    assert_eq!(child.stderr(), "done\n");
}

#[test]
fn killed_child_is_gone() {
    let mut child = shell("echo ready; exec tail -f /dev/null");
    assert!(child.wait_for_output("ready", LIMIT));
    assert_eq!(child.wait(Duration::from_millis(1)), None);
    assert_eq!(child.kill().signal(), Some(9));
    assert_eq!(child.wait(LIMIT).unwrap().signal(), Some(9));
}

#[test]
fn interrupt_can_be_handled_by_the_child() {
    let mut child = shell("trap 'echo cleaned; exit 5' INT; echo ready; while :; do :; done");
    assert!(child.wait_for_output("ready", LIMIT));
    child.interrupt();
    assert_eq!(child.wait(LIMIT).unwrap().code(), Some(5));
}

#[test]
fn frozen_child_does_nothing_until_it_is_resumed() {
    let mut child = shell("trap 'echo woke; exit 0' INT; echo ready; while :; do :; done");
    assert!(child.wait_for_output("ready", LIMIT));
    assert!(child.stop());
    child.interrupt();
    assert_eq!(child.wait(Duration::from_millis(50)), None);
    child.resume();
    assert!(child.wait(LIMIT).unwrap().success());
    assert_eq!(child.stdout(), "ready\nwoke\n");
}

#[test]
fn output_that_never_comes_is_not_waited_for_after_the_end() {
    assert!(!shell("echo something else").wait_for_output("ready", LIMIT));
}

#[test]
fn child_dies_with_the_thread_that_started_it() {
    let mut child = std::thread::spawn(|| shell("exec tail -f /dev/null"))
        .join()
        .unwrap();
    assert_eq!(child.wait(LIMIT).unwrap().signal(), Some(9));
}
