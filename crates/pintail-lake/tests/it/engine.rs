//! The one door to DuckDB: calls that are ended from outside, and errors that say what happened and nothing else.

use std::error::Error as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pintail_lake::connector::Attachment;
use pintail_lake::{
    Access, Call, Catalogue, Change, Engine, EngineSettings, Error, FaultClass, Lake, LakeLocation,
    LeaseSettings, Session, SweepPolicy,
    extension::{self, Extension},
};
use pintail_model::{ErrorKind, Secret};
use pintail_testkit::{PostgresServer, Process, assert_no_canary, limit_file_sizes};
use serde::{Deserialize, Serialize};

use crate::lakes::{
    Address, KINDS, Place, assert_sound, assert_swept, commit, contents, numbers, shown, stage, try_commit,
    upsert,
};
use crate::roles::{Role, answer, answers, assert_ends_well};

/// Runs for years.
const ENDLESS: &str = "select count(*) from range(100000000000) as a, range(1000) as b";

/// Runs for a good while, as calls go: longer than it takes until an interrupt is repeated.
const LONG: &str = "select count(*) from range(200000000) as a where range % 7 = 3";

fn engine() -> Engine {
    Engine::open(&EngineSettings::default()).unwrap()
}

fn within(deadline: Duration) -> Call<'static> {
    Call {
        deadline: Some(deadline),
        ..Call::new("count for ever")
    }
}

/// Everything that an error says to anybody who prints it, its causes included.
fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {:?}", error.hint());
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    text
}

#[test]
fn a_call_that_misses_its_deadline_is_interrupted_and_named() {
    let session = engine().session().unwrap();
    let error = session
        .query(within(Duration::from_millis(60)), ENDLESS)
        .unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
    assert_eq!(error.to_string(), "cannot count for ever: no answer within 60ms");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint().is_some());
}

#[test]
fn a_deadline_of_the_engine_holds_for_calls_without_their_own() {
    let settings = EngineSettings {
        deadline: Duration::from_millis(60),
        ..EngineSettings::default()
    };
    let session = Engine::open(&settings).unwrap().session().unwrap();
    let error = session.query(Call::new("count for ever"), ENDLESS).unwrap_err();
    assert_eq!(error.to_string(), "cannot count for ever: no answer within 60ms");
}

#[test]
fn a_deadline_that_passes_before_the_statement_runs_ends_it_all_the_same() {
    // DuckDB forgets an interrupt when it begins a statement: the first one of these comes too early for the last.
    let session = engine().session().unwrap();
    let several = format!("select 1; select 2; select 3; {ENDLESS}");
    for _ in 0..8 {
        for sql in [ENDLESS, &several] {
            let error = session.execute(within(Duration::ZERO), sql).unwrap_err();
            assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        }
    }
}

#[test]
fn an_interrupt_does_not_reach_the_next_call_of_the_session() {
    let session = engine().session().unwrap();
    for round in 0..5 {
        let deadline = Duration::from_micros(round * 600);
        let error = session.execute(within(deadline), ENDLESS).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        let rows = session.query(Call::new("count"), LONG);
        let rows = rows.unwrap_or_else(|error| shown(&error));
        assert_eq!(rows[0].integer(0), Some(28_571_429), "round {round}");
    }
}

#[test]
fn a_request_to_stop_ends_a_call_whenever_it_comes() {
    for round in 0..16_u32 {
        let engine = engine();
        let (session, stopper) = (engine.session().unwrap(), engine.stopper());
        let error = std::thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            scope.spawn(move || {
                receiver.recv().unwrap();
                (0..round * 100).for_each(|_| std::thread::yield_now());
                stopper.stop();
            });
            sender.send(()).unwrap();
            session.query(Call::new("count for ever"), ENDLESS).unwrap_err()
        });
        assert!(matches!(error, Error::Cancelled { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "stopped on request while trying to count for ever"
        );
        assert!(engine.stopped());
    }
}

