//! Records the commit the program was built from, for manifests.
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../../.git/HEAD");
    println!("cargo::rerun-if-changed=../../.git/refs/heads");
    let commit = Command::new("git").args(["rev-parse", "HEAD"]).output().ok().filter(|out| out.status.success());
    let commit = commit.and_then(|out| String::from_utf8(out.stdout).ok());
    println!("cargo::rustc-env=MEMSCOPE_COMMIT={}", commit.as_deref().map_or("unknown", str::trim));
}
