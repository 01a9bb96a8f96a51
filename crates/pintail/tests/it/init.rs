//! `pintail init`: what it writes loads, is valid, and runs.

use insta::assert_snapshot;
use pintail_testkit::PostgresServer;

use crate::project::{Project, Seen};

/// A shop with everything that is awkward.
fn shop() -> Project {
    let project = Project::empty();
    project.execute(
        r#"create table orders (
               id integer primary key,
               status text not null,
               amount decimal(10, 2) not null,
               shape geometry,
               anything,
               updated_at timestamp not null
           );
           create table "odd.name ""quoted"" ${HOME}" ("the key" integer primary key, "a.b" text, "lower(x)" text, "true" boolean);
           create table pairs (a integer not null, b text not null, note text, primary key (a, b));
           create table heap (note text);
           create table "Heap.2" (note text);
           create table vague (anything);
           create view newest as select id, status from orders;
           insert into orders values (1, 'new', 9.5, null, null, '2026-01-01 10:00:00'), (2, 'paid', 7.25, 'x', 'y', '2026-01-02 10:00:00');
           insert into "odd.name ""quoted"" ${HOME}" values (1, 'x', 'y', true);
           insert into pairs values (1, 'x', null), (1, 'y', 'note');
           insert into heap values ('same'), ('same')"#,
    );
    project
}

fn pipelines(project: &Project, folder: &str) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(project.path(folder))
        .expect("pipelines")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    found.sort();
    found
}

