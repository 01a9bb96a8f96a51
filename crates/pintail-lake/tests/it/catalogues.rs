//! How a Postgres catalogue is reached.

use std::time::Duration;

use pintail_lake::{
    Access, Call, Catalogue, Change, Engine, EngineSettings, Lake, LakeLocation, LeaseSettings,
};
use pintail_model::checksum::bytes_word;
use pintail_model::{ErrorKind, Secret};
use pintail_testkit::{Fault, PostgresServer, TcpProxy, Trap, assert_no_canary};

use crate::lakes::{Kind, Place, columns, commit, contents, stage, try_commit};

const PASSWORD: &str = "canary pass'w\\rd-77ab";

fn attach(location: &LakeLocation, access: Access) -> pintail_lake::Result<Lake> {
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    Lake::attach(&engine, location, access)
}

/// The same lake, reached in another way.
fn reached(place: &Place, user: &str, given: &str, secret: Option<&str>) -> LakeLocation {
    let mut location = place.location.clone();
    if let Catalogue::Postgres {
        connection,
        options,
        password,
        secrets,
        ..
    } = &mut location.catalogue
    {
        *connection = Secret::new(
            connection
                .expose()
                .replace("user=postgres", &format!("user={user}")),
        );
        *options = given.to_owned();
        *password = secret.map(Secret::new);
        secrets.extend(password.clone());
    }
    location
}

#[test]
fn the_password_of_a_catalogue_shows_nowhere() {
    let server = PostgresServer::shared();
    let place = Place::new(Kind::Postgres);
    let user = format!("keeper_{}", place.address.database);
    server.create_user(&user, PASSWORD);
    server
        .client(&place.address.database)
        .batch_execute(&format!("grant all on schema public to {user}"))
        .unwrap();
    let lake = attach(&reached(&place, &user, "", Some(PASSWORD)), Access::ReadWrite).unwrap();
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r1", "a", 0..10, 1, 1)],
    );
    let session = lake.session().unwrap();
    assert_eq!(contents(&session), (10, 10, 45, 10));
    let mut seen = String::new();
    for query in [
        "from duckdb_databases()",
        "from duckdb_secrets()",
        "from duckdb_settings()",
        "show databases",
        "from postgres_query('__ducklake_metadata_lake', 'selec')",
    ] {
        match session.table(Call::new("look"), query) {
            Ok(table) => seen.push_str(&format!("{table:?}")),
            Err(error) => seen.push_str(&format!("{error} {error:?}")),
        }
    }
    assert!(seen.contains(&user), "the queries show the connection: {seen}");
    let wrong = "canary-other-pass-12";
    let error = attach(&reached(&place, &user, "", Some(wrong)), Access::ReadOnly).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    seen.push_str(&format!(
        "{error} {error:?} {:?}",
        std::error::Error::source(&error)
    ));
    // What Debug shows is escaped.
    assert_no_canary(&seen, &[PASSWORD, "pass'w\\\\rd-77ab", "rd-77ab", wrong]);
}

#[test]
fn settings_of_the_user_and_of_the_lake_reach_the_server() {
    let place = Place::new(Kind::Postgres);
    place.open();
    let settings = |access| {
        let lake = attach(
            &reached(&place, "postgres", "-c statement_timeout=77s", None),
            access,
        )
        .unwrap();
        let sql = "from postgres_query('__ducklake_metadata_lake',
            'select current_setting(''statement_timeout'') as own, current_setting(''idle_in_transaction_session_timeout'') as idle')";
        let rows = lake.session().unwrap().query(Call::new("look"), sql).unwrap();
        [0, 1].map(|index| rows[0].text(index).unwrap().to_owned())
    };
    assert_eq!(settings(Access::ReadWrite), ["77s", "5min"]);
    assert_eq!(settings(Access::ReadOnly), ["77s", "0"]);
}

#[test]
fn a_lease_that_is_not_given_up_is_unavailable() {
    let place = Place::new(Kind::Postgres);
    let lake = place.address.open(LeaseSettings {
        wait: Duration::from_millis(200),
        ..LeaseSettings::default()
    });
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r1", "a", 0..10, 1, 1)],
    );
    let mut holder = PostgresServer::shared().client(&place.address.database);
    let number = bytes_word(b"public/shop.numbers").cast_signed();
    holder.execute("select pg_advisory_lock($1)", &[&number]).unwrap();
    let part = stage(&lake, "r2", "a", 10..20, 1, 1);
    let error = try_commit(&lake, Change::Append, vec![part.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("another process"), "{error}");
    holder
        .execute("select pg_advisory_unlock($1)", &[&number])
        .unwrap();
    commit(&lake, Change::Append, vec![part]);
    assert_eq!(contents(&lake.session().unwrap()).0, 20);
    let table = lake
        .table(&lake.session().unwrap(), &crate::lakes::numbers())
        .unwrap()
        .unwrap();
    assert!(table.matches(&columns()));
}

#[test]
fn backslashes_are_letters_whatever_the_server_thinks_of_them() {
    let place = Place::new(Kind::Postgres);
    PostgresServer::shared()
        .client("postgres")
        .batch_execute(&format!(
            "alter database {} set standard_conforming_strings = off",
            place.address.database
        ))
        .unwrap();
    let lake = place.open();
    let name = pintail_model::TableName::new("shop", r"a\'; drop table pintail_keys; --");
    let loads = crate::loads::Loads::new(&lake, name, columns());
    let select = "select 1::bigint as id, 1::bigint as version, 'x' as note";
    loads.replace(r"r\1", select);
    loads.upsert(r"r\2", select, &["id"], Some("version"));
    assert_eq!(loads.rows(), [["1", "1", "x"]]);
}

#[test]
fn a_commit_whose_session_idled_for_too_long_says_so() {
    let place = Place::new(Kind::Postgres);
    let proxy = TcpProxy::start(PostgresServer::shared().address());
    let lake = place.address.through(proxy.port()).open(LeaseSettings {
        idle: Duration::from_secs(3),
        ..LeaseSettings::default()
    });
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r1", "a", 0..10, 1, 1)],
    );
    let part = stage(&lake, "r2", "a", 10..20, 1, 1);
    // A question of the commit to its catalogue, which has begun a transaction for it.
    proxy.arm(Trap::new(Fault::Hold).at_query("ducklake_table"));
    let error = std::thread::scope(|scope| {
        let committer = scope.spawn(|| try_commit(&lake, Change::Append, vec![part.clone()]));
        assert!(proxy.wait_fired(crate::roles::LIMIT));
        wait_until_ended(&place);
        proxy.release();
        committer.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("idled"), "{error:?}");
    assert!(error.hint().is_some());
    commit(&place.open(), Change::Append, vec![part]);
}

/// Waits until the server has ended all sessions that idle in a transaction.
fn wait_until_ended(place: &Place) {
    let mut client = PostgresServer::shared().client("postgres");
    let sql =
        "select count(*) from pg_stat_activity where datname = $1 and state like 'idle in transaction%'";
    let deadline = std::time::Instant::now() + crate::roles::LIMIT;
    while client
        .query_one(sql, &[&place.address.database])
        .unwrap()
        .get::<_, i64>(0)
        > 0
    {
        assert!(std::time::Instant::now() < deadline, "sessions idle for ever");
    }
}
