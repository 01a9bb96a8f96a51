//! The private server: who gets in, and that nothing of it stays.

use std::path::PathBuf;

use pintail_testkit::{PostgresOptions, PostgresServer};
use postgres::{Client, NoTls};

fn setting(client: &mut Client, name: &str) -> String {
    client.query_one(&format!("show {name}"), &[]).unwrap().get(0)
}

#[test]
fn server_answers_and_every_fresh_database_is_empty() {
    let server = PostgresServer::shared();
    let (first, second) = (server.fresh_database(), server.fresh_database());
    assert_ne!(first.name(), second.name());
    first.execute("create table orders (id bigint)");
    second.execute("create table orders (id bigint)");
    assert_eq!(
        first.client().query("select * from orders", &[]).unwrap().len(),
        0
    );
}

#[test]
fn user_needs_the_right_password() {
    let server = PostgresServer::shared();
    let database = server.fresh_database();
    server.create_user("sync \"odd\"", "p@ss'/w:rd");
    Client::connect(&database.url_as("sync \"odd\"", "p@ss'/w:rd"), NoTls).unwrap();

    let error = Client::connect(&database.url_as("sync \"odd\"", "wrong"), NoTls)
        .err()
        .unwrap();
    let code = error.code().unwrap().code();
    assert_eq!(code, "28P01", "{error}");
}

#[test]
fn default_server_is_fast_and_durable_one_is_durable() {
    let mut fast = PostgresServer::shared().client("postgres");
    assert_eq!(setting(&mut fast, "fsync"), "off");

    let server = PostgresOptions::default()
        .durable()
        .with_setting("max_connections", "17")
        .start()
        .unwrap();
    let mut durable = server.client("postgres");
    assert_eq!(setting(&mut durable, "fsync"), "on");
    assert_eq!(setting(&mut durable, "max_connections"), "17");
}

#[test]
fn setting_that_the_server_refuses_fails_with_its_log() {
    let error = PostgresOptions::default()
        .with_setting("max_connections", "none")
        .start()
        .unwrap_err();
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[test]
fn dropped_server_leaves_nothing() {
    let server = PostgresServer::start().unwrap();
    let home: String = setting(&mut server.client("postgres"), "data_directory");
    let url = server.url("postgres");
    assert!(PathBuf::from(&home).exists());

    drop(server);
    assert!(!PathBuf::from(&home).parent().unwrap().exists());
    assert!(Client::connect(&url, NoTls).is_err());
}

/// The thread that started the shared server is gone when the next test uses it.
#[test]
fn shared_server_outlives_the_thread_that_started_it() {
    std::thread::spawn(|| PostgresServer::shared().port())
        .join()
        .unwrap();
    let mut client = PostgresServer::shared().client("postgres");
    assert_eq!(client.query_one("select 1", &[]).unwrap().get::<_, i32>(0), 1);
}