#[test]
fn a_database_becomes_a_project_whose_pipelines_all_run() {
    let project = shop();
    assert_snapshot!(project.pintail(&["init", "sqlite:shop.db"]), @r#"
    exit code 0
    --- stdout
    wrote `datastores.yaml` and 6 pipelines in `pipelines`
      Heap.2  no key · full loads
      heap  no key · full loads
      newest  no key · full loads
      odd.name "quoted" ${HOME}  key the key · full loads
      orders  key id · follows updated_at · without shape, anything
      pairs  key a, b · full loads
    --- stderr
    skipped: no pipeline for vague: none of its columns has a lossless home
    hint: Try `pintail run --config pipelines/Heap.2.yaml --plan`.
    "#);
    let text = |name: &str| std::fs::read_to_string(project.path(name)).expect(name);
    assert_snapshot!(text("datastores.yaml"), @r#"
    # yaml-language-server: $schema=schemas/datastores.json
    # Written by `pintail init`. Secrets come from variables.
    datastores:
      # sqlite:shop.db
      shop:
        type: sqlite
        connection:
          path: shop.db
      # ducklake:sqlite:lake.sqlite?data_path=lake
      lake:
        type: ducklake
        connection:
          catalog: "sqlite:lake.sqlite"
          data_path: lake
    "#);
    assert_snapshot!(text("pipelines/orders.yaml"), @"
    # yaml-language-server: $schema=../schemas/pipeline.json
    # Table orders of sqlite:shop.db, kept in ducklake:sqlite:lake.sqlite?data_path=lake. Written by `pintail init`; every key stands in docs/pipeline.md.
    name: orders

    source_provider:
      data_backend:
        type: sqlite
        datastore_name: shop
        table: orders

    destination_provider:
      data_backend:
        type: ducklake
        datastore_name: lake
        table: orders

    # Columns that are not listed stay behind; `dest` gives one another name. `unique_column` marks the key.
    column_map:
      - {source: id, data_type: bigint, roles: [unique_column]}  # INTEGER, not null
      - {source: status, data_type: text}  # TEXT, not null
      - {source: amount, data_type: decimal, precision: 10, scale: 2}  # decimal(10, 2), not null
      - {source: updated_at, data_type: timestamp}  # timestamp, not null
      # column `shape` is of type `geometry`, which has no lossless home. Left out, unless you choose:
      # - {source: shape, data_type: text}  # exactly as the source writes it
      # column `anything` has no declared type, so its values may be of any. Left out, unless you choose:
      # - {source: anything, data_type: text}  # exactly as the source writes it

    strategies:
      # What changed since the last run, as `updated_at` tells: every change has to move it.
      - {name: changes, type: delta, column: updated_at}
      # Every row, as one replacement of the table.
      - {name: everything, type: full}
    ");
    let files = pipelines(&project, "pipelines");
    assert_eq!(files.len(), 6, "{files:?}");
    for file in &files {
        let file = format!("pipelines/{file}");
        project.succeed(&["config", "validate", &file]);
        for _ in 0..2 {
            project.succeed(&["run", "--config", &file]);
        }
    }
    assert_eq!(project.ask("select count(*), sum(amount) from orders"), "2,16.75");
    assert_eq!(project.ask("select count(*) from heap"), "2");
    assert_eq!(
        project.ask(r#"select "a.b", "lower(x)", "true" from "odd.name ""quoted"" ${HOME}""#),
        "x,y,true"
    );
    let seen = project.succeed(&["config", "list"]);
    assert_eq!(
        seen.stdout.lines().filter(|line| line.ends_with("yes")).count(),
        6,
        "{seen}"
    );
}

#[test]
fn nothing_is_overwritten_and_all_conflicts_are_named_at_once() {
    let project = shop();
    std::fs::create_dir(project.path("pipelines")).expect("a folder");
    project.write("pipelines/orders.yaml", "mine");
    project.write("datastores.yaml", "mine");
    assert_snapshot!(project.pintail(&["init", "sqlite:shop.db"]), @"
    exit code 9
    --- stderr
    error: nothing was written, because it would overwrite `datastores.yaml`, `pipelines/orders.yaml`
    hint: Name another folder, or move these files away.
    ");
    assert_eq!(pipelines(&project, "pipelines"), ["orders.yaml"]);
    assert!(!project.path("schemas").exists());
    let orders = std::fs::read_to_string(project.path("pipelines/orders.yaml")).expect("a file");
    assert_eq!(orders, "mine");
    // A file where a folder has to be: found out in the middle, and everything goes again.
    let project = shop();
    project.write("schemas", "mine");
    let seen = project.pintail(&["init", "sqlite:shop.db"]);
    assert_ne!(seen.code, Some(0), "{seen}");
    assert!(
        !project.path("datastores.yaml").exists() && !project.path("pipelines").exists(),
        "{seen}"
    );
}

#[test]
fn a_source_that_cannot_be_read_leaves_nothing_behind() {
    let project = Project::empty();
    assert_snapshot!(project.pintail(&["init", "sqlite:nothing.db"]), @"
    exit code 3
    --- stderr
    error: cannot open sqlite:nothing.db: there is no such file
    hint: Check the path: Pintail does not make databases that it is to read.
    ");
    project.execute("create table orders (id integer); drop table orders");
    assert_snapshot!(project.pintail(&["init", "sqlite:shop.db", "shop"]), @"
    exit code 3
    --- stderr
    error: there is no table to copy in sqlite:shop.db
    hint: Tables that the user may not read are not seen.
    ");
    assert!(!project.path("shop").exists() && !project.path("datastores.yaml").exists());
}

#[test]
fn a_server_is_written_without_its_password() {
    let server = PostgresServer::shared();
    let database = server.fresh_database();
    let user = format!("keeper_{}", database.name());
    server.create_user(&user, "canary-p%w");
    database.execute(&format!(
        "create schema sales;
         create table sales.orders (
             id bigint primary key, total numeric, tags text[], region varchar(20) not null, updated_at timestamptz not null
         );
         create table sales.parted (id bigint, day date not null, primary key (id, day)) partition by range (day);
         create table sales.parted_1 partition of sales.parted for values from ('2026-01-01') to ('2027-01-01');
         create table orders (id bigint primary key);
         insert into sales.orders values (1, 1.5, '{{a}}', 'north', now() - interval '1 hour');
         insert into sales.parted values (1, '2026-05-05');
         insert into orders values (7);
         grant usage on schema sales to {user};
         grant select on all tables in schema sales to {user};
         grant select on all tables in schema public to {user}"
    ));
    let project = Project::empty();
    let url = database.url_as(&user, "canary-p%w");
    let seen = project.succeed(&["init", &url, "project", "--json"]);
    assert!(!seen.to_string().contains("canary"), "{seen}");
    let shown = seen.json();
    let variable = shown["variables"][0].as_str().expect("a variable").to_owned();
    assert!(variable.ends_with("_PASSWORD"), "{variable}");
    for file in shown["files"].as_array().expect("files") {
        let file = format!("project/{}", file.as_str().expect("a name"));
        let text = std::fs::read_to_string(project.path(&file)).expect("a file");
        assert!(!text.contains("canary"), "{file}:\n{text}");
    }
    let files = pipelines(&project, "project/pipelines");
    assert_eq!(
        files,
        ["public.orders.yaml", "sales.orders.yaml", "sales.parted.yaml"]
    );
    for file in files {
        let file = format!("project/pipelines/{file}");
        let run = ["run", "--config", &file];
        let mut command = project.command(&run);
        let seen = Seen::of(command.env(&variable, "canary-p%w"));
        assert_eq!(seen.code, Some(0), "{file}: {seen}");
    }
    let lake = "ducklake:sqlite:project/lake.sqlite?data_path=project/lake";
    let seen = project.succeed(&["sql", lake, "select region from sales.orders", "--format", "csv"]);
    assert_eq!(seen.stdout, "region\nnorth\n");
}
