//! Which snapshots are kept, why, and what happens to those that are not. Time is passed in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{
    CreateRequest, Hold, Level, Prune, Pruned, Reason, Scope, SettingKey, SettingValue, SnapshotId,
    SnapshotType, Unwatched,
};

use crate::place::{Place, at, id};

fn shop() -> Place {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create table orders (id integer); create table notes (id integer)",
    );
    place
}

fn take(place: &Place, name: &str, taken_at: &str, snapshot_type: SnapshotType, tables: &[&str]) {
    let request = CreateRequest {
        id: Some(id(name)),
        snapshot_type,
        tables: tables.iter().map(|table| TableName::bare(*table)).collect(),
        ..CreateRequest::default()
    };
    place
        .snapshots
        .create(
            &place.engine,
            &place.database("shop.duckdb"),
            &request,
            at(taken_at),
            &Unwatched,
        )
        .expect("a snapshot");
}

fn manual(place: &Place, name: &str, taken_at: &str) {
    take(place, name, taken_at, SnapshotType::Manual, &["orders"]);
}

fn prune(place: &Place, now: &str) -> Pruned {
    place
        .snapshots
        .prune(Prune::default(), at(now))
        .expect("a project")
}

fn names(ids: &[SnapshotId]) -> Vec<&str> {
    ids.iter().map(SnapshotId::as_str).collect()
}

#[test]
fn by_default_manual_ones_stay_ninety_days_and_automatic_ones_seven() {
    let place = shop();
    manual(&place, "manual", "2024-01-01T12:00:00Z");
    take(
        &place,
        "auto",
        "2024-01-01T12:00:00Z",
        SnapshotType::Auto,
        &["orders"],
    );
    take(
        &place,
        "drop",
        "2024-01-01T12:00:00Z",
        SnapshotType::PreDrop,
        &["orders"],
    );
    manual(&place, "newest", "2024-06-01T12:00:00Z");
    let gone = |now: &str| {
        let dry = Prune {
            dry_run: true,
            ..Prune::default()
        };
        names(&place.snapshots.prune(dry, at(now)).expect("a project").marked).join(" ")
    };
    assert_eq!(gone("2024-01-08T11:59:59Z"), "");
    assert_eq!(gone("2024-01-08T12:00:00Z"), "auto drop");
    assert_eq!(gone("2024-03-31T11:59:59Z"), "auto drop");
    assert_eq!(gone("2024-03-31T12:00:00Z"), "auto drop manual");
    // The last good one stays however old it is.
    assert_eq!(gone("2099-01-01T00:00:00Z"), "auto drop manual");
}

#[test]
fn what_goes_is_marked_waits_and_is_swept() {
    let place = shop();
    manual(&place, "old", "2024-01-01T00:00:00Z");
    manual(&place, "new", "2024-06-01T00:00:00Z");
    let first = prune(&place, "2024-06-02T00:00:00Z");
    assert_eq!((names(&first.marked), first.kept), (vec!["old"], 1));
    assert_eq!(place.visible(), ["new", "old"]);
    let second = prune(&place, "2024-06-02T23:59:59Z");
    assert_eq!(second.waiting, [(id("old"), at("2024-06-03T00:00:00Z"))]);
    // Until then it can be restored, and held.
    place.restore("copy.duckdb", "old");
    let third = prune(&place, "2024-06-03T00:00:00Z");
    assert_eq!(names(&third.swept), ["old"]);
    assert_eq!(place.visible(), ["new"]);
    assert_eq!(place.verify().findings, []);
    // A new one of that name starts without a past.
    manual(&place, "old", "2024-06-03T00:00:00Z");
    let record = place.snapshots.record(&id("old")).expect("a record");
    assert_eq!((record.hold, record.deleted_at), (None, None));
}

