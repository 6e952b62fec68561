//! plugway: a plugin gateway.

pub mod access;
pub mod admin;
pub mod answer;
pub mod app;
pub mod auth;
pub mod body;
pub mod callers;
pub mod cli;
pub mod config;
pub mod control;
pub mod documents;
pub mod gateway;
pub mod headers;
pub mod local;
pub mod log;
pub mod openapi;
pub mod outbound;
pub mod problems;
pub mod rejection;
pub mod route;
pub mod server;
pub mod snapshot;
pub mod telemetry;
pub mod todo;
pub mod tokens;
pub mod upstream;
