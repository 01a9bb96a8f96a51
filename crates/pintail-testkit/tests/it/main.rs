//! What the kit promises to the tests of other crates, and the rules that hold for the whole workspace.

#![cfg(test)]

mod canary;
mod mariadb;
mod postgres;
mod process;
mod proxy;
mod s3;
mod tidy;
