//! Bad lines: connections that break, stall and trickle while a run reads its source and commits to its catalogue.
//! Nothing is lost, nothing is doubled, and the report says what was tried again.

mod capped;
mod line;
mod mariadb;
mod reading;
mod refused;
mod storm;
mod time_box;
mod written;
