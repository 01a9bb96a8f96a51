//! The private MariaDB: who gets in, and that nothing of it stays.

use std::path::PathBuf;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use pintail_testkit::{MariaDbOptions, MariaDbServer};

fn setting(client: &mut Conn, name: &str) -> String {
    client.query_first(format!("select @@{name}")).unwrap().unwrap()
}

fn as_user(server: &MariaDbServer, user: &str, password: &str) -> mysql::Result<Conn> {
    let options = OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(server.port())
        .prefer_socket(false)
        .user(Some(user))
        .pass(Some(password));
    Conn::new(options)
}

#[test]
fn server_answers_and_every_fresh_database_is_empty() {
    let server = MariaDbServer::shared();
    let (first, second) = (server.fresh_database(), server.fresh_database());
    assert_ne!(first.name(), second.name());
    first.execute("create table orders (id bigint); insert into orders values (1)");
    second.execute("create table orders (id bigint)");
    let rows = |client: &mut Conn| {
        client
            .query_first::<u64, _>("select count(*) from orders")
            .unwrap()
    };
    assert_eq!(rows(&mut first.client()), Some(1));
    assert_eq!(rows(&mut second.client()), Some(0));
}

#[test]
fn user_needs_the_right_password() {
    let server = MariaDbServer::shared();
    server.create_user("sync 'odd'", r"p@ss'/w:\rd");
    as_user(server, "sync 'odd'", r"p@ss'/w:\rd").unwrap();

    let error = as_user(server, "sync 'odd'", "wrong").err().unwrap();
    assert!(error.to_string().contains("Access denied"), "{error}");
}

#[test]
fn default_server_is_fast_and_durable_one_is_durable() {
    let mut fast = MariaDbServer::shared().client("mysql");
    assert_eq!(setting(&mut fast, "innodb_flush_log_at_trx_commit"), "0");

    let server = MariaDbOptions::default()
        .durable()
        .with_setting("max-connections", "17")
        .start()
        .unwrap();
    let mut durable = server.client("mysql");
    assert_eq!(setting(&mut durable, "innodb_flush_log_at_trx_commit"), "1");
    assert_eq!(setting(&mut durable, "max_connections"), "17");
}

#[test]
fn clients_can_come_through_the_socket() {
    let server = MariaDbServer::shared();
    let options = OptsBuilder::new()
        .socket(Some(server.socket().to_string_lossy()))
        .user(Some("root"));
    let mut client = Conn::new(options).unwrap();
    assert_eq!(client.query_first::<u8, _>("select 1").unwrap(), Some(1));
}

#[test]
fn setting_that_the_server_refuses_fails_with_its_log() {
    let error = MariaDbOptions::default()
        .with_setting("no-such-setting", "1")
        .start()
        .unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

#[test]
fn dropped_server_leaves_nothing() {
    let server = MariaDbServer::start().unwrap();
    let home = PathBuf::from(setting(&mut server.client("mysql"), "datadir"));
    assert!(home.exists());

    drop(server);
    assert!(!home.parent().unwrap().exists());
}
