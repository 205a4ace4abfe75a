//! memscope.
