//! Parquet files: which of them are a table, and what they have to agree on.

use insta::assert_snapshot;
use pintail_lake::Call;
use pintail_lake::connector::Connector;
use pintail_model::{ErrorKind, LogicalType, Range, TableName};
use pintail_testkit::conformance::{Attached, Fixture};

use super::fixture::FilesFixture;

/// All rows of a table, in order, as text.
fn rows(attached: &Attached, table: &str) -> Vec<String> {
    let request = attached.request(table, Range::Whole);
    let mut rows: Vec<String> = attached
        .rows(&request)
        .iter()
        .map(|row| format!("{:?}", row.0))
        .collect();
    rows.sort();
    rows
}

fn names(connector: Box<dyn Connector>) -> Vec<String> {
    let listed = Attached::new(connector).tables();
    listed.into_iter().map(|table| table.name.to_string()).collect()
}

#[test]
fn a_table_is_a_file_a_folder_or_a_pattern() {
    let files = FilesFixture::in_folder();
    std::fs::create_dir_all(files.path("orders/2026")).unwrap();
    std::fs::create_dir_all(files.path("sales")).unwrap();
    files.write("copy (select 1 as id) to '$FOLDER/customers.parquet'");
    files.write("copy (select 1 as id) to '$FOLDER/orders/a.parquet'");
    files.write("copy (select 2 as id) to '$FOLDER/orders/2026/b.parquet'");
    files.write("copy (select 9 as id) to '$FOLDER/orders/_staged.parquet'");
    files.write("copy (select 3 as id) to '$FOLDER/sales/refunds.parquet'");
    std::fs::write(files.path("orders/README.md"), "notes").unwrap();

    assert_eq!(names(files.connector()), ["customers", "orders", "sales"]);
    let attached = Attached::new(files.connector());
    assert_eq!(rows(&attached, "customers").len(), 1);
    assert_eq!(rows(&attached, "orders"), ["[Integer(1)]", "[Integer(2)]"]);
    let refunds = TableName::new("sales", "refunds");
    let described = attached
        .connector()
        .describe(attached.session(), "outside", &refunds)
        .unwrap();
    assert_eq!(described.rows, Some(1));

    assert_eq!(names(files.connect("orders/**/*.parquet")), ["orders"]);
    let pattern = Attached::new(files.connect("orders/*.parquet"));
    assert_eq!(rows(&pattern, "whatever"), ["[Integer(1)]"]);
    assert_eq!(
        rows(&Attached::new(files.connect("customers.parquet")), "c"),
        ["[Integer(1)]"]
    );
}

#[test]
fn a_name_leads_nowhere_else() {
    let files = FilesFixture::in_folder();
    files.write("copy (select 1 as id) to '$FOLDER/orders.parquet'");
    std::fs::create_dir(files.path("inside")).unwrap();
    let attached = Attached::new(files.connect("inside/"));
    for name in ["../orders", "..", "", "/etc/passwd"] {
        let error = attached
            .connector()
            .describe(attached.session(), "outside", &TableName::bare(name))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}: {error}");
    }
}

#[test]
fn partitions_in_folders_are_columns_of_text() {
    let files = FilesFixture::in_folder();
    files.write(
        "copy (select i as id, i % 2 as region, '0' || i as day from range(4) as r(i)) to '$FOLDER/orders' \
         (format parquet, partition_by (region, day))",
    );
    let attached = Attached::new(files.connector());
    let orders = attached.describe("orders");
    let types: Vec<_> = orders
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.logical_type))
        .collect();
    assert_eq!(
        types,
        [
            ("id", Some(LogicalType::Int64)),
            ("day", Some(LogicalType::Text)),
            ("region", Some(LogicalType::Text))
        ]
    );
    assert!(rows(&attached, "orders")[0].contains("Text(\"00\")"));
}

