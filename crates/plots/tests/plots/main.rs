//! Figures drawn from their numbers, the report's page, and results folders that mean harm.

mod colors;
mod figures;
mod folders;
mod page;
mod samples;
