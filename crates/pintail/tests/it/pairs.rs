//! Every system to every system, with two addresses and no file.
//!
//! Each test reads one system and writes to all of them; what arrived is read back from there.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use pintail_connectors::registry;
use pintail_testkit::{Database, MariaDbDatabase, MariaDbServer, PostgresServer, S3Bucket, S3Server};

use crate::project::{LAKE, Project};

/// The systems, by the names that `type:` and addresses have for them.
const SYSTEMS: [&str; 7] = ["postgres", "mysql", "sqlite", "duckdb", "ducklake", "files", "s3"];

/// What the copied table holds, as one text: a hostile name and an empty one, NULL, a negative amount, microseconds.
const ASKED: &str = "string_agg(concat_ws('|', id, coalesce(note, 'NULL'), amount, seen), ' # ' order by id)";
const HELD: &str = "\"1|O'Neil \"\"the\\\"\" ünï 🐟|12.50|2026-01-02 03:04:05.000006 # 2||-0.01|2026-01-02 00:00:00 \
                    # 3|NULL|99999999.99|1970-01-01 00:00:00\"";
const ROWS: &str = r#"(1, 'O''Neil "the\" ünï 🐟', 12.50, '2026-01-02 03:04:05.000006'),
    (2, '', -0.01, '2026-01-02 00:00:00'), (3, null, 99999999.99, '1970-01-01 00:00:00')"#;

/// One of each system, empty.
struct Places {
    project: Project,
    postgres: Database<'static>,
    mysql: MariaDbDatabase<'static>,
    bucket: S3Bucket,
    asked: std::cell::Cell<u32>,
}

impl Places {
    fn new() -> Self {
        Self {
            project: Project::empty(),
            postgres: PostgresServer::shared().fresh_database(),
            mysql: MariaDbServer::shared().fresh_database(),
            bucket: S3Server::shared().fresh_bucket(),
            asked: std::cell::Cell::new(0),
        }
    }

    /// The address of a place. Those that are read and those that are written to are two.
    fn address(&self, system: &str, role: &str) -> String {
        match system {
            "postgres" => format!("{}?", self.postgres.url()),
            "mysql" => format!("{}?", self.mysql.url()),
            "sqlite" => format!("sqlite:{role}.sqlite?"),
            "duckdb" => format!("duckdb:{role}.duckdb?"),
            "ducklake" => format!("ducklake:sqlite:{role}_lake.sqlite?data_path={role}_lake&"),
            "files" => format!("files:{role}_files/?"),
            "s3" => format!(
                "{}?{}&",
                self.bucket.url(&format!("{role}/")),
                self.bucket.parameters("")
            ),
            other => panic!("{other} is no system of this test"),
        }
    }

    /// A table to read, in the place's own words where it has words of its own.
    fn fill(&self, system: &str) -> String {
        let table = |name: &str| format!("{}table={name}", self.address(system, "from"));
        match system {
            "postgres" => {
                self.postgres.execute(&format!(
                    "create schema shop;
                     create table shop.orders (id bigint primary key, note text, amount numeric(10, 2), seen timestamp);
                     insert into shop.orders values {ROWS}"
                ));
                table("shop.orders")
            }
            "mysql" => {
                self.mysql.execute(&format!(
                    "create table orders (id bigint primary key, note text, amount decimal(10, 2), seen datetime(6))
                     character set utf8mb4;
                     insert into orders values {}",
                    ROWS.replace('\\', "\\\\")
                ));
                table("orders")
            }
            "sqlite" => {
                self.project.execute_in(
                    "from.sqlite",
                    &format!(
                        "create table orders (id integer primary key, note text, amount decimal(10, 2), seen timestamp);
                         insert into orders values {ROWS}"
                    ),
                );
                table("orders")
            }
            _ => {
                let from = self.fill("sqlite");
                let to = table("shop.orders");
                self.project.succeed(&["copy", &from, &to]);
                to
            }
        }
    }

