//! In front of a MariaDB.

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Error, Opts, OptsBuilder, TxOpts};
use pintail_testkit::{Fault, MariaDbDatabase, MariaDbServer, TcpProxy, Trap, Weather};

use super::LIMIT;

struct Shop {
    database: MariaDbDatabase<'static>,
    proxy: TcpProxy,
}

impl Shop {
    fn open() -> Shop {
        let server = MariaDbServer::shared();
        let database = server.fresh_database();
        database.execute("create table orders (id bigint primary key)");
        Shop {
            database,
            proxy: TcpProxy::start_mysql(server.address()),
        }
    }

    fn client(&self) -> Conn {
        self.try_client().unwrap()
    }

    fn try_client(&self) -> mysql::Result<Conn> {
        let options = Opts::from_url(&self.proxy.url(self.database.name())).unwrap();
        Conn::new(OptsBuilder::from_opts(options).prefer_socket(false))
    }

    /// Inserts one order in a transaction through the proxy.
    fn insert(&self, client: &mut Conn, id: i64) -> Result<(), Error> {
        let mut transaction = client.start_transaction(TxOpts::default())?;
        transaction.exec_drop("insert into orders values (?)", (id,))?;
        transaction.commit()
    }

    /// What the server holds, asked without the proxy.
    fn orders(&self) -> Vec<i64> {
        let mut client = self.database.client();
        client.query("select id from orders order by id").unwrap()
    }
}

#[test]
fn queries_pass_unchanged() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.insert(&mut client, 1).unwrap();
    let large: Option<String> = client.query_first("select repeat('x', 3000000)").unwrap();
    assert_eq!(large.unwrap().len(), 3_000_000);
    client.query_drop("select nonsense").unwrap_err();
    shop.insert(&mut client, 2).unwrap();
    assert_eq!(shop.orders(), [1, 2]);
    assert_eq!(shop.proxy.commits_seen(), 2);
    assert!(!shop.proxy.fired());
}

#[test]
fn swallowed_answer_leaves_the_row_and_an_error() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.proxy.arm(Fault::SwallowCommitAnswer);
    let error = shop.insert(&mut client, 1).unwrap_err();
    assert!(error.is_connectivity_error(), "{error}");
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
    shop.insert(&mut shop.client(), 2).unwrap();
    assert_eq!(shop.orders(), [2]);
}

#[test]
fn commit_that_was_sent_when_the_connection_was_cut_is_carried_out() {
    let shop = Shop::open();
    shop.proxy.arm(Fault::CutAfterCommit);
    shop.insert(&mut shop.client(), 1).unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    assert_eq!(shop.proxy.swallowed_answer(), None);
    // Waits for the row's transaction to end, since it cannot see past it.
    let mut client = shop.database.client();
    client.query_drop("insert ignore into orders values (1)").unwrap();
    assert_eq!(client.affected_rows(), 0);
}

#[test]
fn only_the_transaction_and_the_commit_that_were_asked_for_are_hit() {
    let shop = Shop::open();
    let (mut plain, mut marked) = (shop.client(), shop.client());
    let trap = Trap::new(Fault::CutBeforeCommit).after_query("for update");
    shop.proxy.arm(trap.at_commit(2));
    shop.insert(&mut plain, 1).unwrap();
    for (id, comes_in) in [(2, true), (3, false)] {
        let mut transaction = marked.start_transaction(TxOpts::default()).unwrap();
        let _: Vec<i64> = transaction.exec("select id from orders for update", ()).unwrap();
        transaction
            .query_drop(format!("insert into orders values ({id})"))
            .unwrap();
        assert_eq!(transaction.commit().is_ok(), comes_in);
        assert_eq!(
            comes_in,
            !shop
                .proxy
                .wait_fired(if comes_in { Duration::ZERO } else { LIMIT })
        );
    }
    assert_eq!(shop.orders(), [1, 2]);
}

#[test]
fn connection_is_cut_in_the_middle_of_an_answer() {
    let shop = Shop::open();
    let mut client = shop.client();
    shop.proxy.arm(Fault::CutAfterBytes(100_000));
    let answer: Result<Vec<i64>, _> = client.query("select seq from seq_1_to_100000");
    answer.unwrap_err();
    assert!(shop.proxy.wait_fired(LIMIT));
    shop.insert(&mut shop.client(), 1).unwrap();
    shop.proxy.arm(Fault::CutAfterBytes(1));
    assert!(shop.try_client().is_err(), "cut in the greeting");
    assert!(shop.proxy.wait_fired(LIMIT));
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
fn weather_does_all_it_can_and_no_more_than_it_may() {
    let shop = Shop::open();
    let weather = Weather {
        seed: 7,
        calm_bytes: 1000,
        bytes_between: 2000,
        cuts: 5,
        commits: false,
    };
    let insert_in = |weather: Weather, ids: std::ops::Range<i64>| {
        shop.proxy.set_weather(weather);
        let inserted = ids.filter(|id| {
            let client = shop.try_client();
            client
                .and_then(|mut client| shop.insert(&mut client, *id))
                .is_ok()
        });
        let known: Vec<i64> = inserted.collect();
        (known, shop.proxy.calm())
    };
    let (mut known, felt) = insert_in(weather, 0..150);
    assert_eq!((felt.cuts, felt.commits), (5, 0), "{felt:?}");
    assert!(felt.stalls > 0 && felt.trickles > 0, "{felt:?}");

    let only_commits = Weather {
        bytes_between: 1 << 40,
        commits: true,
        ..weather
    };
    let (others, felt) = insert_in(only_commits, 150..250);
    assert_eq!((felt.cuts, felt.commits), (0, 5), "{felt:?}");
    assert!(others.len() >= 95);
    known.extend(others);

    let orders = shop.orders();
    assert!(known.iter().all(|id| orders.contains(id)));
    // What came in although nobody was told so was cut off.
    assert!(orders.len() - known.len() <= 10);
}
