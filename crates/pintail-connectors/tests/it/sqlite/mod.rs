pub(crate) mod fixture;
mod scan;
pub(crate) mod writer;

use fixture::SqliteFixture;

pintail_testkit::conformance!(SqliteFixture::new());
