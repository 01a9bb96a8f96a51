//! How much memory a process takes, as its report says.

use pintail_testkit::PostgresServer;

use crate::project::{LAKE, Project};

#[test]
fn memory_does_not_grow_with_the_rows() {
    let database = PostgresServer::shared().fresh_database();
    database.execute(
        "create table few (id bigint primary key, item text, price numeric(10, 2), placed_at timestamptz);
         insert into few select i, md5(i::text), i % 1000, now() from generate_series(1, 100000) as ids (i);
         create table many (like few including all);
         insert into many select i, md5(i::text), i % 1000, now() from generate_series(1, 1500000) as ids (i);
         analyze",
    );
    let project = Project::empty();
    let peak = |table: &str, more: &[&str]| {
        let from = format!("{}?table={table}", database.url());
        let arguments = [&["copy", &from, LAKE, "--json"], more].concat();
        let report = project.succeed(&arguments).json();
        assert_eq!(report["parity"]["status"], "ok", "{report}");
        report["resources"]["peak_rss_bytes"]
            .as_u64()
            .expect("a number of bytes")
    };
    let few = peak("few", &[]);
    for more in [&[][..], &["--partitions", "20"]] {
        let many = peak("many", more);
        // Fifteen times the rows; the difference is what stands in queues and caches that are full.
        assert!(
            many < few + (128 << 20),
            "{few} bytes for few rows, {many} for many {more:?}"
        );
        assert!(many < 400 << 20, "{many} bytes");
    }
}
