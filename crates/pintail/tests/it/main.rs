#![cfg(test)]
//! The binary as its users see it: what it prints, what it leaves, and the code with which it ends.

mod buckets;
mod configuration;
mod crash;
mod demo;
mod doctor;
mod examples;
mod help;
mod places;
mod project;
mod runs;
mod secrecy;
mod seed;
mod signals;
mod sources;
mod sql;
mod state;
