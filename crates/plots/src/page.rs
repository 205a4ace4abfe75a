//! The page of a figure: the picture above, the legend under it, the small print at the bottom.

use crate::Theme;
use crate::geometry::Rect;
use crate::legend::{Entry, Legend};
use crate::scene::{Anchor, Scene};
use crate::text::{self, LABEL, LEADING, SMALL};
use memscope_results::figures::Meta;

/// Free space around the page in pixels.
const MARGIN: f64 = 10.0;

/// Width of a figure in pixels, meant for one column of a paper (about 85 mm) or more.
pub(crate) const WIDTH: f64 = 720.0;

/// Height of a picture in pixels, without legend and small print.
pub(crate) const HEIGHT: f64 = 430.0;

/// Rows and columns for `count` panels: side by side up to three, two by two for four.
pub(crate) fn grid(count: usize) -> (usize, usize) {
    let columns = if count == 4 { 2 } else { count.clamp(1, 3) };
    (count.div_ceil(columns), columns)
}

/// A scene with legend and small print drawn, and the place left for the picture.
pub(crate) struct Page {
    pub(crate) scene: Scene,
    /// Where the picture goes.
    pub(crate) body: Rect,
}

impl Page {
    /// Lays out a page whose picture is `height` pixels high.
    pub(crate) fn new(meta: &Meta, theme: Theme, height: f64, entries: &[Entry]) -> Self {
        let inner = WIDTH - 2.0 * MARGIN;
        let legend = Legend::new(entries, inner);
        let lines: Vec<String> =
            meta.caption.iter().flat_map(|paragraph| text::wrap(paragraph, SMALL, inner)).collect();
        let legend_top = MARGIN + height + 4.0;
        let caption_top = legend_top + legend.height() + 8.0;
        let total = caption_top + lines.len() as f64 * SMALL * LEADING + MARGIN;

        let mut scene = Scene::new(WIDTH as u32, total.ceil() as u32, theme.background());
        legend.draw(&mut scene, theme, WIDTH / 2.0, legend_top);
        for (index, line) in lines.iter().enumerate() {
            let at = (MARGIN, caption_top + (index as f64 + 0.8) * SMALL * LEADING);
            scene.text(line, at, SMALL, theme.muted(), Anchor::Start);
        }
        Self { scene, body: Rect::new(MARGIN, MARGIN, inner, height) }
    }
}

/// Draws a colour bar at the left of `outer`, from `low` at the bottom to `high` at the top, with its label.
pub(crate) fn color_bar(
    scene: &mut Scene,
    theme: Theme,
    outer: Rect,
    (label, low, high): (&str, f64, f64),
    color: impl Fn(f64) -> crate::Color,
) {
    const STEPS: usize = 64;
    let bar = Rect::new(outer.left, outer.top, 16.0, outer.height);
    for step in 0..STEPS {
        let top = bar.bottom() - (step + 1) as f64 / STEPS as f64 * bar.height;
        let bottom = bar.bottom() - step as f64 / STEPS as f64 * bar.height;
        let value = low + (high - low) * (step as f64 + 0.5) / STEPS as f64;
        scene.rect((bar.left, top), (bar.right(), bottom), color(value), 1.0);
    }
    scene.line(bar.outline(), theme.ink(), 1.0);
    let axis = crate::axis::Axis::exact(label, (low, high), 6);
    let mut widest = 0.0_f64;
    for (share, tick) in axis.ticks() {
        let y = bar.bottom() - share * bar.height;
        scene.line(vec![(bar.right(), y), (bar.right() + 4.0, y)], theme.ink(), 1.0);
        scene.text(tick, (bar.right() + 7.0, y + SMALL * 0.36), SMALL, theme.ink(), Anchor::Start);
        widest = widest.max(text::width(tick, SMALL));
    }
    let at = (bar.right() + 12.0 + widest + LABEL, bar.top + bar.height / 2.0);
    scene.text_upward(label, at, LABEL, theme.ink());
}
