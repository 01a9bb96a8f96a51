//! What people see of a plan: every statement, in words and as JSON.

use insta::assert_snapshot;
use pintail_sync::spec::{DeltaSpec, NullCursor, StrategyKind};

use super::{Setting, cursor};

#[test]
fn a_full_load_shows_every_statement() {
    let mut setting = Setting::new();
    setting.asked.partitions = Some(2);
    assert_snapshot!(setting.plan(), @r#"
    plan of pipeline `orders`: full by strategy `everything`
      why          the table is not in the lake yet
      source       file:shop shop.orders, about 1,000,000 rows
      destination  ducklake:sqlite:lake.sqlite?data_path=lake orders
      columns      id bigint, item varchar, updated_at timestamp with time zone
      key          id
      watermark    2024-01-15 13:59:59.999000+00 when everything is in
      parity       checksums by id in steps of 4096

    partition 1 of 2: pages_0_5000
      reads pages 0..5000, about 500,000 rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where rowid >= 0 and rowid < 500000
          ) as source
          where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/pages_0_5000-1.parquet' (format parquet, row_group_size_bytes '32MB', compression lz4_raw);

    partition 2 of 2: pages_5000_
      reads pages 5000.., about 500,000 rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where rowid >= 500000
          ) as source
          where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/pages_5000_-1.parquet' (format parquet, row_group_size_bytes '32MB', compression lz4_raw);

      source, count the rows independently:
        select count(*) from "source"."shop"."orders" where true;

    then one commit for all partitions
      lake, commit:
        begin transaction;
        delete from "lake"."main"."orders";
        call ducklake_add_data_files('lake', 'orders', ['<data>/main/orders/<run>/<partition>-1.parquet'], schema => 'main', hive_partitioning => false);
        insert into lake.pintail.ledger …;
        commit;
      lake, compare:
        select count(*)
        from (select "id", "item", "updated_at" from "lake"."main"."orders" at (version => …)) as kept
        where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at");

    up to 2 partitions are read at once, under one snapshot of the source
    "#);
}

