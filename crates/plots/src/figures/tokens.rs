//! Which tokens of a prompt matter: boxes of text, shaded by significance.

use crate::axis::{extent, widened};
use crate::color::{sequential, text_on};
use crate::geometry::Rect;
use crate::page::{Page, WIDTH};
use crate::scene::{Anchor, Scene};
use crate::text::{self, LABEL, LEADING, SMALL};
use crate::{Error, Figure, Theme};
use memscope_results::figures::{Meta, Token, TokenRow, TokenStrip};

/// Height of a token's box, space between boxes, and space inside a box beside the text, in pixels.
const BOX: f64 = 46.0;
const GAP: f64 = 4.0;
const PADDING: f64 = 7.0;

/// Height of a row's label and of the colour scale, in pixels.
const LABEL_HEIGHT: f64 = LABEL * LEADING + 6.0;
const SCALE_HEIGHT: f64 = 48.0;

/// A token with its place, relative to the page.
struct Placed<'a> {
    token: &'a Token,
    text: String,
    number: String,
    place: Rect,
}

/// Places the boxes from `top` downward; returns them and the row's lower end.
fn place(row: &TokenRow, left: f64, top: f64, right: f64) -> (Vec<Placed<'_>>, f64) {
    let (mut x, mut y) = (left, top);
    let mut placed = Vec::new();
    for token in &row.tokens {
        let text = text::shorten(&text::clean(&token.text), LABEL, right - left - 2.0 * PADDING);
        let number = format!("{:.3}", token.significance).replace('-', "−");
        let width = text::width(&text, LABEL).max(text::width(&number, SMALL)) + 2.0 * PADDING;
        if x > left && x + width > right {
            (x, y) = (left, y + BOX + GAP);
        }
        placed.push(Placed { token, text, number, place: Rect::new(x, y, width, BOX) });
        x += width + GAP;
    }
    (placed, y + BOX)
}

fn draw_scale(strip: &TokenStrip, scene: &mut Scene, theme: Theme, area: Rect, (low, high): (f64, f64)) {
    const STEPS: usize = 64;
    let bar = Rect::new(area.left, area.top, 240.0, 16.0);
    for step in 0..STEPS {
        let cell = bar.cell((1, STEPS), (0, step), 0.0);
        let share = (step as f64 + 0.5) / STEPS as f64;
        scene.rect((cell.left, cell.top), (cell.right() + 0.4, cell.bottom()), sequential(share), 1.0);
    }
    scene.line(bar.outline(), theme.ink(), 1.0);
    let number = |value: f64| format!("{value:.3}").replace('-', "−");
    let below = bar.bottom() + SMALL * LEADING;
    scene.text(&number(low), (bar.left, below), SMALL, theme.ink(), Anchor::Start);
    scene.text(&number(high), (bar.right(), below), SMALL, theme.ink(), Anchor::End);
    let beside = (bar.right() + 14.0, bar.bottom() - 2.0);
    scene.text(&strip.quantity, beside, LABEL, theme.ink(), Anchor::Start);
}

impl Figure for TokenStrip {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let (left, right) = (10.0, WIDTH - 10.0);
        let mut y = 10.0;
        let mut labels = Vec::new();
        let mut boxes = Vec::new();
        for row in &self.rows {
            if !row.label.is_empty() {
                labels.push((row.label.as_str(), y + LABEL));
                y += LABEL_HEIGHT;
            }
            let (placed, bottom) = place(row, left, y, right);
            boxes.extend(placed);
            y = bottom + 14.0;
        }
        let (low, high) = extent(boxes.iter().map(|placed| placed.token.significance));
        let (low, high) = widened(low, high);
        let mut page = Page::new(&self.meta, theme, y - 10.0 + SCALE_HEIGHT, &[]);
        let scene = &mut page.scene;
        for (label, baseline) in labels {
            let label = text::shorten(&text::clean(label), LABEL, right - left);
            scene.text(&label, (left, baseline), LABEL, theme.ink(), Anchor::Start);
        }
        for Placed { token, text, number, place } in &boxes {
            let color = sequential((token.significance - low) / (high - low));
            scene.rect((place.left, place.top), (place.right(), place.bottom()), color, 1.0);
            let middle = place.left + place.width / 2.0;
            scene.text(text, (middle, place.top + 18.0), LABEL, text_on(color), Anchor::Middle);
            scene.text(number, (middle, place.bottom() - 8.0), SMALL, text_on(color), Anchor::Middle);
        }
        draw_scale(self, scene, theme, Rect::new(left, y + 4.0, right - left, SCALE_HEIGHT), (low, high));
        Ok(page.scene)
    }
}
