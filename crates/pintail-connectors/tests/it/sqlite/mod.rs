pub(crate) mod fixture;
mod scan;
mod side_tables;
pub(crate) mod writer;

use fixture::SqliteFixture;

pintail_testkit::conformance!(SqliteFixture::new());