#[test]
fn a_delta_shows_every_statement() {
    let mut setting = Setting::loaded();
    setting.table.columns[2].nullable = true;
    setting.spec.strategies[1].kind = StrategyKind::Delta(DeltaSpec {
        column: Some("updated_at".to_owned()),
        null_cursor: NullCursor::Include,
        ..DeltaSpec::default()
    });
    assert_snapshot!(setting.plan(), @r#"
    plan of pipeline `orders`: delta by strategy `changes`
      why          the lake's ledger says how far the source was read
      source       file:shop shop.orders, about 1,000,000 rows
      destination  ducklake:sqlite:lake.sqlite?data_path=lake orders
      columns      id bigint, item varchar, updated_at timestamp with time zone
      key          id
      cursor       updated_at (timestamp_tz), read up to 2024-01-15 12:00:00.000000+00
      lookback     2024-01-15 11:59:58.000000+00, for rows that were stamped late
      watermark    2024-01-15 13:59:59.999000+00 when everything is in
      null cursors are read with every run
      not covered  rows that were deleted in the source
      parity       checksums by id in steps of 4096

    partition 1 of 3: updated_at_2024-01-15T11:59:58_2024-01-15T12:00:00
      reads updated_at 2024-01-15 11:59:58.000000+00..2024-01-15 12:00:00.000000+00, an unknown number of rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where "updated_at" >= '2024-01-15 11:59:58.000000+00'::timestamptz and "updated_at" < '2024-01-15 12:00:00.000000+00'::timestamptz
          ) as source
          where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_2024-01-15T11-59-58_2024-01-15T12-00-00-1.parquet' (format parquet, row_group_size_bytes '32MB', compression lz4_raw);
      source, count the rows independently:
        select count(*) from "source"."shop"."orders" where "updated_at" >= '2024-01-15 11:59:58.000000+00'::timestamptz and "updated_at" < '2024-01-15 12:00:00.000000+00'::timestamptz;
      engine, keep the rows that differ:
        copy (
          select "id", "item", "updated_at"
          from (
            select staged.*
            from read_parquet('<data>/main/orders/<run>/updated_at_2024-01-15T11-59-58_2024-01-15T12-00-00-1.parquet', hive_partitioning = false) as staged
            where not exists (
              select 1
              from (select "id", "item", "updated_at" from "lake"."main"."orders") as kept
              where kept."id" = staged."id"
                and kept."item" is not distinct from staged."item"
                and kept."updated_at" is not distinct from staged."updated_at"
                and kept."updated_at" >= '2024-01-15 11:59:58.000000+00'::timestamptz
                and kept."updated_at" < '2024-01-15 12:00:00.000000+00'::timestamptz
            )
          ) as source
          where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_2024-01-15T11-59-58_2024-01-15T12-00-00-changed-1.parquet' (format parquet, row_group_size_bytes '32MB', compression lz4_raw);

    partition 2 of 3: updated_at_2024-01-15T12:00:00_2024-01-15T13:59:59.999000
      reads updated_at 2024-01-15 12:00:00.000000+00..2024-01-15 13:59:59.999000+00, an unknown number of rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where "updated_at" >= '2024-01-15 12:00:00.000000+00'::timestamptz and "updated_at" < '2024-01-15 13:59:59.999000+00'::timestamptz
          ) as source
          where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_2024-01-15T12-00-00_2024-01-15T13-59-59-999000-1.parquet' (format parquet, row_group_size_bytes '32MB', compression lz4_raw);
      source, count the rows independently:
        select count(*) from "source"."shop"."orders" where "updated_at" >= '2024-01-15 12:00:00.000000+00'::timestamptz and "updated_at" < '2024-01-15 13:59:59.999000+00'::timestamptz;

    partition 3 of 3: updated_at_null
      reads updated_at is null, an unknown number of rows
      engine, stage the rows:
        copy (
          select "id", "item", "updated_at"
          from (
            select "id" as "id", "item" as "item", "updated_at" as "updated_at"
            from "source"."shop"."orders"
            where "updated_at" is null
          ) as source
          where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_null-1.parquet' (format parquet, row_group_size_bytes '32MB', compression lz4_raw);
      source, count the rows independently:
        select count(*) from "source"."shop"."orders" where "updated_at" is null;
      engine, keep the rows that differ:
        copy (
          select "id", "item", "updated_at"
          from (
            select staged.*
            from read_parquet('<data>/main/orders/<run>/updated_at_null-1.parquet', hive_partitioning = false) as staged
            where not exists (
              select 1
              from (select "id", "item", "updated_at" from "lake"."main"."orders") as kept
              where kept."id" = staged."id"
                and kept."item" is not distinct from staged."item"
                and kept."updated_at" is not distinct from staged."updated_at"
            )
          ) as source
          where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at")
        ) to '<data>/main/orders/<run>/updated_at_null-changed-1.parquet' (format parquet, row_group_size_bytes '32MB', compression lz4_raw);

    then one commit for each partition that has rows, in this order
      lake, commit:
        begin transaction;
        delete from "lake"."main"."orders" as kept
        using (select "id" from read_parquet(['<data>/main/orders/<run>/<partition>-1.parquet'], hive_partitioning = false)) as staged
        where kept."id" = staged."id";
        call ducklake_add_data_files('lake', 'orders', ['<data>/main/orders/<run>/<partition>-1.parquet'], schema => 'main', hive_partitioning => false);
        insert into lake.pintail.ledger …;
        commit;
      lake, compare:
        select count(*)
        from (
          select kept."id", kept."item", kept."updated_at"
          from (select "id", "item", "updated_at" from "lake"."main"."orders" at (version => …)) as kept
          semi join (select "id" from read_parquet('<data>/main/orders/<run>/<partition>-1.parquet', hive_partitioning = false)) as staged using ("id")
        ) as kept
        where pintail_tap(<n>, ("id")::bigint, "id", "item", "updated_at");

    up to 2 partitions are read at once, under one snapshot of the source
    "#);
}

#[test]
fn a_plan_without_work_says_so() {
    let mut setting = Setting::loaded();
    setting.ledger = Some(cursor("2024-01-15 14:00:00+00"));
    setting.asked.parity = false;
    assert_snapshot!(setting.plan(), @r"
    plan of pipeline `orders`: delta by strategy `changes`
      why          the lake's ledger says how far the source was read
      source       file:shop shop.orders, about 1,000,000 rows
      destination  ducklake:sqlite:lake.sqlite?data_path=lake orders
      columns      id bigint, item varchar, updated_at timestamp with time zone
      key          id
      cursor       updated_at (timestamp_tz), read up to 2024-01-15 14:00:00.000000+00
      not covered  rows that were deleted in the source
      parity       unproven: no comparison
      note         nothing to read: everything below 2024-01-15 14:00:00.000000+00 was read before

    nothing to read, nothing to commit
    ");
}

#[test]
fn a_plan_is_json_too() {
    let json = serde_json::to_value(Setting::loaded().plan()).expect("JSON");
    assert_eq!(json["kind"], "delta");
    assert_eq!(json["partitions"][0]["statements"][0]["side"], "engine");
    assert_eq!(json["columns"][0]["data_type"], "bigint");
    assert_eq!(json["watermark"], "2024-01-15 13:59:59.999000+00");
}
