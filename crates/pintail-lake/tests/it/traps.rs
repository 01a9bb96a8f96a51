//! What DuckLake does on the version that we pin, where it is not what one would expect. The commit protocol is built
//! around these. A test that fails here means that a new version changed something: its message says what to do then.

use std::path::PathBuf;

use pintail_lake::{Call, Change, Engine, FaultClass, Lake, LeaseSettings, Session};
use pintail_model::ErrorKind;
use pintail_testkit::{Fault, PostgresServer, TcpProxy, Trap};

use crate::lakes::{Kind, Place, commit, contents, shown, stage, stage_attempt, try_commit, upsert};

/// Two sessions of one lake with a table `t(k, v)`.
struct Pair {
    place: Place,
    lake: Lake,
    first: Session,
    second: Session,
}

impl Pair {
    fn new() -> Self {
        let place = Place::new(Kind::DuckDb);
        let lake = place.open();
        let (first, second) = (lake.session().unwrap(), lake.session().unwrap());
        let pair = Self {
            place,
            lake,
            first,
            second,
        };
        pair.run("create table lake.t (k bigint, v bigint)");
        pair
    }

    fn run(&self, sql: &str) {
        run(&self.first, sql);
    }

    /// Both begin, then both act, then the first commits, then the second. Returns how the second commit ended.
    fn race(&self, first: &str, second: &str) -> pintail_lake::Result<()> {
        self.first.begin().unwrap();
        self.second.begin().unwrap();
        // A transaction begins with its first look at the table.
        for (session, sql) in [(&self.first, first), (&self.second, second)] {
            number(session, "select count(*) from lake.t");
            run(session, sql);
        }
        run(&self.first, "commit");
        self.second.batch(Call::new("commit"), "commit")
    }

    fn number(&self, sql: &str) -> i64 {
        number(&self.lake.session().unwrap(), sql)
    }

    /// Writes a file of rows `k, v` and returns its path.
    fn file(&self, name: &str, select: &str) -> PathBuf {
        let folder = self.lake.location().data_path.join("main/t");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        self.run(&format!(
            "copy ({select}) to '{}' (format parquet)",
            path.display()
        ));
        path
    }
}

fn run(session: &Session, sql: &str) {
    let ran = session.batch(Call::new("set a trap"), sql);
    ran.unwrap_or_else(|error| shown(&error));
}

fn number(session: &Session, sql: &str) -> i64 {
    let rows = session.query(Call::new("count"), sql);
    rows.unwrap_or_else(|error| shown(&error))[0].integer(0).unwrap()
}

#[track_caller]
fn assert_refused(result: pintail_lake::Result<()>, advice: &str) {
    let error = result.expect_err(advice);
    assert_eq!(error.kind(), ErrorKind::Conflict, "{advice}");
}

#[test]
fn two_upserts_of_an_absent_key_both_commit() {
    let pair = Pair::new();
    let upsert = "delete from lake.t where k = 42; insert into lake.t values (42, 1)";
    pair.race(upsert, upsert).unwrap();
    assert_eq!(
        pair.number("select count(v) from lake.t"),
        2,
        "DuckLake now notices a DELETE of nothing (its issue 1393): say so in docs/concepts/commit-protocol.md. The lease and the fence stay."
    );
}

#[test]
fn two_merges_of_an_absent_key_both_commit() {
    let pair = Pair::new();
    let merge = "merge into lake.t using (select 42 as k, 1 as v) as s on t.k = s.k
                 when matched then update set v = s.v when not matched then insert values (s.k, s.v)";
    pair.race(merge, merge).unwrap();
    assert_eq!(
        pair.number("select count(v) from lake.t"),
        2,
        "DuckLake now notices two MERGEs of an absent key: say so in docs/concepts/commit-protocol.md."
    );
}

#[test]
fn replacing_different_partitions_is_a_conflict() {
    let pair = Pair::new();
    pair.run("alter table lake.t set partitioned by (k); insert into lake.t select i % 2, i from range(100) as r(i)");
    let replace = |k| format!("delete from lake.t where k = {k}; insert into lake.t values ({k}, -1)");
    assert_refused(
        pair.race(&replace(0), &replace(1)),
        "DuckLake now lets two transactions replace different partitions: commits of one table need not queue any more, measure without the lease.",
    );
    assert_eq!(pair.number("select count(v) from lake.t"), 51);
}

#[test]
fn two_plain_inserts_both_commit() {
    let pair = Pair::new();
    pair.race("insert into lake.t values (1, 1)", "insert into lake.t values (1, 1)")
        .expect("DuckLake now refuses two inserts at once: other programs that append disturb our commits, raise the attempts.");
    assert_eq!(pair.number("select count(v) from lake.t"), 2);
}

#[test]
fn two_claims_of_one_thing_both_commit() {
    let pair = Pair::new();
    let claim = "insert into lake.t select 7, 1 where not exists (from lake.t where k = 7)";
    pair.race(claim, claim).unwrap();
    assert_eq!(
        pair.number("select count(v) from lake.t where k = 7"),
        2,
        "DuckLake now refuses a second claim: the ledger alone may be enough as a fence, think again about the trigger."
    );
}

