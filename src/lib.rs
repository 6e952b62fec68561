//! plugway: a plugin gateway.

pub mod auth;
pub mod config;
pub mod control;
pub mod documents;
pub mod headers;
pub mod openapi;
pub mod problems;
pub mod route;
pub mod telemetry;
pub mod todo;
pub mod tokens;
pub mod server;
