//! Writes to a SQLite file from a process of its own: two SQLite libraries in one process take each other's locks
//! away. The process is this test binary, told to run the one test below.

use std::path::Path;
use std::process::Command;

const FILE: &str = "PINTAIL_TEST_SQLITE_FILE";
const SQL: &str = "PINTAIL_TEST_SQLITE_SQL";

/// Runs statements in another process. They are committed when this returns.
#[track_caller]
pub(crate) fn execute(file: &Path, sql: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::writer::runs_what_it_is_told", "--nocapture"])
        .env(FILE, file)
        .env(SQL, sql)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cannot execute `{sql}`: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn runs_what_it_is_told() {
    let (Some(file), Some(sql)) = (std::env::var_os(FILE), std::env::var_os(SQL)) else {
        return;
    };
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute_batch(sql.to_str().unwrap()).unwrap();
}

/// Fills the table `numbers` with `values`, in this process: call it while no engine has the file open.
pub(crate) fn insert_doubles(file: &Path, values: &[f64]) {
    let mut connection = rusqlite::Connection::open(file).unwrap();
    let transaction = connection.transaction().unwrap();
    for value in values {
        transaction
            .execute("insert into numbers (value) values (?)", [value])
            .unwrap();
    }
    transaction.commit().unwrap();
}
