//! Theorem 1: the cosine of random Gaussian instances against the bound of the paper and the sharper one.

use crate::axis::Axis;
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page};
use crate::panel::{POINT, Panel, marker};
use crate::theme::{Marker, Style};
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{AxisSpec, BoundFigure, Meta};

/// Points drawn per bound; the one closest to its bound is always among them.
const MOST: usize = 2000;

/// Evenly spaced positions of at most [`MOST`] points, with the one of least slack.
fn thinned(bound: &[f64], cosine: &[f64]) -> Vec<usize> {
    let slack = |index: &usize| cosine[*index] - bound[*index];
    let closest = (0..bound.len()).min_by(|a, b| slack(a).total_cmp(&slack(b)));
    // One place is kept for the closest point.
    let stride = bound.len().div_ceil(MOST - 1).max(1);
    let mut kept: Vec<usize> = (0..bound.len()).step_by(stride).collect();
    if let Some(closest) = closest.filter(|index| index % stride != 0) {
        kept.push(closest);
    }
    kept
}

impl Figure for BoundFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let bounds = [(&self.paper, "paper: (1 − r)/(1 + r)", 0), (&self.sharp, "sharper: √(1 − r²)", 1)];
        let mut entries = Vec::new();
        for (bound, name, index) in bounds {
            let slack =
                bound.iter().zip(&self.cosine).map(|(bound, cosine)| cosine - bound).fold(f64::INFINITY, f64::min);
            let name = format!("{name}, least slack {slack:.4}").replace("slack -", "slack −");
            let Style { color, marker, .. } = theme.style(index);
            entries.push(Entry::new(&name, Sample::Point { color, marker, size: POINT }));
        }
        let diagonal = Style { color: theme.ink(), dashes: &[7.0, 4.0], marker: Marker::Circle };
        let line = Sample::Line { color: diagonal.color, dashes: diagonal.dashes, marker: None };
        entries.push(Entry::new("cosine = bound", line));

        let mut page = Page::new(&self.meta, theme, HEIGHT + 40.0, &entries);
        let axes = (
            Axis::covering(
                &AxisSpec::linear("lower bound on the cosine"),
                self.paper.iter().chain(&self.sharp).copied(),
                6,
            ),
            Axis::covering(&AxisSpec::linear("measured cosine cos(s, s_δ)"), self.cosine.iter().copied(), 6),
        );
        let panel = Panel::draw(&mut page.scene, theme, page.body, &[], axes);
        for (bound, _, index) in bounds {
            let style = theme.style(index);
            for kept in thinned(bound, &self.cosine) {
                let at = panel.at(bound[kept], self.cosine[kept]);
                marker(&mut page.scene, at, style.marker, 2.4, style.color);
            }
        }
        panel.line(&mut page.scene, [(-2.0, -2.0), (2.0, 2.0)], diagonal, 1.8);
        Ok(page.scene)
    }
}
