//! Figure 3 of the paper: where guidance and score point the same way, for a memorized and a non-memorized prompt.

use super::histogram::{densities, fill_bars, outline_bars};
use crate::axis::Axis;
use crate::color::diverging;
use crate::geometry::Rect;
use crate::legend::{Entry, Sample};
use crate::page::{Page, color_bar};
use crate::panel::Panel;
use crate::scene::{Anchor, Point, Scene};
use crate::style::class_styles;
use crate::text::{LABEL, LEADING, SMALL};
use crate::theme::{Marker, Style};
use crate::{Color, Error, Figure, Theme};
use memscope_results::figures::{AxisSpec, FieldClass, FieldFigure, FieldPanel, Meta};

/// Height of the titles above each picture in pixels.
const TITLES: f64 = (LABEL + SMALL) * LEADING + 8.0;

/// Width kept for the colour bar in pixels.
const BAR: f64 = 84.0;

/// Space between columns in pixels.
const GAP: f64 = 14.0;

/// Height of the distributions of cosines in pixels.
const DISTRIBUTIONS: f64 = 300.0;

/// Bins of a distribution over [-1, 1].
const BINS: usize = 40;

/// Grid positions that get arrows.
fn arrow_positions(panel: &FieldPanel, stride: usize) -> impl Iterator<Item = (usize, usize)> {
    let columns = move || (0..panel.width).step_by(stride);
    (0..panel.height).step_by(stride).flat_map(move |row| columns().map(move |column| (row, column)))
}

/// The largest rectangle of the grid's shape in the middle of `outer`.
fn fit(panel: &FieldPanel, outer: Rect) -> Rect {
    let cell = (outer.width / panel.width as f64).min(outer.height / panel.height as f64);
    let (width, height) = (cell * panel.width as f64, cell * panel.height as f64);
    Rect::new(outer.left + (outer.width - width) / 2.0, outer.top, width, height)
}

fn draw_arrows(panel: &FieldPanel, scene: &mut Scene, area: Rect, figure: &FieldFigure, colors: [Color; 3]) {
    let cell = area.width / panel.width as f64;
    let reach = cell * figure.stride as f64 * 0.52;
    for (row, column) in arrow_positions(panel, figure.stride) {
        let index = row * panel.width + column;
        // The arrows of a block of positions start at the block's middle.
        let middle = |position: usize, count: usize| {
            f64::midpoint(position as f64, (position + figure.stride).min(count) as f64) * cell
        };
        let center = (area.left + middle(column, panel.width), area.top + middle(row, panel.height));
        if panel.cosine[index] > figure.ring_threshold {
            scene.ring(center, reach * 0.85, colors[2], 1.4);
        }
        draw_arrow(scene, center, panel.first[index], reach, colors[0]);
        draw_arrow(scene, center, panel.second[index], reach, colors[1]);
    }
}

fn draw_cosine(panel: &FieldPanel, scene: &mut Scene, area: Rect) {
    let cell = area.width / panel.width as f64;
    for row in 0..panel.height {
        for column in 0..panel.width {
            let (left, top) = (area.left + column as f64 * cell, area.top + row as f64 * cell);
            // A small overlap hides the seams that viewers show between touching cells.
            let corner = ((left + cell + 0.4).min(area.right()), (top + cell + 0.4).min(area.bottom()));
            scene.rect((left, top), corner, diverging(panel.cosine[row * panel.width + column]), 1.0);
        }
    }
}

impl Figure for FieldFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        // The first two are those of the classes.
        let colors = [2, 3, 4].map(|place| theme.style(place).color);
        let entries = [
            Entry::new(&self.first_name, Sample::Line { color: colors[0], dashes: &[], marker: None }),
            Entry::new(
                &self.second_name,
                Sample::Line { color: colors[1], dashes: &[], marker: Some(Marker::Diamond) },
            ),
            Entry::new(&format!("cosine above {}", self.ring_threshold), Sample::Ring { color: colors[2] }),
        ];
        let classes = self.classes.iter().zip(class_styles(theme)).map(|(class, style)| {
            Entry::new(&class.name, Sample::Line { color: style.color, dashes: style.dashes, marker: None })
        });
        let entries: Vec<Entry> = entries.into_iter().chain(classes).collect();
        let below = if self.classes.is_empty() { 0.0 } else { DISTRIBUTIONS };
        let columns = self.panels.len() as f64;
        let inner = crate::page::WIDTH - 20.0;
        let side = ((inner - BAR - GAP * columns) / columns).clamp(40.0, 400.0);
        let mut page = Page::new(&self.meta, theme, 2.0 * (side + TITLES) + below, &entries);
        let scene = &mut page.scene;
        for (column, panel) in self.panels.iter().enumerate() {
            let left = page.body.left + column as f64 * (side + GAP);
            for (row, detail) in [ring_count(self, panel), mean_cosine(panel)].iter().enumerate() {
                let top = page.body.top + row as f64 * (side + TITLES);
                let area = fit(panel, Rect::new(left, top + TITLES - 2.0, side, side - 4.0));
                let middle = left + side / 2.0;
                scene.text(&panel.title, (middle, top + LABEL), LABEL, theme.ink(), Anchor::Middle);
                scene.text(detail, (middle, top + LABEL + SMALL * LEADING), SMALL, theme.muted(), Anchor::Middle);
                match row {
                    0 => draw_arrows(panel, scene, area, self, colors),
                    _ => draw_cosine(panel, scene, area),
                }
                scene.line(area.outline(), theme.ink(), 1.2);
            }
        }
        let left = page.body.left + columns * (side + GAP);
        let bar = Rect::new(left, page.body.top + side + 2.0 * TITLES - 2.0, BAR, side - 4.0);
        color_bar(scene, theme, bar, (&self.cosine_label, -1.0, 1.0), diverging);
        if below > 0.0 {
            let top = page.body.top + 2.0 * (side + TITLES) + GAP;
            let outer = Rect::new(page.body.left, top, page.body.width, below - GAP);
            draw_distributions(self, scene, theme, outer);
        }
        Ok(page.scene)
    }
}