#[test]
fn an_insert_and_a_delete_of_other_rows_are_a_conflict() {
    let pair = Pair::new();
    pair.run("insert into lake.t select i, i from range(100) as r(i)");
    assert_refused(
        pair.race(
            "insert into lake.t values (1000, 1)",
            "delete from lake.t where k < 10",
        ),
        "DuckLake now lets a DELETE pass beside an INSERT: other programs that append no longer disturb our commits.",
    );
    assert_eq!(pair.number("select count(v) from lake.t"), 101);
}

#[test]
fn an_inlined_delete_beside_a_delete_file_is_miscounted() {
    let pair = Pair::new();
    pair.run(
        "insert into lake.t select i, i from range(100) as r(i);
         call lake.set_option('data_inlining_row_limit', 10, table_name => 't')",
    );
    pair.race(
        "delete from lake.t where k < 5",
        "delete from lake.t where k < 60",
    )
    .unwrap();
    // 60 rows are gone, so 40 is right. 35 subtracts twice, and a reader gets rows back that were deleted.
    let counted = pair.number("select count(*) from lake.t");
    let read = pair.number("select length(list(v)) from lake.t");
    assert!(
        counted == 35 && read > 40,
        "DuckLake now counts {counted} and reads {read} rows after an inlined delete beside a delete file (its issue 1215): if both are 40, inlined deletes are worth another look."
    );
}

#[test]
fn only_one_of_two_creates_a_table() {
    let pair = Pair::new();
    assert_refused(
        pair.race(
            "create table lake.once (i integer)",
            "create table lake.once (i integer)",
        ),
        "DuckLake now lets two transactions create one table: our commit that creates a table needs another safeguard.",
    );
}

#[test]
fn a_file_that_is_added_twice_doubles_its_rows() {
    let pair = Pair::new();
    let file = pair.file("staged.parquet", "select i as k, i as v from range(10) as r(i)");
    let add = format!("call ducklake_add_data_files('lake', 't', '{}')", file.display());
    pair.run(&add);
    let again = pair.first.batch(Call::new("add"), &add);
    assert!(
        again.is_ok() && pair.number("select count(v) from lake.t") == 20,
        "DuckLake now refuses a file that it has: the ledger is one of two safeguards then, say so in docs/concepts/commit-protocol.md."
    );
}

#[test]
fn a_unique_index_refuses_a_second_commit_of_the_same_text() {
    let pair = Pair::new();
    pair.run(
        "set global ducklake_max_retry_count = 2;
         create unique index once on __ducklake_metadata_lake.main.ducklake_snapshot_changes (commit_extra_info)",
    );
    let commit = |value: i64| {
        pair.first.batch(
            Call::new("commit"),
            &format!(
                "begin; insert into lake.t values ({value}, 1);
                 call lake.set_commit_message('a', 'm', extra_info => 'key'); commit"
            ),
        )
    };
    commit(1).unwrap();
    assert_refused(
        commit(2),
        "An index on DuckLake's own table has no effect any more: neither may the fence's trigger have, see sql/postgres_fence.sql.",
    );
    pair.first.rollback();
    assert_eq!(pair.number("select count(v) from lake.t"), 1);
}

#[test]
fn a_staged_partition_is_added_with_its_value_from_the_path() {
    let pair = Pair::new();
    pair.run("alter table lake.t set partitioned by (k)");
    let folder = pair.lake.location().data_path.join("main/t/k=1");
    std::fs::create_dir_all(&folder).unwrap();
    let file = pair.file("k=1/staged.parquet", "select i as v from range(10) as r(i)");
    pair.run(&format!(
        "call ducklake_add_data_files('lake', 't', '{}', hive_partitioning => true)",
        file.display()
    ));
    let found = [
        "select count(v) from lake.t where k = 1",
        "select count(*) from __ducklake_metadata_lake.main.ducklake_file_partition_value where partition_value = '1'",
    ]
    .map(|sql| pair.number(sql));
    assert_eq!(
        found,
        [10, 1],
        "DuckLake now treats staged files of partitioned tables differently: before lakes get partitioned tables, stage another way."
    );
}

#[test]
fn another_programs_insert_makes_our_delete_fail_and_keeps_what_we_staged() {
    let pair = Pair::new();
    pair.run("insert into lake.t select i, i from range(100) as r(i)");
    let file = pair.file("staged.parquet", "select i as k, -1 as v from range(10) as r(i)");
    let ours = format!(
        "delete from lake.t where k < 10; call ducklake_add_data_files('lake', 't', '{}')",
        file.display()
    );
    assert_refused(
        pair.race("insert into lake.t values (1000, 1)", &ours),
        "DuckLake now lets our commit pass beside an INSERT: it need not be repeated any more.",
    );
    assert!(
        file.exists(),
        "DuckLake now removes files that it did not write when a commit fails: stage where it cannot reach, and copy."
    );
    assert_eq!(pair.number("select count(v) from lake.t"), 101);
}

