//! Secrets that tests plant, and the proof that they came out nowhere.
//!
//! A canary is a password or cell value that occurs nowhere else. Each is looked for as it is and percent-encoded, since
//! a password travels in URLs. A failure names the canary by its number, so that the failure itself does not print it.

use std::fs;
use std::path::Path;

use crate::percent::percent_encoded;

/// A shorter text turns up by chance, in a temporary name or a checksum.
const CANARY_LENGTH_MIN: usize = 6;

/// Panics if one of the `secrets` occurs in `output`.
#[track_caller]
pub fn assert_no_canary(output: &str, secrets: &[&str]) {
    assert_absent(output.as_bytes(), "the output", secrets);
}

/// Panics if one of the `secrets` occurs in any file under `folder`: logs, metrics, state and catalogues.
#[track_caller]
pub fn assert_no_canary_in_folder(folder: &Path, secrets: &[&str]) {
    for entry in fs::read_dir(folder).expect("the folder to search is there") {
        let path = entry.expect("the folder to search stays as it is").path();
        if path.is_dir() {
            assert_no_canary_in_folder(&path, secrets);
        } else {
            let content = fs::read(&path).expect("a file that is listed can be read");
            assert_absent(&content, &path.display().to_string(), secrets);
        }
    }
}

#[track_caller]
fn assert_absent(content: &[u8], place: &str, secrets: &[&str]) {
    for (index, secret) in secrets.iter().enumerate() {
        assert!(
            secret.len() >= CANARY_LENGTH_MIN,
            "canary {index} is so short that it turns up by chance"
        );
        for form in [(*secret).to_owned(), percent_encoded(secret)] {
            if let Some(at) = position(content, form.as_bytes()) {
                let before = String::from_utf8_lossy(&content[at.saturating_sub(80)..at]).into_owned();
                panic!("canary {index} occurs in {place}, after: …{before}");
            }
        }
    }
}

fn position(content: &[u8], searched: &[u8]) -> Option<usize> {
    content
        .windows(searched.len())
        .position(|window| window == searched)
}
