mod describe;
mod digest;
pub(crate) mod fixture;
mod read_point;
mod scan;

use fixture::PostgresFixture;

pintail_testkit::conformance!(PostgresFixture::new());
