#![cfg(test)]
//! The binary as its users see it: what it prints, what it leaves, and the code with which it ends.

mod buckets;
mod completions;
mod configuration;
mod copies;
mod crash;
mod demo;
mod doctor;
mod examples;
mod files;
mod global;
mod help;
mod init;
mod maintenance;
mod mariadb;
mod memory;
mod pairs;
mod places;
mod project;
mod runs;
mod schema;
mod secrecy;
mod seed;
mod showing;
mod signals;
mod snapshot_buckets;
mod snapshots;
mod snapshots_of_lakes;
mod sources;
mod sql;
mod state;
