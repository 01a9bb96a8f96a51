//! In front of a PostgreSQL.

use pintail_testkit::{Database, Fault, PostgresServer, TcpProxy, Trap};
use postgres::{Client, NoTls};

use super::LIMIT;

struct Shop {
    database: Database<'static>,
    proxy: TcpProxy,
}

impl Shop {
    fn open() -> Shop {
        let server = PostgresServer::shared();
        let database = server.fresh_database();
        database.execute("create table orders (id bigint primary key)");
        Shop {
            database,
            proxy: TcpProxy::start(server.address()),
        }
    }

    fn client(&self) -> Client {
        Client::connect(&self.proxy.url(self.database.name()), NoTls).unwrap()
    }

    /// Inserts one order in a transaction through the proxy.
    fn insert(&self, client: &mut Client, id: i64) -> Result<(), postgres::Error> {
        let mut transaction = client.transaction()?;
        transaction.execute("insert into orders values ($1)", &[&id])?;
        transaction.commit()
    }

    /// What the server holds, asked without the proxy.
    fn orders(&self) -> Vec<i64> {
        let rows = self
            .database
            .client()
            .query("select id from orders order by id", &[])
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[test]
fn queries_pass_unchanged() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.insert(&mut client, 1).unwrap();
    let large: String = client
        .query_one("select repeat('x', 3000000)", &[])
        .unwrap()
        .get(0);
    assert_eq!(large.len(), 3_000_000);
    assert!(client.batch_execute("select nonsense").is_err());
    shop.insert(&mut client, 2).unwrap();
    assert_eq!(shop.orders(), [1, 2]);
    assert_eq!(shop.proxy.commits_seen(), 2);
    assert!(!shop.proxy.fired());
}

#[test]
fn request_for_encryption_is_declined_by_the_server_itself() {
    use std::io::{Read, Write};
    let shop = Shop::open();
    let mut stream = std::net::TcpStream::connect(shop.proxy.address()).unwrap();
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"N");
}

#[test]
fn swallowed_answer_leaves_the_row_and_an_error() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.proxy.arm(Fault::SwallowCommitAnswer);
    let error = shop.insert(&mut client, 1).unwrap_err();
    assert!(error.is_closed() || error.code().is_none(), "{error}");
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.proxy.swallowed_answer().as_deref(), Some("COMMIT"));
    assert_eq!(shop.orders(), [1]);
}

#[test]
fn cut_before_commit_leaves_no_row() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.proxy.arm(Fault::CutBeforeCommit);
    shop.insert(&mut client, 1).unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.orders(), Vec::<i64>::new());
}

#[test]
fn trap_springs_once() {
    let shop = Shop::open();
    shop.proxy.arm(Fault::SwallowCommitAnswer);
    shop.insert(&mut shop.client(), 1).unwrap_err();
    shop.insert(&mut shop.client(), 2).unwrap();
    assert_eq!(shop.orders(), [1, 2]);
}

#[test]
fn commit_that_was_sent_when_the_connection_was_cut_is_carried_out() {
    let shop = Shop::open();
    shop.proxy.arm(Fault::CutAfterCommit);
    shop.insert(&mut shop.client(), 1).unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.proxy.swallowed_answer(), None);
    // Waits for the row's transaction to end, since it cannot see past it.
    let inserted = shop
        .database
        .client()
        .execute("insert into orders values (1) on conflict do nothing", &[]);
    assert_eq!(inserted.unwrap(), 0);
}

#[test]
fn only_the_commit_that_was_asked_for_is_hit() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.proxy.arm(Trap::new(Fault::CutBeforeCommit).at_commit(3));
    shop.insert(&mut client, 1).unwrap();
    shop.insert(&mut client, 2).unwrap();
    assert!(!shop.proxy.fired());
    shop.insert(&mut client, 3).unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.orders(), [1, 2]);
}