/// The cosines at all positions of all prompts, class by class, and which share of them would get a ring.
fn draw_distributions(figure: &FieldFigure, scene: &mut Scene, theme: Theme, outer: Rect) {
    let edges: Vec<f64> = (0..=BINS).map(|bin| -1.0 + 2.0 * bin as f64 / BINS as f64).collect();
    let bars: Vec<Vec<f64>> = figure.classes.iter().map(|class| densities(&class.cosine, &edges)).collect();
    let axes = (
        Axis::exact(&figure.cosine_label, (-1.0, 1.0), 8),
        Axis::covering(&AxisSpec::linear("density"), bars.iter().flatten().copied().chain([0.0]), 4),
    );
    let counts: Vec<String> =
        figure.classes.iter().map(|class| format!("{} {} prompts", class.prompts, class.name)).collect();
    let shares: Vec<String> = figure.classes.iter().map(|class| share_above(figure, class)).collect();
    let titles = [
        format!("all positions of {}", counts.join(" and ")),
        format!("above {}: {}", figure.ring_threshold, shares.join(", ")),
    ];
    let panel = Panel::draw(scene, theme, outer, &titles, axes);
    for (bars, style) in bars.iter().zip(class_styles(theme)) {
        fill_bars(scene, &panel, &edges, bars, style.color);
        outline_bars(scene, &panel, &edges, bars, style);
    }
    let threshold = Style { color: theme.ink(), dashes: &[2.0, 3.0], marker: Marker::Circle };
    let highest = bars.iter().flatten().copied().fold(0.0, f64::max);
    panel.line(scene, [(figure.ring_threshold, 0.0), (figure.ring_threshold, 2.0 * highest)], threshold, 1.4);
}

fn share_above(figure: &FieldFigure, class: &FieldClass) -> String {
    let above = class.cosine.iter().filter(|cosine| **cosine > figure.ring_threshold).count();
    format!("{:.1} % {}", 100.0 * above as f64 / class.cosine.len() as f64, class.name)
}

fn ring_count(figure: &FieldFigure, panel: &FieldPanel) -> String {
    let cosine = |(row, column): (usize, usize)| panel.cosine[row * panel.width + column];
    let total = arrow_positions(panel, figure.stride).count();
    let rings =
        arrow_positions(panel, figure.stride).filter(|position| cosine(*position) > figure.ring_threshold).count();
    format!("{rings} {} at {total} positions", if rings == 1 { "ring" } else { "rings" })
}

fn mean_cosine(panel: &FieldPanel) -> String {
    let mean = panel.cosine.iter().sum::<f64>() / panel.cosine.len() as f64;
    format!("mean cosine {mean:.3}").replace('-', "−")
}

/// A unit arrow of `reach` pixels from `from`; nothing for a zero vector.
fn draw_arrow(scene: &mut Scene, from: Point, (right, up): (f64, f64), reach: f64, color: Color) {
    let length = right.hypot(up);
    if length == 0.0 {
        return;
    }
    let (dx, dy) = (right / length * reach, -up / length * reach);
    let tip = (from.0 + dx, from.1 + dy);
    let barb = |sign: f64| (tip.0 - 0.35 * dx - sign * 0.22 * dy, tip.1 - 0.35 * dy + sign * 0.22 * dx);
    scene.line(vec![from, (tip.0 - 0.2 * dx, tip.1 - 0.2 * dy)], color, 1.5);
    scene.area(vec![tip, barb(1.0), barb(-1.0)], color, 1.0);
}
