//! MariaDB as a source.

mod compression;
mod describe;
pub(crate) mod fixture;
mod read_point;
mod round_trip;
mod scan;

use fixture::MySqlFixture;

pintail_testkit::conformance!(MySqlFixture::new());
