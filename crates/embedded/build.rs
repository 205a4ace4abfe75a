//! Rebuilds when an embedded file appears, changes or goes.
fn main() {
    println!("cargo::rerun-if-changed=../../data/embedded");
}
