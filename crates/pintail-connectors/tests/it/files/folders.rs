//! Tables in folders by the values of columns: `region=EU/`.

use pintail_lake::{Call, quote};
use pintail_model::{Column, ErrorKind, LogicalType as T, Range, TableName};

use pintail_testkit::S3Server;
use pintail_testkit::conformance::{Attached, Fixture};

use super::fixture::{FilesFixture, connect};
use super::formats::{load, stage};
use super::shop::{Shop, in_bucket, open};

fn columns() -> [Column; 2] {
    [("region", T::Text), ("id", T::Int64)].map(|(name, logical_type)| Column {
        name: name.to_owned(),
        logical_type,
        nullable: true,
        origin: None,
    })
}

fn orders() -> TableName {
    TableName::bare("orders")
}

/// Values that names of folders do not take as they are, or that readers take for others.
const HOSTILE: &[&str] = &[
    "''",
    "null",
    "'NULL'",
    "'null'",
    "'__HIVE_DEFAULT_PARTITION__'",
    "'a/b'",
    "'..'",
    "'.'",
    "'../../x'",
    "'a=b'",
    "'a%2Fb'",
    "'100%'",
    "'größe 数 🦆'",
    "e'line\\nbreak'",
    "'it''s'",
    "'\"'",
    "' lead'",
    "'trail '",
    "'*'",
    "'?'",
    "'[a]'",
    "'a:b'",
    "'a\\b'",
    "'007'",
    "'1.10'",
    "'2024-01-01'",
    "'true'",
    "'{x}'",
    "'a+b'",
    "'a&b'",
    "'~'",
    "'_x'",
];

#[test]
fn hostile_values_come_back_from_the_names_of_folders() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["parquet", "csv", "json"] {
        let shop = open(&format!(
            "files:{}/{format}/?format={format}&partition_by=region",
            folder.path().display()
        ));
        let query = format!(
            "select unnest([{}])::varchar as region, unnest(range({}))::bigint as id",
            HOSTILE.join(", "),
            HOSTILE.len()
        );
        let part = stage(&shop, &orders(), "r0", &query);
        load(&shop, &orders(), &columns(), &part)
            .unwrap_or_else(|error| panic!("{format}: {error}: {error:?}"));
        let staged = quote::parquet([part.files[0].path.as_path()]);
        let table = shop.place.rows(&orders(), &columns(), None);
        assert_eq!(differences(&shop, &table, &staged), 0, "{format}");

        // Another program reads the same out of the names of folders.
        let end = if format == "json" { "jsonl" } else { format };
        let files = format!("{}/{format}/orders/*/*.{end}", folder.path().display());
        let read = match format {
            "parquet" => {
                format!("read_parquet('{files}', hive_partitioning = true, hive_types_autocast = false)")
            }
            "csv" => format!(
                "read_csv('{files}', auto_detect = false, header = true, columns = {{'id': 'bigint'}}, delim = ',', \
                 quote = '\"', hive_partitioning = true, hive_types_autocast = false)"
            ),
            _ => format!(
                "read_json('{files}', auto_detect = false, format = 'newline_delimited', columns = {{'id': 'bigint'}}, \
                 hive_partitioning = true, hive_types_autocast = false)"
            ),
        };
        let read = format!("(select region, id from {read})");
        assert_eq!(differences(&shop, &read, &staged), 0, "{format}");
    }
}

#[test]
fn hostile_values_come_back_from_the_names_of_objects() {
    let bucket = S3Server::shared().fresh_bucket();
    let address = in_bucket(&bucket);
    let shop = open(&format!("{address}&format=csv&partition_by=region"));
    let query = format!(
        "select unnest([{}])::varchar as region, unnest(range({}))::bigint as id",
        HOSTILE.join(", "),
        HOSTILE.len()
    );
    let part = stage(&shop, &orders(), "r0", &query);
    load(&shop, &orders(), &columns(), &part).unwrap_or_else(|error| panic!("{error}: {error:?}"));
    let staged = quote::parquet([part.files[0].path.as_path()]);
    let table = shop.place.rows(&orders(), &columns(), None);
    assert_eq!(differences(&shop, &table, &staged), 0);
    let source = Attached::new(connect(&address));
    let request = source.request("orders", pintail_model::Range::Whole);
    assert_eq!(source.rows(&request).len(), HOSTILE.len());
    let tables: Vec<TableName> = source.tables().into_iter().map(|table| table.name).collect();
    assert_eq!(tables, [orders()]);
}

