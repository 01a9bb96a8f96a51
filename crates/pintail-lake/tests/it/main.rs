//! Integration tests of engines, lakes and the commit protocol.

#![cfg(test)]

mod commit;
mod concurrency;
mod interrupt;
mod kill;
mod lakes;
mod lost_answer;
mod repeat;
mod roles;
mod stopped;
mod tap;
mod traps;
