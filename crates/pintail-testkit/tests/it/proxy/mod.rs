//! The proxy passes everything on, and each of its faults happens once and where it was asked for.

mod mysql;
mod postgres;

use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
