//! `supports_update: false`, in every system that is written to.

use pintail_model::ErrorKind;
use pintail_sync::{Error, StopSignal, SyncReport, Unwatched};
use pintail_testkit::PostgresServer;

use crate::mariadb::Pair;

#[test]
fn rows_that_are_there_are_not_replaced_whatever_statistics_say_of_them() {
    let pair = Pair::postgres(
        "create table orders (id integer primary key, item varchar(20));
         insert into orders values (1, 'pen'), (2, 'ink')",
    );
    let postgres = PostgresServer::shared().fresh_database();
    let places = [
        pair.place(),
        format!("{}?table=orders", postgres.url()),
        "sqlite:kept.sqlite?table=orders".to_owned(),
        "duckdb:kept.duckdb?table=orders".to_owned(),
        "files:kept/?table=orders".to_owned(),
        "ducklake:sqlite:lake.sqlite?data_path=lake&table=orders".to_owned(),
    ];
    for (number, place) in places.iter().enumerate() {
        let run = || -> Result<SyncReport, Error> {
            let mut request = pair.request("orders", place, Some("full"));
            request.spec.name = format!("orders_{number}");
            request.spec.destination.supports_update = Some(false);
            pintail_sync::run(&request, &Unwatched, &StopSignal::new())
        };
        let report = run().unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(report.rows_inserted, 2, "{place}");
        let error = run().expect_err(place);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{place}: {error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with("a full load would replace the"),
            "{place}: {text}"
        );
    }
}
