//! Two numbers of every detector: detection against cost with the front of the detectors that none other beats at both,
//! or detection of one kind of prompt against another.

use crate::axis::{Axis, extent};
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page};
use crate::panel::{LINE, MARKER, Panel, marker};
use crate::theme::{Marker, Style};
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{Guide, Meta, Scale, ScatterFigure, ScatterPoint};

/// Positions of the (cost, gain) points that no other point beats, by ascending cost: a point is beaten by one that
/// costs no more and gains no less, and differs in either. Of equal points the first is kept.
pub fn pareto_front(points: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| points[*a].0.total_cmp(&points[*b].0).then(points[*b].1.total_cmp(&points[*a].1)));
    let mut best = f64::NEG_INFINITY;
    order.retain(|index| {
        let better = points[*index].1 > best;
        best = best.max(points[*index].1);
        better
    });
    order
}

/// The costs, with room at both ends so that no marker lies on the frame.
fn padded(points: &[ScatterPoint], scale: Scale) -> [f64; 2] {
    let (low, high) = extent(points.iter().map(|point| point.x));
    match scale {
        Scale::Linear => [low - 0.03 * (high - low), high + 0.03 * (high - low)],
        Scale::Log10 | Scale::Log2 => [low / 1.15, high * 1.15],
    }
}

fn draw_front(figure: &ScatterFigure, scene: &mut Scene, panel: &Panel, style: Style) {
    let positions: Vec<(f64, f64)> = figure.points.iter().map(|point| (point.x, point.y)).collect();
    let front: Vec<(f64, f64)> = pareto_front(&positions).into_iter().map(|index| positions[index]).collect();
    // Between two points of the front only the cheaper one's detection can be had.
    let mut steps = Vec::new();
    for pair in front.windows(2) {
        steps.extend([pair[0], (pair[1].0, pair[0].1)]);
    }
    steps.extend(front.last());
    panel.line(scene, steps, style, LINE);
}

impl Figure for ScatterFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let front = Style { color: theme.muted(), dashes: &[6.0, 4.0], marker: Marker::Circle };
        let point_entry = |(index, point): (usize, &ScatterPoint)| {
            let Style { color, marker, .. } = theme.style(index);
            Entry::new(&point.name, Sample::Point { color, marker })
        };
        let guide_name = match self.guide {
            Guide::Front => "Pareto front",
            Guide::Diagonal => "both alike",
        };
        let line = Sample::Line { color: front.color, dashes: front.dashes, marker: None };
        let entries: Vec<Entry> =
            self.points.iter().enumerate().map(point_entry).chain([Entry::new(guide_name, line)]).collect();
        let mut page = Page::new(&self.meta, theme, HEIGHT, &entries);
        let ends = |point: &ScatterPoint| point.interval.map_or([point.y; 2], |(low, high)| [low, high]);
        let heights: Vec<f64> = self.points.iter().flat_map(|point| ends(point).into_iter().chain([point.y])).collect();
        // With a diagonal both axes are alike, so that it means what it seems to.
        let (low, high) = extent(self.points.iter().map(|point| point.x).chain(heights.iter().copied()));
        let (across, heights) = match self.guide {
            Guide::Front => (padded(&self.points, self.x.scale), heights),
            Guide::Diagonal => ([low, high], vec![low, high]),
        };
        let axes = (Axis::covering(&self.x, across, 6), Axis::covering(&self.y, heights, 6));
        let panel = Panel::draw(&mut page.scene, theme, page.body, &[], axes);
        match self.guide {
            Guide::Front => draw_front(self, &mut page.scene, &panel, front),
            Guide::Diagonal => panel.line(&mut page.scene, [low, high].map(|end| (end, end)), front, LINE),
        }
        for (index, point) in self.points.iter().enumerate() {
            let style = theme.style(index);
            let at = panel.at(point.x, point.y);
            if let Some((low, high)) = point.interval {
                for end in [low, high] {
                    let y = panel.at(point.x, end).1;
                    page.scene.line(vec![at, (at.0, y)], style.color, 1.6);
                    page.scene.line(vec![(at.0 - 5.0, y), (at.0 + 5.0, y)], style.color, 1.6);
                }
            }
            marker(&mut page.scene, at, style.marker, MARKER * 1.5, style.color);
        }
        Ok(page.scene)
    }
}
