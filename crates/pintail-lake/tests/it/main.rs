//! Integration tests of engines, lakes and the commit protocol.

mod commit;
mod lakes;
mod tap;
