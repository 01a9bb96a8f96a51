//! `supports_update: false`, in every system that is written to.

use pintail_model::ErrorKind;
use pintail_sync::{Error, StopSignal, SyncReport, Unwatched};
use pintail_testkit::PostgresServer;

use crate::mariadb::Pair;

#[test]
fn rows_that_are_there_are_not_replaced_whatever_statistics_say_of_them() {
    // Whatever stands first, nobody reads it to learn whether there are rows.
    let pair = Pair::postgres(
        "create table pens (id integer primary key, item varchar(20));
         insert into pens values (1, 'pen'), (2, 'ink');
         create table documents (content bytea, id integer primary key);
         insert into documents values ('\\x00ff', 1), (null, 2);
         create table days (day date, at timestamp, id integer primary key);
         insert into days values ('2024-02-29', '2024-02-29 12:00', 1), (null, null, 2)",
    );
    let postgres = PostgresServer::shared().fresh_database();
    let places = [
        pair.target.url() + "?",
        postgres.url() + "?",
        "sqlite:kept.sqlite?".to_owned(),
        "duckdb:kept.duckdb?".to_owned(),
        "files:kept/?".to_owned(),
        "ducklake:sqlite:lake.sqlite?data_path=lake&".to_owned(),
    ];
    for (number, place) in places.iter().enumerate() {
        for table in ["pens", "documents", "days"] {
            let place = format!("{place}table={table}");
            let run = || -> Result<SyncReport, Error> {
                let mut request = pair.request(table, &place, Some("full"));
                request.spec.name = format!("{table}_{number}");
                request.spec.destination.supports_update = Some(false);
                pintail_sync::run(&request, &Unwatched, &StopSignal::new())
            };
            let report = run().unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(report.rows_inserted, 2, "{place}");
            let error = run().expect_err(&place);
            assert_eq!(error.kind(), ErrorKind::Conflict, "{place}: {error:?}");
            let text = error.to_string();
            assert!(
                text.starts_with("a full load would replace the"),
                "{place}: {text}"
            );
        }
    }
}
