//! Integration tests of engines, lakes and the commit protocol.

mod commit;
mod concurrency;
mod kill;
mod lakes;
mod lost_answer;
mod roles;
mod stopped;
mod tap;