#[test]
fn a_column_may_have_the_name_of_hidden_files() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("files:{}/", folder.path().display());
    let columns = columns().map(|column| Column {
        name: format!("_{}", column.name),
        ..column
    });
    let shop = open(&format!("{address}?partition_by=_region"));
    let part = stage(&shop, &orders(), "r0", "select 'a' as _region, 1::bigint as _id");
    load(&shop, &orders(), &columns, &part).unwrap();
    let source = Attached::new(connect(&address));
    assert_eq!(
        source
            .rows(&source.request("orders", pintail_model::Range::Whole))
            .len(),
        1
    );
}

fn differences(shop: &Shop, one: &str, other: &str) -> i64 {
    let sql = format!(
        "select count(*) from ((select region, id from {one} except all select region, id from {other})
         union all (select region, id from {other} except all select region, id from {one}))"
    );
    let session = shop.attached.session().unwrap();
    let rows = session.query(Call::new("compare"), &sql);
    let rows = rows.unwrap_or_else(|error| match &error {
        pintail_lake::Error::Statement { source, .. } => panic!("{}", source.raw_text()),
        other => panic!("{other:?}"),
    });
    rows[0].integer(0).unwrap()
}

#[test]
fn values_that_become_no_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/?partition_by=region", folder.path().display()));
    let error = |run: &str, query: &str| {
        let part = stage(&shop, &orders(), run, query);
        let error = load(&shop, &orders(), &columns(), &part).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        error.to_string()
    };
    insta::assert_snapshot!(
        error("r0", "select repeat('é', 130) as region, 1::bigint as id"),
        @r#"a value of table "orders" is too long for the name of a folder"#
    );
    insta::assert_snapshot!(
        error("r1", "select i::varchar as region, i as id from range(10001) as r(i)"),
        @r#"the rows of table "orders" would go to more than 10000 folders"#
    );
    let blob = Column {
        logical_type: T::Bytes,
        ..columns()[0].clone()
    };
    insta::assert_snapshot!(shop.place.refuses(&blob).unwrap(), @"a `blob` does not become the name of a folder");
    assert_eq!(shop.place.needs(), ["region"]);
}

#[test]
fn folders_are_named_as_hive_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/?partition_by=region", folder.path().display()));
    let values = [
        ("null", "__HIVE_DEFAULT_PARTITION__"),
        ("'__HIVE_DEFAULT_PARTITION__'", "%5F_HIVE_DEFAULT_PARTITION__"),
        ("'NULL'", "%4EULL"),
        ("''", ""),
        ("'a/../b'", "a%2F..%2Fb"),
        ("'größe 数 🦆'", "größe 数 🦆"),
        ("e'100%\\n'", "100%25%0A"),
    ];
    let literals: Vec<&str> = values.iter().map(|(literal, _)| *literal).collect();
    let query = format!(
        "select unnest([{}])::varchar as region, 1::bigint as id",
        literals.join(", ")
    );
    let part = stage(&shop, &orders(), "r0", &query);
    load(&shop, &orders(), &columns(), &part).unwrap();
    let mut expected: Vec<String> = values.iter().map(|(_, name)| format!("region={name}")).collect();
    expected.push("_pintail".to_owned());
    expected.sort();
    assert_eq!(folders(folder.path()), expected);
}

#[test]
fn folders_of_a_table_hold_something() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/?partition_by=region", folder.path().display()));
    for (run, region) in [("r0", "a"), ("r1", "b")] {
        let part = stage(
            &shop,
            &orders(),
            run,
            &format!("select '{region}' as region, 1::bigint as id"),
        );
        load(&shop, &orders(), &columns(), &part).unwrap();
    }
    assert_eq!(folders(folder.path()), ["_pintail", "region=b"]);
}

/// The folders of the table, in order.
fn folders(above: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(above.join("orders")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_column_of_the_files_is_read_and_not_the_folder_of_its_name() {
    let files = FilesFixture::in_folder();
    for (format, end) in [("csv", "csv"), ("parquet", "parquet"), ("json", "jsonl")] {
        std::fs::create_dir_all(files.path(&format!("{format}/day=folder"))).unwrap();
        files.write(&format!(
            "copy (select 1 as id, 'file' as \"DAY\") to '$FOLDER/{format}/day=folder/a.{end}' (format {format})"
        ));
        let source = Attached::new(files.connector());
        let request = source.request(format, Range::Whole);
        let names: Vec<&str> = request
            .columns
            .iter()
            .map(|read| read.column.name.as_str())
            .collect();
        assert_eq!(names, ["id", "DAY"], "{format}");
        assert_eq!(source.rows(&request)[0].text(1), Some("file"), "{format}");
    }
}
