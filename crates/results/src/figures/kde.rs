//! Figure 2 of the paper: histograms and kernel density estimates of the norm far from and close to the image.

use serde::{Deserialize, Serialize};

use super::{
    Meta,
    check::{Check, FigureError, MOST_STEPS},
};

/// One timestep: samples, their densities on a common grid, and the divergence between the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KdePanel {
    /// The timestep in words.
    pub title: String,
    /// What was measured, with its unit; label of the x axis.
    pub quantity: String,
    /// Values of memorized prompts.
    pub memorized: Vec<f64>,
    /// Values of non-memorized prompts.
    pub non_memorized: Vec<f64>,
    /// Where the densities were evaluated, ascending.
    pub grid: Vec<f64>,
    /// Density of memorized prompts at each grid point.
    pub memorized_density: Vec<f64>,
    /// Density of non-memorized prompts at each grid point.
    pub non_memorized_density: Vec<f64>,
    /// KL(memorized ‖ non-memorized) in nats.
    pub kl_memorized_non_memorized: f64,
    /// KL(non-memorized ‖ memorized) in nats.
    pub kl_non_memorized_memorized: f64,
}

/// Histograms with density curves, one panel per timestep. The caption should state rule, grid and clipping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KdeFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Panels from left to right, up to three in a row.
    pub panels: Vec<KdePanel>,
    /// Number of histogram bins over the range of both samples.
    pub bins: usize,
}

impl KdePanel {
    fn check(&self, check: Check<'_>, index: usize) -> Result<(), FigureError> {
        let field = |name: &str| format!("panels[{index}].{name}");
        check.text(&field("title"), &self.title)?;
        check.text(&field("quantity"), &self.quantity)?;
        check.filled(&field("grid"), &self.grid)?;
        check.at_most(&field("grid"), self.grid.len(), MOST_STEPS)?;
        check.finite(&field("grid"), self.grid.iter().copied())?;
        check.ascending(&field("grid"), &self.grid)?;
        for (name, values) in [("memorized", &self.memorized), ("non_memorized", &self.non_memorized)] {
            check.filled(&field(name), values)?;
            check.finite(&field(name), values.iter().copied())?;
        }
        let densities =
            [("memorized_density", &self.memorized_density), ("non_memorized_density", &self.non_memorized_density)];
        for (name, values) in densities {
            check.length(&field(name), values, self.grid.len())?;
            check.within(&field(name), values.iter().copied(), (0.0, 1e100), "must be finite and not negative")?;
        }
        check.finite(&field("kl_memorized_non_memorized"), [self.kl_memorized_non_memorized])?;
        check.finite(&field("kl_non_memorized_memorized"), [self.kl_non_memorized_memorized])
    }
}

impl KdeFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.parts("panels", &self.panels)?;
        check.at_least("bins", self.bins)?;
        check.at_most("bins", self.bins, MOST_STEPS)?;
        self.panels.iter().enumerate().try_for_each(|(index, panel)| panel.check(check, index))
    }
}
