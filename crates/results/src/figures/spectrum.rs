//! Histograms of the score Jacobian's eigenvalues, one small panel per timestep.

use serde::{Deserialize, Serialize};

use super::{
    Meta,
    check::{Check, FigureError, MOST_STEPS},
};

/// The eigenvalues at one timestep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// The timestep in words, such as `t = 981`.
    pub title: String,
    /// All eigenvalues, in any order.
    pub eigenvalues: Vec<f64>,
}

/// Small multiples of eigenvalue histograms; every panel has its own range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectrumFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// What the values are, with the unit; label of every x axis.
    pub quantity: String,
    /// One panel each, row by row.
    pub spectra: Vec<Spectrum>,
    /// Number of bins per panel.
    pub bins: usize,
}

impl SpectrumFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.text("quantity", &self.quantity)?;
        check.parts("spectra", &self.spectra)?;
        check.at_least("bins", self.bins)?;
        check.at_most("bins", self.bins, MOST_STEPS)?;
        for (index, spectrum) in self.spectra.iter().enumerate() {
            let field = format!("spectra[{index}].eigenvalues");
            check.text(&format!("spectra[{index}].title"), &spectrum.title)?;
            check.filled(&field, &spectrum.eigenvalues)?;
            check.finite(&field, spectrum.eigenvalues.iter().copied())?;
        }
        Ok(())
    }
}