#[test]
fn files_that_disagree_on_a_type_are_refused() {
    let files = FilesFixture::in_folder();
    std::fs::create_dir(files.path("orders")).unwrap();
    files.write("copy (select 1::integer as id, 1.50::decimal(9,2) as price) to '$FOLDER/orders/a.parquet'");
    files.write("copy (select 1::bigint as id, 1.5::double as price) to '$FOLDER/orders/b.parquet'");
    let attached = Attached::new(files.connector());
    let error = attached
        .connector()
        .describe(attached.session(), "outside", &TableName::bare("orders"))
        .unwrap_err();
    assert_snapshot!(error, @r#"the files of table "orders" do not agree on column "price": it is decimal(9,2) and double"#);
}

#[test]
fn a_column_that_only_later_files_have_is_read() {
    let files = FilesFixture::in_folder();
    std::fs::create_dir(files.path("orders")).unwrap();
    files.write("copy (select 1::integer as id) to '$FOLDER/orders/a.parquet'");
    files.write("copy (select 5000000000::bigint as id, 'x' as note) to '$FOLDER/orders/b.parquet'");
    let attached = Attached::new(files.connector());
    assert_eq!(
        rows(&attached, "orders"),
        ["[Integer(1), Null]", "[Integer(5000000000), Text(\"x\")]"]
    );
}

#[test]
fn files_of_several_formats_are_refused() {
    let files = FilesFixture::in_folder();
    std::fs::create_dir(files.path("orders")).unwrap();
    files.write("copy (select 1 as id) to '$FOLDER/orders/a.parquet'");
    files.write("copy (select 1 as id) to '$FOLDER/orders/b.csv'");
    let attached = Attached::new(files.connector());
    let describe = |attached: &Attached| {
        attached
            .connector()
            .describe(attached.session(), "outside", &TableName::bare("orders"))
    };
    assert_snapshot!(describe(&attached).unwrap_err(), @r#"the files of table "orders" are of several formats"#);
    std::fs::remove_file(files.path("orders/a.parquet")).unwrap();
    std::fs::rename(files.path("orders/b.csv"), files.path("orders/b.txt")).unwrap();
    assert_snapshot!(describe(&attached).unwrap_err(), @r#"the format of the files of table "orders" cannot be told from their names"#);
}

#[test]
fn files_that_change_while_they_are_read_fail_the_read() {
    let files = FilesFixture::in_folder();
    std::fs::create_dir(files.path("orders")).unwrap();
    files.write("copy (select 1 as id) to '$FOLDER/orders/a.parquet'");
    files.write("copy (select 2 as id) to '$FOLDER/orders/b.parquet'");
    let attached = Attached::new(files.connector());
    let held = |change: &dyn Fn()| {
        attached.describe("orders");
        let session = attached.another_session();
        attached.connector().begin_snapshot(&session, "outside").unwrap();
        change();
        let held = attached.connector().snapshot_held(&session, "outside");
        session.rollback();
        // The report says what was looked at.
        let held =
            held.map(|note| assert!(note.is_some_and(|note| note.starts_with("files have no snapshot"))));
        held.map_err(|error| {
            error
                .to_string()
                .replace(&files.path("").display().to_string(), "[FOLDER]/")
        })
    };
    assert_eq!(held(&|| {}), Ok(()));
    // What comes later is for the next run.
    assert_eq!(
        held(&|| files.write("copy (select 3 as id) to '$FOLDER/orders/c.parquet'")),
        Ok(())
    );
    let rewritten = held(&|| files.write("copy (select 4 as id) to '$FOLDER/orders/a.parquet'"));
    assert_snapshot!(rewritten.unwrap_err(), @r#"the files of table "orders" changed while they were read: `[FOLDER]/orders/a.parquet` was written anew"#);
    let removed = held(&|| std::fs::remove_file(files.path("orders/b.parquet")).unwrap());
    assert_snapshot!(removed.unwrap_err(), @r#"the files of table "orders" changed while they were read: `[FOLDER]/orders/b.parquet` is gone"#);
}

#[test]
fn another_content_is_another_storage() {
    let files = FilesFixture::in_folder();
    files.fill_orders(10);
    let attached = Attached::new(files.connector());
    let before = attached.describe("orders").storage_identity;
    assert_eq!(attached.describe("orders").storage_identity, before);
    files.execute("delete from orders where id = 1");
    assert_ne!(attached.describe("orders").storage_identity, before);
}

#[test]
fn a_file_with_the_name_of_a_pattern_is_itself() {
    let files = FilesFixture::in_folder();
    std::fs::create_dir(files.path("orders")).unwrap();
    files.write("copy (select 1 as id) to '$FOLDER/orders/a[12].parquet'");
    files.write("copy (select 2 as id) to '$FOLDER/orders/a?.parquet'");
    files.write("copy (select 3 as id) to '$FOLDER/orders/a1.parquet'");
    let attached = Attached::new(files.connector());
    assert_eq!(
        rows(&attached, "orders"),
        ["[Integer(1)]", "[Integer(2)]", "[Integer(3)]"]
    );
    let sql = attached
        .connector()
        .count("outside", &TableName::bare("orders").into(), &Range::Whole);
    let counted = attached.session().query(Call::new("count"), &sql).unwrap();
    assert_eq!(counted[0].integer(0), Some(3));
}
