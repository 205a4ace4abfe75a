//! One pair of axes: frame, ticks, titles, and data drawn inside.

use crate::axis::Axis;
use crate::geometry::{Rect, clip_line, clip_polygon, dash};
use crate::scene::{Anchor, Point, Scene};
use crate::text::{self, LABEL, LEADING, SMALL};
use crate::theme::{Marker, Style};
use crate::{Color, Theme};

/// Width of data lines in pixels.
pub(crate) const LINE: f64 = 2.2;

/// Half the size of a data marker in pixels.
pub(crate) const MARKER: f64 = 4.5;

/// The same for a marker that stands alone.
pub(crate) const POINT: f64 = 1.25 * MARKER;

/// Up to this many points, each one of a series gets a marker.
const ALL_MARKED: usize = 16;

/// Distance between markers on a longer series, in pixels.
const MARKER_SPACING: f64 = 60.0;

/// A panel whose axes are drawn; data can be added.
pub(crate) struct Panel {
    /// The plot area, inside the frame.
    pub(crate) area: Rect,
    x: Axis,
    y: Axis,
    theme: Theme,
}

impl Panel {
    /// Draws titles (the first large, the others small), grid, frame and ticks into `outer`.
    pub(crate) fn draw(scene: &mut Scene, theme: Theme, outer: Rect, titles: &[String], (x, y): (Axis, Axis)) -> Self {
        let tick_width = y.ticks().map(|(_, label)| text::width(label, SMALL)).fold(0.0, f64::max);
        let left = tick_width + LABEL * LEADING + 16.0;
        let bottom = (SMALL + LABEL) * LEADING + 14.0;
        let top = titles.len() as f64 * LABEL * LEADING + 10.0;
        let area =
            Rect::new(outer.left + left, outer.top + top, outer.width - left - 14.0, outer.height - top - bottom);
        let panel = Self { area, x, y, theme };
        for (index, title) in titles.iter().enumerate() {
            let (size, color) = if index == 0 { (LABEL, theme.ink()) } else { (SMALL, theme.muted()) };
            let at = (area.left + area.width / 2.0, outer.top + (index as f64 + 0.9) * LABEL * LEADING);
            scene.text(title, at, size, color, Anchor::Middle);
        }
        panel.draw_axes(scene, outer);
        panel
    }

    fn draw_axes(&self, scene: &mut Scene, outer: Rect) {
        let (area, theme) = (self.area, self.theme);
        let mut free_from = f64::NEG_INFINITY;
        let mut ticks: Vec<(f64, &str)> = self.x.ticks().collect();
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (share, label) in ticks {
            let x = area.left + share * area.width;
            scene.line(vec![(x, area.top), (x, area.bottom())], theme.grid(), 1.0);
            let half = text::width(label, SMALL) / 2.0;
            if x - half > free_from {
                scene.text(label, (x, area.bottom() + 8.0 + SMALL * 0.85), SMALL, theme.ink(), Anchor::Middle);
                free_from = x + half + 5.0;
            }
        }
        for (share, label) in self.y.ticks() {
            let y = area.bottom() - share * area.height;
            scene.line(vec![(area.left, y), (area.right(), y)], theme.grid(), 1.0);
            scene.text(label, (area.left - 6.0, y + SMALL * 0.36), SMALL, theme.ink(), Anchor::End);
        }
        scene.line(area.outline(), theme.ink(), 1.2);
        let (across, up) = (area.left + area.width / 2.0, area.top + area.height / 2.0);
        let below = area.bottom() + 8.0 + SMALL * LEADING + LABEL;
        scene.text(&self.x.label, (across, below), LABEL, theme.ink(), Anchor::Middle);
        scene.text_upward(&self.y.label, (outer.left + LABEL, up), LABEL, theme.ink());
    }

    /// Pixel position of a data point.
    pub(crate) fn at(&self, x: f64, y: f64) -> Point {
        let area = self.area;
        (area.left + self.x.share(x) * area.width, area.bottom() - self.y.share(y) * area.height)
    }

