//! Integration tests.

#![cfg(test)]

mod database;
mod delta;
mod difference;
mod full;
mod lakes;
mod late_commit;
mod lost_answer;
mod oracle;
mod partition;
mod plan;
mod postgres;
mod resume;
mod served;
mod shop;
mod source;
mod spec;
mod state;
mod watermark;
mod wire;
