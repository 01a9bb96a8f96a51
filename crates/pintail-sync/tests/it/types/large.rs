//! Single values that are far larger than a chunk of the engine was made for.

use pintail_lake::{Access, Call, Engine, Lake};
use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::{StopSignal, Unwatched};

use crate::postgres::Copy;

#[test]
fn values_of_a_hundred_megabytes_are_copied_with_a_larger_budget_and_refused_without() {
    let copy = Copy::new(
        "create table orders (id integer primary key, note text, body bytea, meta jsonb);
         insert into orders values
           (1, repeat('größe 数 ', 8000000), null, null),
           (2, null, decode(repeat('00ff41', 34000000), 'hex'), null),
           (3, null, null, to_jsonb(repeat('x', 100000000))),
           (4, 'small', 'small', '1')",
    );
    let mut request = copy.request();
    let refused =
        pintail_sync::run(&request, &Unwatched, &StopSignal::new()).expect_err("256 MiB are not enough");
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    request.engine.memory_limit_bytes = 3 << 29;
    request.random += 1;
    let report = pintail_sync::run(&request, &Unwatched, &StopSignal::new())
        .unwrap_or_else(|error| panic!("{error}: {error:?}"));
    assert_eq!(
        (report.rows_inserted, report.parity.status),
        (4, ParityStatus::Ok)
    );
    let engine = Engine::open(&request.engine).expect("an engine");
    let lake = Lake::attach(&engine, &copy.lake(), Access::ReadOnly).expect("the lake is there");
    let session = lake.session().expect("a session");
    let sizes = session
        .query(
            Call::new("read the lake"),
            "select strlen(note), octet_length(body), strlen(meta::varchar) from lake.main.orders order by id",
        )
        .expect("the lake is read");
    let size = |row: usize| sizes[row].integer(row);
    assert_eq!(
        [size(0), size(1), size(2)],
        [Some(8_000_000 * 12), Some(102_000_000), Some(100_000_002)]
    );
}
