//! Integration tests of engines, lakes and the commit protocol.

#![cfg(test)]

mod bucket;
mod catalogues;
mod commit;
mod concurrency;
mod engine;
mod faults;
mod kill;
mod lakes;
mod loads;
mod lost_answer;
mod maintenance;
mod names;
mod repeat;
mod roles;
mod signatures;
mod stopped;
mod strangers;
mod tap;
mod traps;
