//! Copies to MariaDB, and back from it, by command line alone.

use insta::assert_snapshot;
use pintail_testkit::{MariaDbServer, assert_no_canary};

use crate::project::Project;

#[test]
fn a_copy_to_mariadb_and_back_needs_no_files() {
    let project = Project::with_shop(2_000);
    let database = MariaDbServer::shared().fresh_database();
    let place = format!("{}?table=orders", database.url());
    project.execute("insert into orders values (2001, 'new', 1.5, 'it''s \\ä', '2026-03-01', 2004)");
    let seen = project.pintail(&["copy", "sqlite:shop.db", "orders", &place]);
    assert_snapshot!(seen, @r"
    exit code 0
    --- stdout
    synced orders  2,001 rows  [DURATION]  parity ok (1 leaf)
    --- stderr
    orders: reading about 2,001 rows in 1 partition
    note: full load by strategy `full`: the table is not in the database yet
    note: cursor `updated_at` has no time zone and is taken as UTC; set `time_zone` if the application stamps another one
    note: SQLite does not tell when a transaction began: rows are read up to 5m before now (default `lag`)
    ");
    project.succeed(&["copy", "sqlite:shop.db", "orders", &place]);
    project.succeed(&[
        "copy",
        &database.url(),
        "orders",
        "sqlite:back.sqlite?table=orders",
    ]);
    let rows = |file: &str| -> Vec<String> {
        let file = rusqlite::Connection::open(project.path(file)).expect("a SQLite file");
        let mut statement = file
            .prepare(
                "select id || status || printf('%.2f', amount) || ifnull(note, '-') || substr(updated_at, 1, 10) || change_number
                 from orders order by id",
            )
            .expect("a table");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("a text")).collect()
    };
    assert_eq!(rows("shop.db"), rows("back.sqlite"));
    assert_eq!(rows("back.sqlite").len(), 2_001);
}

#[test]
fn a_plan_shows_the_statements_of_a_commit() {
    let project = Project::with_shop(20);
    let database = MariaDbServer::shared().fresh_database();
    let place = format!("{}?table=orders", database.url());
    let seen = project.succeed(&["copy", "sqlite:shop.db", "orders", &place, "--plan"]);
    let (_, commit) = seen.stdout.split_once("database, commit:\n").expect("a commit");
    let (commit, _) = commit.split_once("  database, compare:").expect("a comparison");
    assert_snapshot!(commit.replace(database.name(), "fresh"), @r"
    start transaction;
    delete from `fresh`.`orders`;
    insert into `fresh`.`orders` (`id`, `status`, `amount`, `note`, `updated_at`, `change_number`) select … from read_parquet(['<stage>/<run>/<partition>-1.parquet'], hive_partitioning = false);
    insert into `fresh`.`pintail_ledger` …;
    commit;
    ");
}

#[test]
fn a_user_that_may_not_write_is_told_so_without_the_password() {
    let server = MariaDbServer::shared();
    let database = server.fresh_database();
    let (user, password) = (format!("reader_{}", database.name()), "canary-5512");
    server.create_user(&user, password);
    database.execute(&format!("grant select on `{}`.* to {user}", database.name()));
    let project = Project::with_shop(3);
    let place = format!("{}?table=orders", database.url_as(&user, password));
    let seen = project.pintail(&["copy", "sqlite:shop.db", "orders", &place]);
    assert_no_canary(&seen.to_string(), &[password]);
    assert_snapshot!(seen.to_string().replace(database.name(), "fresh"), @r"
    exit code 4
    --- stderr
    orders: reading about 3 rows in 1 partition
    error: cannot commit partition `all`
      caused by: cannot make the ledger of the database
      caused by: CREATE command denied to user 'reader_fresh'@'127.0.0.1' for table `fresh`.`pintail_ledger`
    hint: Grant the user what it needs, as `grant usage on schema …` and `grant select on …`: docs/connectors/ says what that is for each system.
    ");
}
