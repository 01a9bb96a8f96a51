//! CSV files: text as it stands there.

use pintail_model::{LogicalType, Range};
use pintail_testkit::conformance::{Attached, Fixture, read_as};

use super::fixture::FilesFixture;

#[test]
fn every_value_is_text_as_it_stands_there() {
    let files = FilesFixture::in_folder();
    let text = "id,code,note\n1,007,\n2, 1.10 ,\"\"\n3,2024-01-01,\"a \"\"b\"\",\nc\"\n";
    std::fs::write(files.path("orders.csv"), text).unwrap();
    let attached = Attached::new(files.connector());
    let request = attached.request("orders", Range::Whole);
    assert!(
        request
            .columns
            .iter()
            .all(|read| read.column.logical_type == LogicalType::Text)
    );
    let mut rows: Vec<Vec<Option<String>>> = attached
        .rows(&request)
        .iter()
        .map(|row| (0..3).map(|index| row.text(index).map(str::to_owned)).collect())
        .collect();
    rows.sort();
    let expected = [
        ["1", "007", "NULL"],
        ["2", " 1.10 ", ""],
        ["3", "2024-01-01", "a \"b\",\nc"],
    ];
    let expected: Vec<Vec<Option<String>>> = expected
        .iter()
        .map(|row| {
            row.iter()
                .map(|text| (*text != "NULL").then(|| (*text).to_owned()))
                .collect()
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_declared_type_is_kept_or_the_scan_fails() {
    let files = FilesFixture::in_folder();
    std::fs::write(
        files.path("orders.tsv"),
        "id\tat\n1\t2024-01-01 10:00:00\n2\t2024-01-02 10:00:00\n",
    )
    .unwrap();
    let attached = Attached::new(files.connector());
    let orders = attached.describe("orders");
    let mut request = attached.request("orders", Range::Whole);
    request.columns = vec![
        read_as(orders.columns[0].clone(), LogicalType::Int32),
        read_as(orders.columns[1].clone(), LogicalType::Timestamp),
    ];
    assert_eq!(attached.rows(&request)[0].integer(0), Some(1));
    request.columns = vec![read_as(orders.columns[1].clone(), LogicalType::Date)];
    let read = attached.reading(|session| attached.try_checksums(session, &request));
    assert!(read.is_err());
}

#[test]
fn nothing_is_a_comment() {
    let files = FilesFixture::in_folder();
    std::fs::write(files.path("orders.csv"), "id,note\n1,a # b\n# 2,c\n#3,\n4,d\n").unwrap();
    let attached = Attached::new(files.connector());
    let rows = attached.rows(&attached.request("orders", Range::Whole));
    let rows: Vec<_> = rows.iter().map(|row| (row.text(0), row.text(1))).collect();
    let expected = [
        ("1", Some("a # b")),
        ("# 2", Some("c")),
        ("#3", None),
        ("4", Some("d")),
    ];
    assert_eq!(rows, expected.map(|(id, note)| (Some(id), note)));
}

#[test]
fn a_delimiter_can_be_declared() {
    let files = FilesFixture::in_folder();
    std::fs::write(files.path("orders.csv"), "id;price\n1;\"1,50\"\n").unwrap();
    let attached = Attached::new(files.connect("orders.csv?delimiter=;"));
    let rows = attached.rows(&attached.request("orders", Range::Whole));
    assert_eq!((rows[0].text(0), rows[0].text(1)), (Some("1"), Some("1,50")));
}

#[test]
fn packed_files_are_unpacked() {
    let files = FilesFixture::in_folder();
    files.write("copy (select i as id from range(1000) as r(i)) to '$FOLDER/orders.csv.gz' (header, compression gzip)");
    let attached = Attached::new(files.connector());
    let request = attached.request("orders", Range::Whole);
    assert_eq!(attached.rows(&request).len(), 1_000);
    assert_eq!(attached.count_now(&request.relation, &Range::Whole), 1_000);
}

#[test]
fn a_long_last_line_is_read_or_fails_the_scan() {
    let files = FilesFixture::in_folder();
    for (length, found) in [(10_000_000, true), (40_000_000, false)] {
        let mut text = "note\n".to_owned() + &"a\n".repeat(20_000_000);
        text.push_str(&"x".repeat(length));
        std::fs::write(files.path("orders.csv"), text).unwrap();
        let attached = Attached::new(files.connector());
        let request = attached.request("orders", Range::Whole);
        let read = attached.reading(|session| attached.try_checksums(session, &request));
        match read {
            Ok(checksums) => assert_eq!(checksums.total().rows, 20_000_001, "{length}"),
            Err(error) => assert!(!found, "{length}: {error}"),
        }
    }
}
