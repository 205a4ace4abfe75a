//! Rectangles, clipping and dashes.

use crate::scene::Point;

/// A rectangle in pixels; y grows downward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Rect {
    pub(crate) fn new(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self { left, top, width, height }
    }

    pub(crate) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bottom(self) -> f64 {
        self.top + self.height
    }

    /// Cell (`row`, `column`) of an even grid of `rows` by `columns` with `gap` pixels between cells.
    pub(crate) fn cell(self, (rows, columns): (usize, usize), (row, column): (usize, usize), gap: f64) -> Self {
        let width = (self.width - gap * (columns - 1) as f64) / columns as f64;
        let height = (self.height - gap * (rows - 1) as f64) / rows as f64;
        let left = self.left + column as f64 * (width + gap);
        let top = self.top + row as f64 * (height + gap);
        Self { left, top, width, height }
    }

    /// The closed outline.
    pub(crate) fn outline(self) -> Vec<Point> {
        let (left, top, right, bottom) = (self.left, self.top, self.right(), self.bottom());
        vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    }

    pub(crate) fn contains(self, (x, y): Point) -> bool {
        // A point on the frame belongs to the panel despite rounding.
        let slack = 1e-6;
        (self.left - slack..=self.right() + slack).contains(&x)
            && (self.top - slack..=self.bottom() + slack).contains(&y)
    }
}

/// The pieces of the line through `points` that lie inside `window` (Liang-Barsky, segment by segment).
pub(crate) fn clip_line(points: &[Point], window: Rect) -> Vec<Vec<Point>> {
    let mut pieces: Vec<Vec<Point>> = Vec::new();
    for pair in points.windows(2) {
        let Some((from, to)) = clip_segment(pair[0], pair[1], window) else { continue };
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&from) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

fn clip_segment(from: Point, to: Point, window: Rect) -> Option<(Point, Point)> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let sides = [
        (-dx, from.0 - window.left),
        (dx, window.right() - from.0),
        (-dy, from.1 - window.top),
        (dy, window.bottom() - from.1),
    ];
    for (speed, room) in sides {
        if speed == 0.0 && room < 0.0 {
            return None;
        }
        if speed < 0.0 {
            enter = enter.max(room / speed);
        } else if speed > 0.0 {
            leave = leave.min(room / speed);
        }
    }
    let at = |share: f64| (from.0 + share * dx, from.1 + share * dy);
    // The untouched ends are kept exactly, so that neighbouring segments still join.
    let start = if enter == 0.0 { from } else { at(enter) };
    let end = if leave == 1.0 { to } else { at(leave) };
    (enter <= leave).then_some((start, end))
}

/// The part of a polygon inside `window` (Sutherland-Hodgman).
pub(crate) fn clip_polygon(points: &[Point], window: Rect) -> Vec<Point> {
    let clipped = clip_side(points, |point| point.0 - window.left);
    let clipped = clip_side(&clipped, |point| window.right() - point.0);
    let clipped = clip_side(&clipped, |point| point.1 - window.top);
    clip_side(&clipped, |point| window.bottom() - point.1)
}

/// Keeps the part of a polygon where `inside` is not negative; `inside` must be linear.
fn clip_side(points: &[Point], inside: impl Fn(Point) -> f64) -> Vec<Point> {
    let mut kept = Vec::with_capacity(points.len() + 4);
    for (index, &to) in points.iter().enumerate() {
        let from = points[(index + points.len() - 1) % points.len()];
        let (before, after) = (inside(from), inside(to));
        if (before < 0.0) != (after < 0.0) {
            let share = before / (before - after);
            kept.push((from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1)));
        }
        if after >= 0.0 {
            kept.push(to);
        }
    }
    kept
}

/// Splits a line into its drawn dashes; `lengths` alternates drawn and free, in pixels.
pub(crate) fn dash(points: &[Point], lengths: &[f64]) -> Vec<Vec<Point>> {
    if lengths.is_empty() || points.len() < 2 {
        return vec![points.to_vec()];
    }
    let mut dashes = Vec::new();
    let mut current = vec![points[0]];
    let (mut phase, mut left) = (0, lengths[0]);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let distance = (to.0 - from.0).hypot(to.1 - from.1);
            if distance <= left {
                left -= distance;
                current.push(to);
                break;
            }
            let share = left / distance;
            from = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            current.push(from);
            let finished = std::mem::replace(&mut current, vec![from]);
            if phase % 2 == 0 {
                dashes.push(finished);
            }
            phase = (phase + 1) % lengths.len();
            left = lengths[phase];
        }
    }
    if phase % 2 == 0 && current.len() > 1 {
        dashes.push(current);
    }
    dashes
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Rect = Rect { left: 0.0, top: 0.0, width: 10.0, height: 10.0 };

    #[test]
    fn a_line_is_cut_at_the_window() {
        let pieces = clip_line(&[(-5.0, 5.0), (5.0, 5.0), (5.0, 20.0), (8.0, 20.0), (8.0, 5.0)], WINDOW);
        assert_eq!(pieces, [vec![(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)], vec![(8.0, 10.0), (8.0, 5.0)]]);
    }

    #[test]
    fn a_polygon_is_cut_at_the_window() {
        let mut corners = clip_polygon(&[(5.0, -5.0), (15.0, 5.0), (5.0, 15.0), (-5.0, 5.0)], WINDOW);
        corners.dedup();
        let twice_area: f64 = (0..corners.len())
            .map(|i| (corners[i], corners[(i + 1) % corners.len()]))
            .map(|(a, b)| a.0 * b.1 - b.0 * a.1)
            .sum();
        // The diamond touches the window's corners, so all of the window remains.
        assert!((twice_area - 200.0).abs() < 1e-9, "{corners:?}");
        assert!(corners.iter().all(|corner| WINDOW.contains(*corner)));
    }

    #[test]
    fn dashes_have_the_lengths_asked_for() {
        let dashes = dash(&[(0.0, 0.0), (4.0, 0.0), (4.0, 6.0)], &[3.0, 2.0]);
        assert_eq!(dashes, [vec![(0.0, 0.0), (3.0, 0.0)], vec![(4.0, 1.0), (4.0, 4.0)]]);
    }
}
