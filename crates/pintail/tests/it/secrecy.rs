//! Passwords and cell values come out nowhere: not in plans, not at debug level, not in what a run leaves behind.

use pintail_testkit::{PostgresServer, assert_no_canary, assert_no_canary_in_folder};

use crate::project::{LAKE, Project, Seen};

const PASSWORD: &str = "canary pass'w\\rd-5e1d";
const CELL: &str = "canary-cell-c0ffee";

/// A database with a table that one user may read.
fn shop() -> (pintail_testkit::Database<'static>, String) {
    let server = PostgresServer::shared();
    let database = server.fresh_database();
    let user = format!("reader_{}", database.name());
    server.create_user(&user, PASSWORD);
    database.execute(&format!(
        "create table orders (id int primary key, note text not null, updated_at timestamptz not null default now());
         insert into orders (id, note) values (1, '{CELL}'), (2, '{CELL}');
         grant select on orders to {user}"
    ));
    let url = database.url_as(&user, PASSWORD);
    (database, url)
}

#[test]
fn a_copy_shows_neither_passwords_nor_values_at_debug_level() {
    let (_database, url) = shop();
    let project = Project::empty();
    for extra in [&["--plan"][..], &["--plan", "--json"], &["--json"], &[]] {
        let arguments = [&["copy", &url, "orders", LAKE], extra].concat();
        let seen = Seen::of(project.command(&arguments).env("PINTAIL_LOG_LEVEL", "debug"));
        assert_eq!(seen.code, Some(0), "{seen}");
        assert_no_canary(&seen.to_string(), &[PASSWORD, CELL]);
    }
    assert_no_canary_in_folder(&project.path("state"), &[PASSWORD, CELL]);
    assert_no_canary_in_folder(&project.path(""), &[PASSWORD]);
}

#[test]
fn a_pipeline_shows_neither_passwords_nor_values_when_it_fails() {
    let (database, url) = shop();
    let user = format!("reader_{}", database.name());
    let address = url.split_once('@').expect("a user and an address").1;
    let (host, port) = address
        .split_once('/')
        .and_then(|(host, _)| host.split_once(':'))
        .expect("host and port");
    let project = Project::empty();
    project.write(
        "datastores.yaml",
        &format!(
            "datastores:
  shop: {{type: postgres, connection: {{host: {host}, port: {port}, user: {user}, password: '${{SHOP_PASSWORD}}', dbname: {}}}}}
  lake: {{type: ducklake, connection: {{catalog: 'sqlite:lake.sqlite', data_path: lake}}}}
",
            database.name()
        ),
    );
    project.write(
        "pipeline.yaml",
        "name: orders
source_provider:
  data_backend: {type: postgres, datastore_name: shop, table: orders}
destination_provider:
  data_backend: {type: ducklake, datastore_name: lake, table: orders}
column_map:
  - {source: id, dest: id, roles: [unique_column]}
  - {source: note, dest: note, data_type: int}
strategies: [{name: full, type: full}]
",
    );
    for arguments in [
        &["config", "validate", "pipeline.yaml"][..],
        &["config", "validate", "datastores.yaml"],
        &["run", "--config", "pipeline.yaml", "--plan"],
        &["run", "--config", "pipeline.yaml"],
        &["run", "--config", "pipeline.yaml", "--json"],
    ] {
        let mut command = project.command(arguments);
        let seen = Seen::of(
            command
                .env("PINTAIL_LOG_LEVEL", "debug")
                .env("SHOP_PASSWORD", PASSWORD),
        );
        assert_no_canary(&seen.to_string(), &[PASSWORD, CELL]);
    }
    let wrong = "canary-other-pass-11";
    let mut command = project.command(&["run", "--config", "pipeline.yaml"]);
    let seen = Seen::of(
        command
            .env("PINTAIL_LOG_LEVEL", "debug")
            .env("SHOP_PASSWORD", wrong),
    );
    assert_eq!(seen.code, Some(4), "{seen}");
    assert_no_canary(&seen.to_string(), &[wrong, PASSWORD, CELL]);
    assert_no_canary_in_folder(&project.path(""), &[PASSWORD, CELL, wrong]);
}

#[test]
fn a_query_shows_no_password() {
    let (_database, url) = shop();
    let project = Project::empty();
    for query in [
        "select id from orders",
        "select * from nowhere",
        "from duckdb_databases()",
        "selec",
    ] {
        let seen = Seen::of(
            project
                .command(&["sql", &url, query])
                .env("PINTAIL_LOG_LEVEL", "debug"),
        );
        assert_no_canary(&seen.to_string(), &[PASSWORD]);
    }
}

#[test]
fn a_lake_shows_no_password_of_its_catalogue() {
    let (source, from) = shop();
    let server = PostgresServer::shared();
    let catalogue = server.fresh_database();
    let user = format!("keeper_{}", catalogue.name());
    let password = "canary keep'r\\s-91bd";
    server.create_user(&user, password);
    catalogue.execute(&format!("grant all on schema public to {user}"));
    let project = Project::empty();
    let lake = |password: &str| format!("ducklake:{}?data_path=files", catalogue.url_as(&user, password));
    let (right, wrong) = (lake(password), lake("canary-wrong-4417"));
    let mut commands = vec![vec!["copy", from.as_str(), "orders", right.as_str()]];
    for query in [
        "select count(*) from orders",
        "from duckdb_databases()",
        "from duckdb_secrets()",
        "selec",
    ] {
        commands.push(vec!["sql", right.as_str(), query]);
        commands.push(vec!["sql", wrong.as_str(), query]);
    }
    for arguments in commands {
        let seen = Seen::of(project.command(&arguments).env("PINTAIL_LOG_LEVEL", "debug"));
        if arguments[0] == "copy" {
            assert_eq!(seen.code, Some(0), "{seen}");
        }
        assert_no_canary(
            &seen.to_string(),
            &[password, "r\\s-91bd", "canary-wrong-4417", PASSWORD, CELL],
        );
    }
    assert_no_canary_in_folder(&project.path("state"), &[password, PASSWORD, CELL]);
    drop(source);
}
