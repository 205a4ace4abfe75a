//! Criterion for the benchmarks of this workspace.
//!
//! Criterion draws its plots with plotters, which here has no access to the fonts of the system (one feature set serves
//! the whole workspace, and the program brings its own font): without a registered font the first plot ends the run.

use criterion::Criterion;
use plotters::style::{FontStyle, register_font};

/// The font of memscope's figures.
static FONT: &[u8] = include_bytes!("../../plots/assets/DejaVuSans-subset.ttf");

/// Criterion's default settings, with a font for its plots.
pub fn criterion() -> Criterion {
    // The family that criterion asks for. A font that cannot be read costs the plots, not the timings.
    if register_font("sans-serif", FontStyle::Normal, FONT).is_err() {
        return Criterion::default().without_plots();
    }
    Criterion::default()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// The harness of a library's own tests does not know criterion's options: `cargo bench --workspace -- --quick` would
    /// end at it.
    #[test]
    fn no_library_takes_part_in_cargo_bench() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifests = fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path().join("Cargo.toml"));
        let mut read = 0;
        for manifest in manifests.filter(|manifest| manifest.exists()) {
            let text = fs::read_to_string(&manifest).unwrap();
            assert!(text.contains("\nbench = false\n"), "{}", manifest.display());
            read += 1;
        }
        assert!(read > 10, "{read}");
    }
}