#[test]
fn expiry_forgets_what_a_commit_said() {
    let pair = Pair::new();
    pair.run(
        "begin; insert into lake.t values (1, 1);
         call lake.set_commit_message('a', 'm', extra_info => 'key'); commit;
         insert into lake.t values (2, 2)",
    );
    let said = "select count(*) from lake.snapshots() where commit_extra_info = 'key'";
    let snapshot = pair.number("select snapshot_id from lake.snapshots() where commit_extra_info = 'key'");
    pair.run(&format!(
        "call ducklake_expire_snapshots('lake', versions => [{snapshot}])"
    ));
    assert_eq!(
        pair.number(said),
        0,
        "DuckLake now keeps what commits said: an index on it would be a fence, the key table could go."
    );
}

#[test]
fn a_count_does_not_notice_that_a_file_is_gone() {
    let pair = Pair::new();
    pair.run("insert into lake.t select i, i from range(100) as r(i)");
    for file in crate::lakes::parquet_files(&pair.place.location.data_path) {
        std::fs::remove_file(file).unwrap();
    }
    let count = pair
        .first
        .query(Call::new("count"), "select count(*) from lake.t");
    assert!(
        count.is_ok_and(|rows| rows[0].integer(0) == Some(100)),
        "COUNT now reads the files: the check of all files after a lost answer may be a count."
    );
    let read = pair.first.query(Call::new("read"), "select sum(v) from lake.t");
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_connection_that_breaks_under_the_ledger_ends_the_engine() {
    let place = Place::new(Kind::Postgres);
    let proxy = TcpProxy::start(PostgresServer::shared().address());
    let behind = place.address.through(proxy.port());
    let lake = behind.open(LeaseSettings::default());
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r1", "a", 0..10, 1, 1)],
    );
    proxy.arm(Trap::new(Fault::CutBeforeCommit).at_query("ducklake_inlined_data"));
    let part = stage(&lake, "r2", "a", 0..10, 1, 2);
    let error = try_commit(&lake, upsert(), vec![part.clone()]);
    let ended = matches!(
        &error,
        Err(pintail_lake::Error::Statement { source, .. }) if source.class == FaultClass::Ended
    );
    assert!(
        ended,
        "DuckLake now survives a connection that breaks while it reads inlined rows: `commit::fence::known` may ask the ledger on Postgres too. {error:?}"
    );
    // Nothing is in, and a new engine goes on.
    let lake = behind.open(LeaseSettings::default());
    assert_eq!(contents(&lake.session().unwrap()), (10, 10, 45, 10));
    commit(&lake, upsert(), vec![part]);
    assert_eq!(contents(&lake.session().unwrap()), (10, 10, 45, 20));
}

#[test]
fn without_the_fence_a_stopped_committer_doubles_rows() {
    let place = Place::new(Kind::Postgres);
    let lake = place.open();
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r0", "all", 0..100, 1, 1)],
    );
    let server = PostgresServer::shared();
    let mut client = server.client(&place.address.database);
    client
        .batch_execute("alter table ducklake_snapshot_changes disable trigger pintail_fence")
        .unwrap();
    let proxy = TcpProxy::start(server.address());
    let behind = place.address.through(proxy.port()).open(LeaseSettings::default());
    proxy.arm(Trap::new(Fault::Hold).at_query("ducklake_snapshot VALUES"));
    let stale = stage_attempt(&behind, "r1", "a", 2, 100..200, 1, 2);
    let outcome = std::thread::scope(|scope| {
        let late = scope.spawn(|| try_commit(&behind, Change::Append, vec![stale]));
        assert!(proxy.wait_fired(crate::roles::LIMIT));
        // Its lease ends, another one commits the same partition, and the snapshot of that expires.
        client
            .execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted",
                &[],
            )
            .unwrap();
        commit(
            &lake,
            Change::Append,
            vec![stage(&lake, "r1", "a", 100..200, 1, 2)],
        );
        commit(
            &lake,
            Change::Append,
            vec![stage(&lake, "r2", "a", 200..210, 1, 2)],
        );
        let session = lake.session().unwrap();
        let newest = lake.snapshot(&session).unwrap();
        let all: Vec<String> = (0..newest).map(|version| version.to_string()).collect();
        run(
            &session,
            &format!(
                "call ducklake_expire_snapshots('lake', versions => [{}])",
                all.join(", ")
            ),
        );
        proxy.release();
        late.join().unwrap()
    });
    outcome.unwrap_or_else(|error| shown(&error));
    let (rows, ids, ..) = contents(&lake.session().unwrap());
    assert_eq!(
        (rows, ids),
        (310, 210),
        "DuckLake now refuses a commit that began before an expired one: the fence on Postgres may be more than is needed."
    );
}

#[test]
fn extensions_for_instants_are_not_needed() {
    let engine = Engine::open(&pintail_lake::EngineSettings::default()).unwrap();
    let session = engine.session().unwrap();
    let loaded = "select count(*) from duckdb_extensions() where loaded and extension_name = 'icu'";
    assert_eq!(
        number(&session, loaded),
        0,
        "`icu` is compiled in now: instants are shown in the machine's time zone unless the engine sets one."
    );
}
