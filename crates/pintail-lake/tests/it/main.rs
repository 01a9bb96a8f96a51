//! Integration tests of engines, lakes and the commit protocol.

mod commit;
mod lakes;
mod lost_answer;
mod tap;