#[test]
fn only_a_transaction_with_the_query_is_hit() {
    let shop = Shop::open();
    let (mut plain, mut marked) = (shop.client(), shop.client());
    shop.proxy
        .arm(Trap::new(Fault::SwallowCommitAnswer).after_query("ducklake_snapshot"));

    // The query belongs to a transaction that is over.
    plain
        .batch_execute("begin; select 'ducklake_snapshot'; rollback")
        .unwrap();
    shop.insert(&mut plain, 1).unwrap();
    assert!(!shop.proxy.fired());

    marked
        .batch_execute("begin; insert into orders values (2); select 'ducklake_snapshot'; COMMIT ;")
        .unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.orders(), [1, 2]);
}

#[test]
fn commit_in_a_literal_is_no_commit() {
    let shop = Shop::open();
    shop.client().batch_execute("select '; commit'").unwrap();
    assert_eq!(shop.proxy.commits_seen(), 0);
}

#[test]
fn connection_is_cut_in_the_middle_of_an_answer() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.proxy.arm(Fault::CutAfterBytes(100_000));
    client
        .query("select * from generate_series(1, 100000)", &[])
        .unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert!(client.is_closed());
    shop.insert(&mut shop.client(), 1).unwrap();
}

#[test]
fn dropped_proxy_cuts_its_connections() {
    let Shop { database, proxy } = Shop::open();
    let mut client = Client::connect(&proxy.url(database.name()), NoTls).unwrap();
    drop(proxy);
    client.batch_execute("select 1").unwrap_err();
}

#[test]
fn held_commit_happens_when_it_is_released() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.proxy.arm(Fault::Hold);
    std::thread::scope(|scope| {
        let insert = scope.spawn(|| shop.insert(&mut client, 1));
        assert!(shop.proxy.wait_fired(LIMIT));
        assert_eq!(shop.orders(), Vec::<i64>::new());
        shop.proxy.release();
        insert.join().unwrap().unwrap();
    });
    assert_eq!(shop.orders(), [1]);
}

#[test]
fn commit_can_happen_after_the_client_has_given_up() {
    let shop = Shop::open();
    shop.proxy.arm(Fault::HoldAndCut);
    shop.insert(&mut shop.client(), 1).unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.orders(), Vec::<i64>::new());
    shop.proxy.release();
    // Waits for the row's transaction to end, since it cannot see past it.
    let inserted = shop
        .database
        .client()
        .execute("insert into orders values (1) on conflict do nothing", &[]);
    assert_eq!(inserted.unwrap(), 0);
}

#[test]
fn traps_spring_in_turn() {
    let shop = Shop::open();
    shop.proxy.arm_in_turn([
        Trap::new(Fault::SwallowCommitAnswer),
        Trap::new(Fault::CutBeforeCommit).at_query("select 'marked'"),
    ]);
    shop.insert(&mut shop.client(), 1).unwrap_err();
    assert!(!shop.proxy.fired());
    shop.insert(&mut shop.client(), 2).unwrap();
    shop.client().batch_execute("select 'marked'").unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.orders(), [1, 2]);
}

#[test]
fn trap_springs_at_the_query_that_was_asked_for() {
    let shop = Shop::open();
    let mut client = shop.client();
    let trap = Trap::new(Fault::CutBeforeCommit).at_query("'marked'");
    shop.proxy.arm(trap);
    shop.insert(&mut client, 1).unwrap();
    client.batch_execute("select 'marked'").unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.orders(), [1]);
}

#[test]
fn dropped_proxy_lets_go_of_what_it_holds() {
    let Shop { database, proxy } = Shop::open();
    let mut client = Client::connect(&proxy.url(database.name()), NoTls).unwrap();
    proxy.arm(Fault::Hold);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| client.batch_execute("begin; commit"));
        assert!(proxy.wait_fired(LIMIT));
        drop(proxy);
        // Passed on or cut, whichever comes first: it ends.
        let _ = held.join().unwrap();
    });
}