#[test]
fn a_protected_call_outlives_a_request_to_stop_and_not_its_deadline() {
    let engine = engine();
    let session = engine.session().unwrap();
    let protected = Call::new("count").protected();
    std::thread::scope(|scope| {
        let counted = scope.spawn(|| session_of(&engine).query(protected, LONG));
        // When this one has come and gone, the other is under way.
        session
            .query(within(Duration::from_millis(60)), ENDLESS)
            .unwrap_err();
        engine.stopper().stop();
        let rows = counted.join().unwrap().unwrap_or_else(|error| shown(&error));
        assert_eq!(rows[0].integer(0), Some(28_571_429));
    });
    let refused = session.query(Call::new("look"), "select 1").unwrap_err();
    assert_eq!(refused.to_string(), "stopped on request while trying to look");
    let rows = session.query(protected, "select 1").unwrap();
    assert_eq!(rows[0].integer(0), Some(1));
    let late = Call {
        deadline: Some(Duration::from_millis(60)),
        ..protected
    };
    assert!(matches!(
        session.query(late, ENDLESS).unwrap_err(),
        Error::Deadline { .. }
    ));
}

fn session_of(engine: &Engine) -> Session {
    engine.session().unwrap()
}

#[test]
fn secrets_are_struck_out_of_errors_in_every_spelling() {
    let engine = engine();
    let secret = "canary it's\\secret-7f3a";
    engine.protect(&Secret::new(secret));
    let session = engine.session().unwrap();
    let doubled = secret.replace('\'', "''");
    for sql in [
        format!("from \"{secret}\""),
        format!("from read_parquet('/nowhere/{doubled}')"),
        format!("select error('{doubled}')"),
        format!("select from where '{doubled}'"),
    ] {
        let error = session.query(Call::new("look"), &sql).unwrap_err();
        let Error::Statement { source, .. } = &error else {
            panic!("{error:?}");
        };
        for text in [everything(&error), source.raw_text().to_owned()] {
            assert_no_canary(&text, &[secret, &doubled, "secret-7f3a"]);
        }
    }
}

#[test]
fn secrets_of_an_attachment_are_struck_out_of_its_errors() {
    let (password, engine) = ("canary-pw-51d0", engine());
    let dsn = format!("host=127.0.0.1 port=9 user=sync password={password} dbname=shop");
    let attachment = Attachment {
        extensions: vec![extension::POSTGRES],
        statements: vec![Secret::new(format!("attach '{dsn}' as source (type postgres)"))],
        secrets: vec![Secret::new(password)],
    };
    let error = engine.attach("attach source", &attachment).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.kind()),
        ("cannot attach source", ErrorKind::Unavailable)
    );
    assert!(everything(&error).contains("Connection refused"), "{error:?}");
    assert_no_canary(&everything(&error), &[password]);
}

