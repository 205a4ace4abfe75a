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