    /// What an address with a table answers, in a lake of its own that it is copied to: every place tells its types in its own
    /// words.
    fn ask(&self, address: &str, columns: &str) -> String {
        let number = self.asked.get();
        self.asked.set(number + 1);
        let lake = format!("ducklake:sqlite:asked{number}.sqlite?data_path=asked{number}");
        let seen = self
            .project
            .succeed(&["copy", address, &format!("{lake}&table=asked")]);
        assert!(seen.stdout.contains("parity ok"), "{seen}");
        let query = format!("select {columns} from asked");
        let seen = self.project.succeed(&["sql", &lake, &query, "--format", "csv"]);
        seen.stdout.lines().skip(1).collect::<Vec<_>>().join("\n")
    }
}

fn check(from: &str) {
    let places = Places::new();
    let source = places.fill(from);
    for to in SYSTEMS {
        let table = match to {
            "mysql" | "sqlite" => "copied",
            _ => "mart.copied",
        };
        let destination = format!("{}table={table}", places.address(to, "to"));
        let seen = places.project.pintail(&["copy", &source, &destination]);
        assert_eq!(seen.code, Some(0), "{from} to {to}: {seen}");
        assert!(
            seen.stdout.contains("3 rows") && seen.stdout.contains("parity ok"),
            "{from} to {to}: {seen}"
        );
        // What has no snapshots is compared before and after, and the report says so.
        let compared = seen.stderr.contains("files have no snapshot");
        assert_eq!(compared, matches!(from, "files" | "s3"), "{from} to {to}: {seen}");
        assert_eq!(places.ask(&destination, ASKED), HELD, "{from} to {to}");
    }
}

#[test]
fn postgres_is_copied_to_every_system() {
    check("postgres");
}

#[test]
fn mysql_is_copied_to_every_system() {
    check("mysql");
}

#[test]
fn sqlite_is_copied_to_every_system() {
    check("sqlite");
}

#[test]
fn duckdb_is_copied_to_every_system() {
    check("duckdb");
}

#[test]
fn ducklake_is_copied_to_every_system() {
    check("ducklake");
}

#[test]
fn files_are_copied_to_every_system() {
    check("files");
}

#[test]
fn s3_is_copied_to_every_system() {
    check("s3");
}

#[test]
fn names_that_postgres_would_cut_are_refused() {
    let (project, database) = (Project::empty(), PostgresServer::shared().fresh_database());
    let (table, column) = ("t".repeat(64), "größe_".repeat(8));
    let kept = "k".repeat(63);
    project.execute(&format!(
        "create table \"{table}\" (\"{column}1\" integer, \"{column}2\" integer, {kept} integer);
         insert into \"{table}\" values (1, 2, 3)"
    ));
    let seen = project.pintail(&["copy", "sqlite:shop.db", &table, &database.url()]);
    assert_snapshot!(seen, @r#"
    exit code 2
    --- stderr
    error: cannot read table "main.tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt" as asked
      the name `tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt` of the destination cannot be written: Postgres cuts names after 63 bytes, and this one has 64
      column `größe_größe_größe_größe_größe_größe_größe_größe_1` cannot be written under this name: Postgres cuts names after 63 bytes, and this one has 65
      column `größe_größe_größe_größe_größe_größe_größe_größe_2` cannot be written under this name: Postgres cuts names after 63 bytes, and this one has 65
    hint: Give the copy another name: `?table=schema.name` of the last address, or `table` in a pipeline.
    hint: Give it another name with `dest` in `column_map`, or leave it out.
    "#);
    // Lakes take them.
    project.succeed(&["copy", "sqlite:shop.db", &table, LAKE]);
    assert_eq!(project.ask(&format!("from \"{table}\"")), "1,2,3");
}

#[test]
fn these_are_the_systems_that_a_copy_knows() {
    // MinIO is S3 under a name that asks for an endpoint.
    let known = |systems: &[&'static str]| -> BTreeSet<&str> {
        systems.iter().copied().filter(|name| *name != "minio").collect()
    };
    assert_eq!(known(registry::SOURCES), BTreeSet::from(SYSTEMS));
    assert_eq!(known(registry::DESTINATIONS), BTreeSet::from(SYSTEMS));
}