    /// A series: its line, clipped to the panel, and markers on some of its points.
    pub(crate) fn series(&self, scene: &mut Scene, data: impl IntoIterator<Item = Point>, style: Style, index: usize) {
        let points: Vec<Point> = data.into_iter().map(|(x, y)| self.at(x, y)).collect();
        self.line_at(scene, &points, style, LINE);
        let spacing = if points.len() <= ALL_MARKED { 0.0 } else { MARKER_SPACING };
        // Series that run together must not hide one another's markers.
        let mut travelled = spacing * (0.5 + 0.37 * index as f64).fract() + f64::from(u8::from(spacing == 0.0));
        let mut previous = points.first().copied();
        for point in points {
            if let Some(before) = previous.replace(point) {
                travelled += (point.0 - before.0).hypot(point.1 - before.1);
            }
            if travelled >= spacing && self.area.contains(point) {
                marker(scene, point, style.marker, MARKER, style.color);
                travelled = if spacing == 0.0 { 1.0 } else { 0.0 };
            }
        }
    }

    /// A line through data points, clipped to the panel.
    pub(crate) fn line(&self, scene: &mut Scene, data: impl IntoIterator<Item = Point>, style: Style, width: f64) {
        let points: Vec<Point> = data.into_iter().map(|(x, y)| self.at(x, y)).collect();
        self.line_at(scene, &points, style, width);
    }

    fn line_at(&self, scene: &mut Scene, points: &[Point], style: Style, width: f64) {
        for piece in clip_line(points, self.area) {
            for dash in dash(&piece, style.dashes) {
                scene.line(dash, style.color, width);
            }
        }
    }

    /// The area between two curves over the same x, clipped to the panel.
    pub(crate) fn band(&self, scene: &mut Scene, x: &[f64], low: &[f64], high: &[f64], color: Color) {
        let upper = x.iter().zip(high).map(|(x, y)| self.at(*x, *y));
        let lower = x.iter().zip(low).rev().map(|(x, y)| self.at(*x, *y));
        let points = clip_polygon(&upper.chain(lower).collect::<Vec<_>>(), self.area);
        if points.len() > 2 {
            scene.area(points, color, 0.18);
        }
    }
}

/// Draws a data marker of half-size `size` pixels.
pub(crate) fn marker(scene: &mut Scene, (x, y): Point, shape: Marker, size: f64, color: Color) {
    let polygon = |corners: &[Point]| corners.iter().map(|(dx, dy)| (x + dx * size, y + dy * size)).collect::<Vec<_>>();
    match shape {
        Marker::Circle => scene.disc((x, y), size, color, 1.0),
        Marker::Square => {
            scene.area(polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]), color, 1.0);
        }
        Marker::Triangle => scene.area(polygon(&[(0.0, -1.2), (1.1, 0.9), (-1.1, 0.9)]), color, 1.0),
        Marker::TriangleDown => scene.area(polygon(&[(0.0, 1.2), (1.1, -0.9), (-1.1, -0.9)]), color, 1.0),
        Marker::Diamond => scene.area(polygon(&[(0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)]), color, 1.0),
        Marker::Cross => {
            scene.line(polygon(&[(-1.0, -1.0), (1.0, 1.0)]), color, 2.0);
            scene.line(polygon(&[(-1.0, 1.0), (1.0, -1.0)]), color, 2.0);
        }
        Marker::Star => scene.area(polygon(&star()), color, 1.0),
    }
}

/// Corners of a five-pointed star with outer radius 1.4.
fn star() -> [Point; 10] {
    std::array::from_fn(|index| {
        let radius = if index % 2 == 0 { 1.4 } else { 0.6 };
        let angle = (index as f64 / 5.0 - 0.5) * std::f64::consts::PI;
        (radius * angle.cos(), radius * angle.sin())
    })
}
