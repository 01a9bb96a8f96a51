//! Real servers and real faults for tests. Development only: no crate may depend on this one outside its tests. Linux only.
//!
//! - [`PostgresServer`]: a private PostgreSQL that lives and dies with the test.
//! - [`MariaDbServer`]: a private MariaDB, likewise.
//! - [`S3Server`]: a private server that speaks S3.
//! - [`TcpProxy`]: stands between a client and PostgreSQL or MariaDB, and loses the answer to a COMMIT on request.
//! - [`Process`]: a child that is killed, stopped and continued at a chosen moment.
//! - [`conformance!`]: one test per guarantee of the connector contract.
//! - [`assert_no_canary`]: no secret in what a program printed or wrote.
//!
//! Everything waits for events with a deadline and never sleeps. A server that cannot start fails the test; nothing
//! here skips.

mod canary;
pub mod conformance;
mod mariadb;
mod percent;
mod postgres;
mod process;
mod proxy;
mod s3;
mod server;

pub use self::mariadb::{MariaDbDatabase, MariaDbOptions, MariaDbServer};
pub use self::postgres::{Database, PostgresOptions, PostgresServer};
pub use self::server::StartError;
pub use canary::{assert_no_canary, assert_no_canary_in_folder};
pub use process::{Process, limit_file_sizes};
pub use proxy::{Fault, Felt, TcpProxy, Trap, Weather};
pub use s3::{S3Bucket, S3Server};
