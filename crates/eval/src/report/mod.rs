//! What is reported: tables over scores, and Theorem 1 on sampled instances.

pub mod figures;
pub mod tables;
pub mod theorem;
