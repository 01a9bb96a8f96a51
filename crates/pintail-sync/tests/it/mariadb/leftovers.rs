//! What a run left behind that died is taken away by the next one.

use pintail_model::checksum::bytes_word;

use super::{Pair, execute};

#[test]
fn helping_tables_of_the_dead_are_dropped_and_those_of_other_tables_stay() {
    let pair = Pair::mariadb("create table orders (id int primary key); insert into orders values (1), (2)");
    pair.run(None);
    let word = |table: &str| {
        let name = format!("{}\0{table}", pair.target.name());
        format!("{:016x}", bytes_word(name.as_bytes()))
    };
    let (own, other) = (word("orders"), word("others"));
    execute(
        &pair.target,
        &format!(
            "create table pintail_stage_{own}_0123456789abcdef (c0 int);
             create table pintail_side_{own}_0123456789abcdef (c0 int);
             create table pintail_old_{own}_fedcba9876543210 (c0 int);
             create view pintail_into_{own}_0123456789abcdef as select id as c0 from orders;
             create table pintail_stage_{other}_0123456789abcdef (c0 int)"
        ),
    );
    pair.try_run(Some("full")).expect("a full load");
    assert_eq!(
        pair.ask(
            "select group_concat(table_name order by 1) from information_schema.tables where table_schema = database()"
        ),
        format!("orders,pintail_ledger,pintail_stage_{other}_0123456789abcdef")
    );
}
