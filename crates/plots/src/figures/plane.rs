//! Detection over the plane of the two weights γ.

use crate::axis::{Axis, extent, widened};
use crate::color::sequential;
use crate::geometry::Rect;
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page, color_bar};
use crate::panel::{MARKER, POINT, Panel, marker};
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{AxisSpec, Meta, PlaneFigure};

/// Edges of the cells around `centers` on a logarithmic axis: halfway between neighbours.
fn cell_edges(centers: &[f64]) -> Vec<f64> {
    let last = centers.len() - 1;
    let ratio = |index: usize| if last == 0 { 2.0 } else { centers[index + 1] / centers[index] };
    let first_edge = centers[0] / ratio(0).sqrt();
    let last_edge = centers[last] * ratio(last.saturating_sub(1)).sqrt();
    let middles = centers.windows(2).map(|pair| (pair[0] * pair[1]).sqrt());
    [first_edge].into_iter().chain(middles).chain([last_edge]).collect()
}

/// An axis over exactly the cells and the marked points.
fn axis(label: &str, edges: &[f64], marked: impl Iterator<Item = f64>) -> Axis {
    // A marker on the frame would be half outside.
    let marked = marked.flat_map(|value| [value / 1.3, value * 1.3]);
    let cells = extent(edges.iter().copied());
    let (low, high) = extent([cells.0, cells.1].into_iter().chain(marked));
    Axis::between(&AxisSpec::log10(label), (low, high), 6)
}

impl Figure for PlaneFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let styles = |index: usize| theme.style(index).marker;
        let entries: Vec<Entry> = self
            .marked
            .iter()
            .enumerate()
            .map(|(index, point)| {
                let sample = Sample::Point { color: theme.ink(), marker: styles(index), size: POINT };
                Entry::new(&point.name, sample)
            })
            .collect();
        let mut page = Page::new(&self.meta, theme, HEIGHT + 40.0, &entries);
        let (across, up) = (cell_edges(&self.x), cell_edges(&self.y));
        let axes = (
            axis(&self.x_label, &across, self.marked.iter().map(|point| point.x)),
            axis(&self.y_label, &up, self.marked.iter().map(|point| point.y)),
        );
        let outer = Rect { width: page.body.width - 100.0, ..page.body };
        let panel = Panel::draw(&mut page.scene, theme, outer, &[], axes);
        let (low, high) = extent(self.values.iter().copied());
        let (low, high) = widened(low, high);
        let color = |value: f64| sequential((value - low) / (high - low));
        for (index, value) in self.values.iter().enumerate() {
            let (row, column) = (index / self.x.len(), index % self.x.len());
            let from = panel.at(across[column], up[row + 1]);
            let to = panel.at(across[column + 1], up[row]);
            // A small overlap hides the seams that viewers show between touching cells.
            let to = ((to.0 + 0.4).min(panel.area.right()), (to.1 + 0.4).min(panel.area.bottom()));
            page.scene.rect(from, to, color(*value), 1.0);
        }
        page.scene.line(panel.area.outline(), theme.ink(), 1.2);
        for (index, point) in self.marked.iter().enumerate() {
            let at = panel.at(point.x, point.y);
            marker(&mut page.scene, at, styles(index), MARKER * 2.2, (0, 0, 0));
            marker(&mut page.scene, at, styles(index), MARKER * 1.5, (255, 255, 255));
        }
        let bar = Rect::new(outer.right() + 8.0, panel.area.top, 92.0, panel.area.height);
        color_bar(&mut page.scene, theme, bar, (&self.value_label, low, high), color);
        Ok(page.scene)
    }
}
