//! Results: folders, comparison, tables and their exports, statistics, published numbers.

mod compare;
mod folder;
mod published;
mod statistics;
mod tables;
