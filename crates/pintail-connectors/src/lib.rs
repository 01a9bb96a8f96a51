//! Connectors: one folder per outside system.
