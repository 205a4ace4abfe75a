//! Colours, line styles and markers of the two themes.

/// A colour: red, green, blue, each 0 to 255 (sRGB).
pub type Color = (u8, u8, u8);

/// Which page the figure stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Dark ink on white, for paper.
    #[default]
    Light,
    /// Light ink on near-black, for a dark page.
    Dark,
}

/// Colours of Okabe and Ito (2008), told apart under the common colour vision deficiencies; the ones too faint on
/// white are left out, and black is the ink itself.
const LIGHT: [Color; 7] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (0, 0, 0)];

/// The same palette without the ones too dark on near-black.
const DARK: [Color; 7] =
    [(86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0), (240, 240, 240)];

/// Lengths of drawn and free pieces of a line, in pixels; empty for a solid line.
pub(crate) type Dashes = &'static [f64];

const DASHES: [Dashes; 5] = [&[], &[9.0, 4.0], &[3.0, 3.0], &[10.0, 3.0, 3.0, 3.0], &[15.0, 4.0]];

/// Shape of a data point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Cross,
    Star,
}

const MARKERS: [Marker; 7] = [
    Marker::Circle,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
    Marker::TriangleDown,
    Marker::Cross,
    Marker::Star,
];

/// How one series looks: never told apart by its colour alone.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) color: Color,
    pub(crate) dashes: Dashes,
    pub(crate) marker: Marker,
}

impl Theme {
    /// Colour of the page.
    pub fn background(self) -> Color {
        match self {
            Self::Light => (255, 255, 255),
            Self::Dark => (22, 24, 29),
        }
    }

    /// Colour of axes and main text.
    pub fn ink(self) -> Color {
        match self {
            Self::Light => (26, 26, 26),
            Self::Dark => (236, 236, 236),
        }
    }

    /// Colour of secondary text and reference lines.
    pub fn muted(self) -> Color {
        match self {
            Self::Light => (89, 89, 89),
            Self::Dark => (178, 178, 178),
        }
    }

    /// Colour of grid lines.
    pub fn grid(self) -> Color {
        match self {
            Self::Light => (226, 226, 226),
            Self::Dark => (56, 60, 68),
        }
    }

    /// Style of series `index`; colours and markers repeat after 7, line styles after 5, the triple after 35.
    pub(crate) fn style(self, index: usize) -> Style {
        let colors = match self {
            Self::Light => &LIGHT,
            Self::Dark => &DARK,
        };
        Style {
            color: colors[index % colors.len()],
            dashes: DASHES[index % DASHES.len()],
            // Shifting by one each round keeps a repeated colour from meeting its old marker.
            marker: MARKERS[(index + index / MARKERS.len()) % MARKERS.len()],
        }
    }
}
