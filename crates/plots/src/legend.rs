//! The legend, in rows under the picture so that it covers no data.

use crate::geometry::dash;
use crate::panel::{LINE, MARKER, marker};
use crate::scene::{Anchor, Scene};
use crate::text::{self, LABEL};
use crate::theme::{Dashes, Marker};
use crate::{Color, Theme};

/// Height of one row in pixels.
const ROW: f64 = 24.0;

/// Width of a sample and of the space after it, in pixels.
const SAMPLE: f64 = 42.0;

/// Space between entries in pixels.
const GAP: f64 = 26.0;

/// What stands beside an entry's name.
#[derive(Clone, Copy)]
pub(crate) enum Sample {
    /// A piece of the line, with the data marker if there is one.
    Line { color: Color, dashes: Dashes, marker: Option<Marker> },
    /// A data marker alone, of this half-size in pixels.
    Point { color: Color, marker: Marker, size: f64 },
    /// An outlined circle.
    Ring { color: Color },
}

/// One line of the legend.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) sample: Sample,
}

impl Entry {
    pub(crate) fn new(name: &str, sample: Sample) -> Self {
        Self { name: name.to_owned(), sample }
    }

    fn width(&self) -> f64 {
        SAMPLE + text::width(&self.name, LABEL)
    }
}

/// Entries broken into centred rows.
pub(crate) struct Legend {
    rows: Vec<Vec<Entry>>,
}

impl Legend {
    /// Arranges entries into rows of at most `limit` pixels; an overlong name is cut.
    pub(crate) fn new(entries: &[Entry], limit: f64) -> Self {
        let mut rows: Vec<Vec<Entry>> = Vec::new();
        let mut used = 0.0;
        for entry in entries {
            let name = text::shorten(&entry.name, LABEL, limit - SAMPLE);
            let entry = Entry { name, sample: entry.sample };
            let width = entry.width();
            match rows.last_mut() {
                Some(row) if used + GAP + width <= limit => {
                    used += GAP + width;
                    row.push(entry);
                }
                _ => {
                    used = width;
                    rows.push(vec![entry]);
                }
            }
        }
        Self { rows }
    }

    pub(crate) fn height(&self) -> f64 {
        self.rows.len() as f64 * ROW
    }

    /// Draws the rows centred on `middle`, downward from `top`.
    pub(crate) fn draw(&self, scene: &mut Scene, theme: Theme, middle: f64, top: f64) {
        for (index, row) in self.rows.iter().enumerate() {
            let width = row.iter().map(Entry::width).sum::<f64>() + GAP * (row.len() - 1) as f64;
            let mut left = middle - width / 2.0;
            let center = top + (index as f64 + 0.5) * ROW;
            for entry in row {
                draw_sample(scene, entry.sample, left, center);
                let at = (left + SAMPLE, center + LABEL * 0.36);
                scene.text(&entry.name, at, LABEL, theme.ink(), Anchor::Start);
                left += entry.width() + GAP;
            }
        }
    }
}

fn draw_sample(scene: &mut Scene, sample: Sample, left: f64, center: f64) {
    let middle = (left + SAMPLE / 2.0 - 3.0, center);
    match sample {
        Sample::Line { color, dashes, marker: shape } => {
            for dash in dash(&[(left, center), (left + SAMPLE - 6.0, center)], dashes) {
                scene.line(dash, color, LINE);
            }
            if let Some(shape) = shape {
                marker(scene, middle, shape, MARKER, color);
            }
        }
        Sample::Point { color, marker: shape, size } => marker(scene, middle, shape, size, color),
        Sample::Ring { color } => scene.ring(middle, 6.5, color, 2.0),
    }
}
