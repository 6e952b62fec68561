//! Access lines and counters. Pure.
