//! Side tables of runs that were cut off.

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{Access, Engine, EngineSettings, SweepPolicy};
use pintail_model::{RunId, TableName};

use super::writer;

#[test]
fn side_tables_of_runs_that_are_over_are_swept_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.sqlite");
    let (over, at_work) = ("20260101_000000_aaaaaa", "20260101_000000_bbbbbb");
    writer::execute(
        &file,
        &format!(
            "create table pintail_side_{over}_00000000000000aa (id int);
             create table pintail_side_{over}_00000000000000bb (id int);
             create table pintail_side_{at_work}_00000000000000aa (id int);
             create table orders (id int)"
        ),
    );
    let to = Location::parse(&format!("sqlite:{}", file.display()), folder.path()).unwrap();
    let place = registry::destination(&to.datastore, &folder.path().join("stage")).unwrap();
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let database = place.attach(&engine, Access::ReadWrite).unwrap();
    let policy = SweepPolicy {
        own_runs: vec![RunId::from_stored(over)],
        older_than: None,
    };
    database.sweep(&TableName::bare("orders"), &policy).unwrap();
    drop((database, engine));
    let left = rusqlite::Connection::open(&file)
        .unwrap()
        .query_row("select group_concat(name, ' ') from sqlite_schema", [], |row| {
            row.get::<_, String>(0)
        })
        .unwrap();
    assert_eq!(left, format!("pintail_side_{at_work}_00000000000000aa orders"));
}
