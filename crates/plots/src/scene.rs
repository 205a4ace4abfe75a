//! What a figure consists of: marks in pixels, independent of the output format.

use crate::{Color, text};

/// x to the right and y down, in pixels.
pub(crate) type Point = (f64, f64);

/// Where a text lies relative to its point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Direction of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Level,
    /// Bottom to top.
    Upward,
}

/// One thing to paint.
pub(crate) enum Mark {
    /// An open line through the points.
    Line { points: Vec<Point>, color: Color, width: f64 },
    /// A filled polygon.
    Area { points: Vec<Point>, color: Color, alpha: f64 },
    /// A filled rectangle between two corners.
    Rect { from: Point, to: Point, color: Color, alpha: f64 },
    /// A filled circle.
    Disc { center: Point, radius: f64, color: Color, alpha: f64 },
    /// An outlined circle.
    Ring { center: Point, radius: f64, color: Color, width: f64 },
    /// One line of text; `at` is on its baseline.
    Text { text: String, at: Point, size: f64, color: Color, anchor: Anchor, turn: Turn },
}

/// A drawn figure, ready to be painted as SVG or PNG.
pub struct Scene {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) background: Color,
    pub(crate) marks: Vec<Mark>,
}

impl Scene {
    pub(crate) fn new(width: u32, height: u32, background: Color) -> Self {
        Self { width, height, background, marks: Vec::new() }
    }

    pub(crate) fn line(&mut self, points: Vec<Point>, color: Color, width: f64) {
        self.marks.push(Mark::Line { points, color, width });
    }

    pub(crate) fn area(&mut self, points: Vec<Point>, color: Color, alpha: f64) {
        self.marks.push(Mark::Area { points, color, alpha });
    }

    pub(crate) fn rect(&mut self, from: Point, to: Point, color: Color, alpha: f64) {
        self.marks.push(Mark::Rect { from, to, color, alpha });
    }

    pub(crate) fn disc(&mut self, center: Point, radius: f64, color: Color, alpha: f64) {
        self.marks.push(Mark::Disc { center, radius, color, alpha });
    }

    pub(crate) fn ring(&mut self, center: Point, radius: f64, color: Color, width: f64) {
        self.marks.push(Mark::Ring { center, radius, color, width });
    }

    pub(crate) fn text(&mut self, text: &str, at: Point, size: f64, color: Color, anchor: Anchor) {
        self.marks.push(Mark::Text { text: text::clean(text), at, size, color, anchor, turn: Turn::Level });
    }

    pub(crate) fn text_upward(&mut self, text: &str, at: Point, size: f64, color: Color) {
        let (anchor, turn) = (Anchor::Middle, Turn::Upward);
        self.marks.push(Mark::Text { text: text::clean(text), at, size, color, anchor, turn });
    }
}
