//! Results: tables and their exports, statistics, published numbers.

mod published;
mod statistics;
mod tables;
