//! Result tables: what they accept, and every format they are written in.

mod building;
mod export;
mod files;
mod sample;