#[test]
fn a_hold_saves_also_what_is_marked() {
    let place = shop();
    manual(&place, "old", "2024-01-01T00:00:00Z");
    manual(&place, "new", "2024-06-01T00:00:00Z");
    let now = at("2024-06-02T00:00:00Z");
    place.snapshots.delete(&id("old"), now).expect("marked");
    let hold = || Hold {
        since: now,
        by: "ada".to_owned(),
        reason: Some("audit".to_owned()),
    };
    place.snapshots.hold(&id("old"), hold()).expect("held");
    assert_eq!(prune(&place, "2030-01-01T00:00:00Z").kept, 2);
    let refused = place.snapshots.delete(&id("old"), now).expect_err("it is held");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    place.snapshots.release(&id("old")).expect("released");
    assert_eq!(names(&prune(&place, "2030-01-01T00:00:00Z").marked), ["old"]);
    let unknown = place
        .snapshots
        .hold(&id("none"), hold())
        .expect_err("no such snapshot");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[test]
fn the_last_good_one_is_the_last_that_is_whole_and_proven() {
    let place = shop();
    manual(&place, "proven", "2024-01-01T00:00:00Z");
    let unproven = CreateRequest {
        id: Some(id("unproven")),
        read_back: false,
        tables: vec![TableName::bare("orders")],
        ..CreateRequest::default()
    };
    place
        .snapshots
        .create(
            &place.engine,
            &place.database("shop.duckdb"),
            &unproven,
            at("2024-02-01T00:00:00Z"),
            &Unwatched,
        )
        .expect("a snapshot");
    manual(&place, "broken", "2024-03-01T00:00:00Z");
    std::fs::remove_file(
        place
            .snapshots
            .snapshot(&id("broken"))
            .join("main.orders.parquet"),
    )
    .expect("a file");
    take(
        &place,
        "other",
        "2024-04-01T00:00:00Z",
        SnapshotType::Manual,
        &["notes"],
    );
    let pruned = prune(&place, "2030-01-01T00:00:00Z");
    assert_eq!(names(&pruned.marked), ["unproven", "broken"]);
    let explained = place
        .snapshots
        .explain(&id("proven"), at("2030-01-01T00:00:00Z"))
        .expect("it is there");
    let reason = Reason::LastGood {
        table: "main.orders".to_owned(),
    };
    assert_eq!(explained.fate.kept_by, [reason]);
    assert_eq!(explained.fate.goes_at, None);
}

#[test]
fn the_nearest_level_that_says_something_counts() {
    let place = shop();
    let value = |table| {
        let settings = place.snapshots.settings().expect("settings");
        let found = settings.effective(SettingKey::ManualDays, table);
        (found.value.number(), found.from)
    };
    let orders = Some(("main", "orders"));
    assert_eq!(value(orders), (90, Level::Default));
    let set = |scope, days: Option<u32>| {
        place
            .snapshots
            .set(&scope, SettingKey::ManualDays, days.map(SettingValue::Number))
            .expect("a setting");
    };
    set(Scope::System, Some(10));
    assert_eq!(value(orders), (10, Level::System));
    set(Scope::Project, Some(20));
    assert_eq!(value(orders), (20, Level::Project));
    set(Scope::Bucket("MAIN".to_owned()), Some(30));
    assert_eq!(value(orders), (30, Level::Bucket("main".to_owned())));
    set(Scope::Table(TableName::bare("Orders")), Some(40));
    assert_eq!(value(orders), (40, Level::Table("main.orders".to_owned())));
    assert_eq!(
        value(Some(("main", "notes"))),
        (30, Level::Bucket("main".to_owned()))
    );
    assert_eq!(value(Some(("other", "orders"))), (20, Level::Project));
    assert_eq!(value(None), (20, Level::Project));
    set(Scope::Table(TableName::bare("orders")), None);
    assert_eq!(value(orders), (30, Level::Bucket("main".to_owned())));
    // Of several tables the one that keeps it longest decides.
    set(Scope::Table(TableName::bare("notes")), Some(300));
    take(&place, "both", "2024-01-01T00:00:00Z", SnapshotType::Manual, &[]);
    take(&place, "later", "2024-01-02T00:00:00Z", SnapshotType::Manual, &[]);
    let explained = place
        .snapshots
        .explain(&id("both"), at("2024-01-03T00:00:00Z"))
        .expect("it is there");
    assert_eq!(explained.fate.goes_at, Some(at("2024-10-27T00:00:00Z")));
    let refused = place
        .snapshots
        .set(
            &Scope::Project,
            SettingKey::ManualDays,
            Some(SettingValue::Number(3651)),
        )
        .expect_err("too long");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[test]
fn counts_keep_the_newest_of_each_day_week_and_month() {
    let place = shop();
    for (name, taken_at) in [
        ("jan", "2024-01-15T12:00:00Z"),
        ("feb-a", "2024-02-26T09:00:00Z"),
        ("feb-b", "2024-02-26T21:00:00Z"),
        ("mar-a", "2024-03-04T09:00:00Z"),
        ("mar-b", "2024-03-05T09:00:00Z"),
        ("mar-c", "2024-03-05T10:00:00Z"),
    ] {
        manual(&place, name, taken_at);
    }
    let kept = |key, count| {
        place
            .snapshots
            .set(&Scope::Project, key, Some(SettingValue::Number(count)))
            .expect("a setting");
        let fates = place
            .snapshots
            .fates(at("2030-01-01T00:00:00Z"))
            .expect("a project");
        let kept: Vec<String> = fates
            .iter()
            .filter(|fate| !fate.kept_by.is_empty())
            .map(|fate| fate.snapshot.to_string())
            .collect();
        place
            .snapshots
            .set(&Scope::Project, key, None)
            .expect("a setting");
        kept.join(" ")
    };
    assert_eq!(kept(SettingKey::KeepLast, 2), "mar-b mar-c");
    assert_eq!(kept(SettingKey::KeepDaily, 3), "feb-b mar-a mar-c");
    assert_eq!(kept(SettingKey::KeepWeekly, 2), "feb-b mar-c");
    assert_eq!(kept(SettingKey::KeepMonthly, 3), "jan feb-b mar-c");
}

#[test]
fn days_are_those_of_the_zone_also_when_clocks_change() {
    let place = shop();
    // In Prague the night of 30 to 31 March 2024 has an hour less, and that of 26 to 27 October one more.
    let shifted = |taken_at: &str, zone: &str| {
        place.snapshots.set_time_zone(zone).expect("a zone");
        take(&place, "s", taken_at, SnapshotType::Auto, &["orders"]);
        manual(&place, "t", "2024-12-01T00:00:00Z");
        let explained = place
            .snapshots
            .explain(&id("s"), at(taken_at))
            .expect("it is there");
        for name in ["s", "t"] {
            std::fs::remove_dir_all(place.snapshots.snapshot(&id(name))).expect("a folder");
        }
        let goes_at: Timestamp = explained.fate.goes_at.expect("it goes by its age");
        goes_at.duration_since(at(taken_at))
    };
    assert_eq!(
        shifted("2024-03-28T11:00:00Z", "UTC"),
        SignedDuration::from_hours(168)
    );
    assert_eq!(
        shifted("2024-03-28T11:00:00Z", "Europe/Prague"),
        SignedDuration::from_hours(167)
    );
    assert_eq!(
        shifted("2024-10-24T11:00:00Z", "Europe/Prague"),
        SignedDuration::from_hours(169)
    );
    // At half past two of that night there is no such time: it goes at half past three.
    assert_eq!(
        shifted("2024-03-24T01:30:00Z", "Europe/Prague"),
        SignedDuration::from_hours(168)
    );
    let refused = place
        .snapshots
        .set_time_zone("Europe/Nowhere")
        .expect_err("no such zone");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    // Two snapshots of one night are of one day there, and of two days in UTC.
    place
        .snapshots
        .set(
            &Scope::Project,
            SettingKey::KeepDaily,
            Some(SettingValue::Number(5)),
        )
        .expect("a setting");
    manual(&place, "evening", "2024-03-29T22:30:00Z");
    manual(&place, "night", "2024-03-29T23:30:00Z");
    manual(&place, "morning", "2024-03-30T05:00:00Z");
    let kept = |zone: &str| {
        place.snapshots.set_time_zone(zone).expect("a zone");
        let fates = place
            .snapshots
            .fates(at("2030-01-01T00:00:00Z"))
            .expect("a project");
        let kept = fates.into_iter().filter(|fate| !fate.kept_by.is_empty());
        kept.map(|fate| fate.snapshot.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(kept("UTC"), "night morning");
    assert_eq!(kept("Europe/Prague"), "evening morning");
}

#[test]
fn files_that_a_kept_snapshot_shares_stay() {
    let place = shop();
    place.execute("shop.duckdb", "insert into orders select * from range(1000)");
    manual(&place, "first", "2024-01-01T00:00:00Z");
    manual(&place, "second", "2024-01-02T00:00:00Z");
    let explained = place
        .snapshots
        .explain(&id("first"), at("2024-01-03T00:00:00Z"))
        .expect("it is there");
    assert_eq!(explained.shares_files_with, [id("second")]);
    assert_eq!(explained.followed_by, [id("second")]);
    place
        .snapshots
        .delete(&id("first"), at("2024-01-03T00:00:00Z"))
        .expect("marked");
    let now = Prune {
        grace: Duration::ZERO,
        ..Prune::default()
    };
    let pruned = place
        .snapshots
        .prune(now, at("2024-01-03T00:00:00Z"))
        .expect("a project");
    assert_eq!(names(&pruned.swept), ["first"]);
    assert_eq!(place.verify().findings, []);
    place.restore("copy.duckdb", "second");
    assert_eq!(place.value("copy.duckdb", "select count(*) from orders"), "1000");
}