#[test]
fn values_are_not_shown_in_errors() {
    let value = "canary-cell-90b1";
    let server = PostgresServer::shared();
    let database = server.fresh_database();
    database.execute("create table notes (note text primary key)");
    let engine = engine();
    let attach = format!(
        "attach 'host=127.0.0.1 port={} user=postgres dbname={}' as source (type postgres)",
        server.port(),
        database.name()
    );
    let attachment = Attachment {
        extensions: vec![extension::POSTGRES],
        statements: vec![Secret::new(attach)],
        secrets: Vec::new(),
    };
    engine.attach("attach source", &attachment).unwrap();
    let session = engine.session().unwrap();
    session
        .batch(
            Call::new("prepare"),
            &format!(
                "create table notes (note varchar primary key, number integer check (number < 3));
                 insert into notes values ('{value}', 1)"
            ),
        )
        .unwrap();
    let twice = "values (''canary-cell-90b1''), (''canary-cell-90b1'')";
    for (sql, kind) in [
        ("select note::integer from notes".to_owned(), ErrorKind::Data),
        (
            "select strptime(note, '%Y') from notes".to_owned(),
            ErrorKind::Data,
        ),
        (
            "insert into notes select note, 2 from notes".to_owned(),
            ErrorKind::Conflict,
        ),
        ("select error(note) from notes".to_owned(), ErrorKind::Data),
        (
            format!("call postgres_execute('source', 'insert into notes {twice}')"),
            ErrorKind::Conflict,
        ),
        (
            format!("insert into source.notes values ('{value}'), ('{value}')"),
            ErrorKind::Conflict,
        ),
    ] {
        let error = session.query(Call::new("read notes"), &sql).unwrap_err();
        let Error::Statement { source, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(
            source.raw_text().contains(value),
            "{sql} is no test of anything: {}",
            source.raw_text()
        );
        assert_no_canary(&everything(&error), &[value]);
        assert_eq!(error.kind(), kind, "{sql}: {error:?}");
    }
}

#[test]
fn a_missing_extension_is_named_with_the_way_out() {
    let engine = engine();
    // As on a machine that does not reach the official repository.
    let session = engine.session().unwrap();
    let sql = "set global custom_extension_repository = '/nowhere'";
    session.batch(Call::new("prepare"), sql).unwrap();
    let error = engine.load(Extension("pintail_missing")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot load DuckDB extension `pintail_missing`"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let hint = error.hint().unwrap();
    for part in [
        "scripts/setup",
        "`pintail_missing.duckdb_extension` of DuckDB v1.5.5",
        "PINTAIL_EXTENSION_DIR",
        "pintail doctor",
    ] {
        assert!(hint.contains(part), "{hint}");
    }
}

#[test]
fn an_extension_that_is_none_is_refused_and_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("ducklake.duckdb_extension"),
        "not signed by anybody",
    )
    .unwrap();
    let settings = EngineSettings {
        extension_folder: Some(folder.path().to_path_buf()),
        ..EngineSettings::default()
    };
    let error = Engine::open(&settings)
        .unwrap()
        .load(extension::DUCKLAKE)
        .unwrap_err();
    let Error::Extension { searched, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(searched.first().map(PathBuf::as_path), Some(folder.path()));
    assert!(error.hint().is_some());
}

#[test]
fn a_full_device_is_told_from_other_failures() {
    let session = engine().session().unwrap();
    let sql = "copy (select repeat('x', 1000) from range(10000)) to '/dev/full' (format csv)";
    let error = session.execute(Call::new("write a file"), sql).unwrap_err();
    let Error::Statement { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (source.class, error.kind()),
        (FaultClass::Full, ErrorKind::Unavailable)
    );
}

#[test]
fn a_folder_to_spill_to_that_cannot_be_used_fails_the_statement_and_not_the_engine() {
    let settings = EngineSettings {
        memory_limit_bytes: 24 << 20,
        // The kernel's own folder refuses files even to root, whom permissions do not stop.
        temp_folder: Some(PathBuf::from("/sys/kernel/spill")),
        ..EngineSettings::default()
    };
    let session = Engine::open(&settings).unwrap().session().unwrap();
    let sql = "select count(*) from (select distinct hash(range)::varchar || range from range(3000000))";
    let error = session.query(Call::new("count"), sql).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Unavailable),
        "{error:?}"
    );
    assert_eq!(
        session.query(Call::new("look"), "select 1").unwrap()[0].integer(0),
        Some(1)
    );
}

#[test]
fn a_folder_that_may_not_be_written_is_refused_before_a_lake_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let location = LakeLocation {
        catalogue: Catalogue::Sqlite(folder.path().join("lake.sqlite")),
        data_path: PathBuf::from("/sys/kernel/lake"),
        bucket: None,
    };
    let error = Lake::attach(&engine(), &location, Access::ReadWrite).unwrap_err();
    assert_eq!(error.to_string(), "cannot create folder `/sys/kernel/lake`");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Commits where there is no room to write.
#[derive(Serialize, Deserialize)]
pub(crate) struct Cramped {
    address: Address,
}

