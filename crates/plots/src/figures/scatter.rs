//! Two numbers of every detector: detection against cost with the front of the detectors that none other beats at both,
//! or detection of one kind of prompt against another.

use crate::axis::{Axis, extent};
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page};
use crate::panel::{LINE, POINT, Panel, marker};
use crate::style::Styles;
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

/// Space between points of the same x, in pixels.
const BESIDE: f64 = 11.0;

/// Half the sizes of markers in pixels: the fewest generations, then more.
const SIZES: [f64; 4] = [POINT, 1.5 * POINT, 2.0 * POINT, 2.5 * POINT];

/// The costs, with room at both ends so that no marker lies on the frame.
fn padded(points: &[&ScatterPoint], scale: Scale) -> [f64; 2] {
    let (low, high) = extent(points.iter().map(|point| point.x));
    match scale {
        Scale::Linear => [low - 0.03 * (high - low), high + 0.03 * (high - low)],
        Scale::Log10 | Scale::Log2 => [low / 1.3, high * 1.3],
    }
}

fn draw_front(points: &[ScatterPoint], scene: &mut Scene, panel: &Panel, style: Style) {
    let positions: Vec<(f64, f64)> = points.iter().map(|point| (point.x, point.y)).collect();
    let front: Vec<(f64, f64)> = pareto_front(&positions).into_iter().map(|index| positions[index]).collect();
    // Between two points of the front only the cheaper one's detection can be had.
    let mut steps = Vec::new();
    for pair in front.windows(2) {
        steps.extend([pair[0], (pair[1].0, pair[0].1)]);
    }
    steps.extend(front.last());
    panel.line(scene, steps, style, LINE);
}

/// How far each point stands beside its x, in pixels, so that none hides another of the same x.
fn beside(points: &[&ScatterPoint]) -> Vec<f64> {
    let same = |at: usize| (0..points.len()).filter(move |other| points[*other].x == points[at].x);
    let place = |at: usize| same(at).position(|other| other == at).unwrap_or_default() as f64;
    (0..points.len()).map(|at| BESIDE * (place(at) - (same(at).count() - 1) as f64 / 2.0)).collect()
}

/// Legend: detectors, numbers of generations by size, runs, the guide.
fn entries(styles: &Styles, sizes: &[usize], runs: &[String], theme: Theme, guide: (&str, Style)) -> Vec<Entry> {
    let point = |(name, Style { color, marker, .. }): (&str, Style)| {
        Entry::new(name, Sample::Point { color, marker, size: POINT })
    };
    let size = |(at, n): (usize, &usize)| {
        let sample = Sample::Point { color: theme.muted(), marker: Marker::Circle, size: size_of(at) };
        Entry::new(&format!("n = {n}"), sample)
    };
    let sizes = if sizes.len() > 1 { sizes } else { &[] };
    let run = |(at, name): (usize, &String)| match at {
        0 => Entry::new(name, Sample::Point { color: theme.ink(), marker: Marker::Circle, size: POINT }),
        _ => Entry::new(&format!("{name} (ringed)"), Sample::Ring { color: theme.ink() }),
    };
    let line = Sample::Line { color: guide.1.color, dashes: guide.1.dashes, marker: None };
    let named = styles.each().map(point).chain(sizes.iter().enumerate().map(size));
    named.chain(runs.iter().enumerate().map(run)).chain([Entry::new(guide.0, line)]).collect()
}

fn size_of(place: usize) -> f64 {
    SIZES[place.min(SIZES.len() - 1)]
}

/// One figure, or those of two `runs` with the same axes.
pub(super) fn draw(figures: &[&ScatterFigure], runs: &[String], meta: &Meta, theme: Theme) -> Scene {
    let guide = Style { color: theme.muted(), dashes: &[6.0, 4.0], marker: Marker::Circle };
    let all: Vec<(usize, &ScatterPoint)> =
        figures.iter().enumerate().flat_map(|(run, figure)| figure.points.iter().map(move |p| (run, p))).collect();
    let points: Vec<&ScatterPoint> = all.iter().map(|(_, point)| *point).collect();
    let styles = Styles::new(theme, points.iter().map(|point| point.name.as_str()));
    let mut sizes: Vec<usize> = points.iter().filter_map(|point| point.generations).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let first = figures[0];
    let guide_name = match first.guide {
        Guide::Front => "Pareto front",
        Guide::Diagonal => "both alike",
    };
    let mut page = Page::new(meta, theme, HEIGHT, &entries(&styles, &sizes, runs, theme, (guide_name, guide)));
    let ends = |point: &ScatterPoint| point.interval.map_or([point.y; 2], |(low, high)| [low, high]);
    let heights: Vec<f64> = points.iter().flat_map(|point| ends(point).into_iter().chain([point.y])).collect();
    // With a diagonal both axes are alike, so that it means what it seems to.
    let (low, high) = extent(points.iter().map(|point| point.x).chain(heights.iter().copied()));
    let (across, heights) = match first.guide {
        Guide::Front => (padded(&points, first.x.scale), heights),
        Guide::Diagonal => ([low, high], vec![low, high]),
    };
    let axes = (Axis::covering(&first.x, across, 6), Axis::covering(&first.y, heights, 6));
    let panel = Panel::draw(&mut page.scene, theme, page.body, &[], axes);
    match first.guide {
        Guide::Front => {
            figures.iter().for_each(|figure| draw_front(&figure.points, &mut page.scene, &panel, guide));
        }
        Guide::Diagonal => panel.line(&mut page.scene, [low, high].map(|end| (end, end)), guide, LINE),
    }
    let beside = match first.guide {
        Guide::Front => beside(&points),
        Guide::Diagonal => vec![0.0; points.len()],
    };
    for ((run, point), shift) in all.iter().zip(beside) {
        let (_, style) = styles.of(&point.name);
        let (x, y) = panel.at(point.x, point.y);
        let at = (x + shift, y);
        if let Some((low, high)) = point.interval {
            for end in [low, high] {
                let y = panel.at(point.x, end).1;
                page.scene.line(vec![at, (at.0, y)], style.color, 1.6);
                page.scene.line(vec![(at.0 - 4.0, y), (at.0 + 4.0, y)], style.color, 1.6);
            }
        }
        let place = point.generations.and_then(|n| sizes.iter().position(|size| *size == n)).unwrap_or_default();
        let size = size_of(if sizes.len() > 1 { place } else { 0 });
        marker(&mut page.scene, at, style.marker, size, style.color);
        if *run > 0 {
            page.scene.ring(at, 1.8 * size, style.color, 1.4);
        }
    }
    page.scene
}

impl Figure for ScatterFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        Ok(draw(&[self], &[], &self.meta, theme))
    }
}
