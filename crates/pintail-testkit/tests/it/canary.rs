//! A planted secret is found in every form, and is not printed by the failure.

use std::fs;
use std::panic::catch_unwind;

use pintail_testkit::{assert_no_canary, assert_no_canary_in_folder};

const SECRET: &str = "p@ss:wörd/9";

/// The message of the failure, if the secret was found.
fn found_in(check: impl FnOnce() + std::panic::UnwindSafe) -> Option<String> {
    catch_unwind(check)
        .err()
        .map(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn clean_output_passes() {
    assert_no_canary("synced 3 tables · 1,204,331 rows · 12.4 s", &[SECRET]);
}

#[test]
fn secret_is_found_and_not_repeated() {
    let message = found_in(|| assert_no_canary(&format!("cannot log in with {SECRET}"), &[SECRET])).unwrap();
    assert!(message.contains("cannot log in with"), "{message}");
    assert!(!message.contains(SECRET), "{message}");
}

#[test]
fn encoded_secret_is_found() {
    assert!(found_in(|| assert_no_canary("postgres://u:p%40ss%3Aw%C3%B6rd%2F9@h/d", &[SECRET])).is_some());
}

#[test]
fn secret_in_a_nested_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("logs")).unwrap();
    assert_no_canary_in_folder(folder.path(), &[SECRET]);

    fs::write(
        folder.path().join("logs/run.jsonl"),
        format!("{{\"password\":\"{SECRET}\"}}"),
    )
    .unwrap();
    let path = folder.path().to_owned();
    assert!(found_in(move || assert_no_canary_in_folder(&path, &[SECRET])).is_some());
}

#[test]
fn secret_too_short_to_mean_anything_is_refused() {
    assert!(found_in(|| assert_no_canary("nothing here", &["abc"])).is_some());
}