impl Cramped {
    pub(crate) fn play(&self) {
        let lake = self.address.open(LeaseSettings::default());
        let parts = vec![stage(&lake, "r1", "b", 10..20, 1, 2)];
        commit(&lake, upsert(), vec![stage(&lake, "r1", "a", 0..10, 1, 2)]);
        limit_file_sizes(256);
        let error = try_commit(&lake, upsert(), parts).unwrap_err();
        answer(&(error.kind().as_str(), everything(&error)));
    }
}

#[test]
fn a_commit_without_room_changes_nothing_and_succeeds_when_there_is_some() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r0", "a", 0..1000, 1, 1)],
        );
        lake.detach().unwrap();
        let role = Role::Cramped(Cramped {
            address: place.address.clone(),
        });
        let mut child = Process::spawn(&mut ignoring_file_limits(&role.command()));
        assert_ends_well(&mut child);
        let said: Vec<(String, String)> = answers(&child);
        assert_eq!(said[0].0, "unavailable", "{kind:?}: {said:?}");

        let lake = place.open();
        assert_sound(&lake, &format!("{kind:?}, without room"));
        assert_eq!(contents(&lake.session().unwrap()), (1000, 1000, 499_500, 1010));
        let parts = vec![stage(&lake, "r1", "b", 10..20, 1, 2)];
        let outcome = commit(&lake, upsert(), parts);
        assert_eq!((outcome.committed.len(), outcome.rows_updated), (1, 10));
        assert_eq!(contents(&lake.session().unwrap()), (1000, 1000, 499_500, 1020));
        // A delete file that could not be written to its end is forgotten by DuckLake, and goes with a sweep.
        let policy = SweepPolicy {
            own_runs: Vec::new(),
            older_than: Some(Duration::ZERO),
        };
        lake.sweep(&numbers(), &policy).unwrap();
        assert_swept(&lake, &format!("{kind:?}, with room"));
    }
}

/// The same command, which goes on when a file may not grow.
fn ignoring_file_limits(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    shell
}

#[test]
fn a_lake_of_a_newer_format_is_refused_on_every_catalogue() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r0", "a", 0..10, 1, 1)],
        );
        lake.detach().unwrap();
        set_format(&place, "99.0");
        for access in [Access::ReadOnly, Access::ReadWrite] {
            let error = Lake::attach(&engine(), &place.location, access).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::Invalid,
                "{kind:?}, {access:?}: {error:?}"
            );
            let message = error.to_string();
            assert!(
                message.ends_with("has a catalogue format that this release does not know"),
                "{message}"
            );
        }
        // It was left as it is: with its own number again, everything is there.
        set_format(&place, "1.0");
        let lake = place.open();
        assert_eq!(contents(&lake.session().unwrap()), (10, 10, 45, 10), "{kind:?}");
    }
}

/// Writes another format into a catalogue, which nobody has attached.
fn set_format(place: &Place, version: &str) {
    let engine = engine();
    let (extension, address) = match &place.location.catalogue {
        Catalogue::Sqlite(path) => (
            vec![extension::SQLITE],
            format!("'{}' as catalogue (type sqlite)", path.display()),
        ),
        Catalogue::DuckDb(path) => (Vec::new(), format!("'{}' as catalogue", path.display())),
        Catalogue::Postgres { connection, .. } => (
            vec![extension::POSTGRES],
            format!("'{}' as catalogue (type postgres)", connection.expose()),
        ),
    };
    let attachment = Attachment {
        extensions: extension,
        statements: vec![Secret::new(format!("attach {address}"))],
        secrets: Vec::new(),
    };
    engine.attach("attach the catalogue", &attachment).unwrap();
    let sql = format!("update catalogue.ducklake_metadata set value = '{version}' where key = 'version'");
    let changed = engine
        .session()
        .unwrap()
        .execute(Call::new("change the format"), &sql);
    assert_eq!(changed.unwrap_or_else(|error| shown(&error)), 1);
}
