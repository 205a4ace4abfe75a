//! Figure 2 of the paper: histograms and kernel density estimates of the norm far from and close to the image.

use super::histogram::{class_entries, class_styles, densities, edges, fill_bars};
use crate::axis::{Axis, AxisSpec};
use crate::check::Check;
use crate::page::{HEIGHT, Page, grid};
use crate::panel::{LINE, Panel};
use crate::{Error, Figure, Meta, Scene, Theme};

/// One timestep: samples, their densities on a common grid, and the divergence between the two.
#[derive(Debug, Clone)]
pub struct KdePanel {
    /// The timestep in words.
    pub title: String,
    /// What was measured, with its unit; label of the x axis.
    pub quantity: String,
    /// Values of memorized prompts.
    pub memorized: Vec<f64>,
    /// Values of ordinary prompts.
    pub ordinary: Vec<f64>,
    /// Where the densities were evaluated, ascending.
    pub grid: Vec<f64>,
    /// Density of memorized prompts at each grid point.
    pub memorized_density: Vec<f64>,
    /// Density of ordinary prompts at each grid point.
    pub ordinary_density: Vec<f64>,
    /// KL(memorized ‖ ordinary) in nats.
    pub kl_memorized_ordinary: f64,
    /// KL(ordinary ‖ memorized) in nats.
    pub kl_ordinary_memorized: f64,
}

/// Histograms with density curves, one panel per timestep. The caption should state rule, grid and clipping.
#[derive(Debug, Clone)]
pub struct KdeFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Panels from left to right, up to three in a row.
    pub panels: Vec<KdePanel>,
    /// Number of histogram bins over the range of both samples.
    pub bins: usize,
}

impl KdePanel {
    fn check(&self, check: Check<'_>, index: usize) -> Result<(), Error> {
        let field = |name: &str| format!("panels[{index}].{name}");
        check.filled(&field("grid"), &self.grid)?;
        check.finite(&field("grid"), self.grid.iter().copied())?;
        check.ascending(&field("grid"), &self.grid)?;
        for (name, values) in [("memorized", &self.memorized), ("ordinary", &self.ordinary)] {
            check.filled(&field(name), values)?;
            check.finite(&field(name), values.iter().copied())?;
        }
        let densities = [("memorized_density", &self.memorized_density), ("ordinary_density", &self.ordinary_density)];
        for (name, values) in densities {
            check.length(&field(name), values, self.grid.len())?;
            check.within(&field(name), values.iter().copied(), (0.0, 1e100), "must be finite and not negative")?;
        }
        check.finite(&field("kl_memorized_ordinary"), [self.kl_memorized_ordinary])?;
        check.finite(&field("kl_ordinary_memorized"), [self.kl_ordinary_memorized])
    }

    fn titles(&self) -> [String; 3] {
        [
            self.title.clone(),
            format!("KL(mem ‖ ord) = {:.3}", self.kl_memorized_ordinary),
            format!("KL(ord ‖ mem) = {:.3}", self.kl_ordinary_memorized),
        ]
    }

    fn axes(&self, edges: &[f64], bars: &[Vec<f64>; 2]) -> (Axis, Axis) {
        let curves = self.memorized_density.iter().chain(&self.ordinary_density);
        let heights = bars.iter().flatten().chain(curves).copied().chain([0.0]);
        let across = edges.iter().chain(&self.grid).copied();
        (
            Axis::covering(&AxisSpec::linear(&self.quantity), across, 5),
            Axis::covering(&AxisSpec::linear("density"), heights, 5),
        )
    }
}

impl Figure for KdeFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        let check = Check::new(&self.meta.name);
        check.filled("panels", &self.panels)?;
        check.at_least("bins", self.bins)?;
        let (rows, columns) = grid(self.panels.len());
        let mut page = Page::new(&self.meta, theme, HEIGHT * rows as f64, &class_entries(theme));
        for (index, input) in self.panels.iter().enumerate() {
            input.check(check, index)?;
            let edges = edges(input.memorized.iter().chain(&input.ordinary).copied(), self.bins);
            let bars = [densities(&input.memorized, &edges), densities(&input.ordinary, &edges)];
            let outer = page.body.cell((rows, columns), (index / columns, index % columns), 10.0);
            let panel = Panel::draw(&mut page.scene, theme, outer, &input.titles(), input.axes(&edges, &bars));
            let styles = class_styles(theme);
            for (bars, style) in bars.iter().zip(styles) {
                fill_bars(&mut page.scene, &panel, &edges, bars, style.color);
            }
            for (density, style) in [&input.memorized_density, &input.ordinary_density].into_iter().zip(styles) {
                let curve = input.grid.iter().copied().zip(density.iter().copied());
                panel.line(&mut page.scene, curve, style, LINE);
            }
        }
        Ok(page.scene)
    }
}
