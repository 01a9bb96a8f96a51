//! Integration tests.

#![cfg(test)]

mod added_only;
mod aggregate;
mod complaints;
mod cuts;
mod database;
mod delta;
mod difference;
mod full;
mod hash;
mod joined;
mod journey;
mod lakes;
mod late_commit;
mod lost_answer;
mod mariadb;
mod names;
mod oracle;
mod partition;
mod plan;
mod postgres;
mod resume;
mod row_hash;
mod served;
mod shared;
mod shop;
mod source;
mod spec;
mod state;
mod types;
mod watermark;
mod wire;
