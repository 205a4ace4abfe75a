//! Figure 2 of the paper: histograms and kernel density estimates of the norm far from and close to the image.

use super::histogram::{class_entries, densities, edges, fill_bars};
use crate::axis::Axis;
use crate::page::{HEIGHT, Page, grid};
use crate::panel::{LINE, Panel};
use crate::style::class_styles;
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{AxisSpec, KdeFigure, KdePanel, Meta};

fn titles(panel: &KdePanel) -> [String; 3] {
    [
        panel.title.clone(),
        format!("KL(mem ‖ non) = {:.3}", panel.kl_memorized_non_memorized),
        format!("KL(non ‖ mem) = {:.3}", panel.kl_non_memorized_memorized),
    ]
}

fn axes(panel: &KdePanel, edges: &[f64], bars: &[Vec<f64>; 2]) -> (Axis, Axis) {
    let curves = panel.memorized_density.iter().chain(&panel.non_memorized_density);
    let heights = bars.iter().flatten().chain(curves).copied().chain([0.0]);
    let across = edges.iter().chain(&panel.grid).copied();
    (
        Axis::covering(&AxisSpec::linear(&panel.quantity), across, 5),
        Axis::covering(&AxisSpec::linear("density"), heights, 5),
    )
}

impl Figure for KdeFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let (rows, columns) = grid(self.panels.len());
        let mut page = Page::new(&self.meta, theme, HEIGHT * rows as f64, &class_entries(theme));
        for (index, input) in self.panels.iter().enumerate() {
            let edges = edges(input.memorized.iter().chain(&input.non_memorized).copied(), self.bins);
            let bars = [densities(&input.memorized, &edges), densities(&input.non_memorized, &edges)];
            let outer = page.body.cell((rows, columns), (index / columns, index % columns), 10.0);
            let panel = Panel::draw(&mut page.scene, theme, outer, &titles(input), axes(input, &edges, &bars));
            let styles = class_styles(theme);
            for (bars, style) in bars.iter().zip(styles) {
                fill_bars(&mut page.scene, &panel, &edges, bars, style.color);
            }
            for (density, style) in [&input.memorized_density, &input.non_memorized_density].into_iter().zip(styles) {
                let curve = input.grid.iter().copied().zip(density.iter().copied());
                panel.line(&mut page.scene, curve, style, LINE);
            }
        }
        Ok(page.scene)
    }
}
