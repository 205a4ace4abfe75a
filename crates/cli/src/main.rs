//! memscope.
fn main() {}
