//! Figure 3: the unconditional prediction u and its change q = c − u as arrows on the latent's grid.

use std::num::NonZeroUsize;

use thiserror::Error;

use super::linalg::{Matrix, dot, norm, symmetric_eigenvectors};

/// Two fields over the same grid.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// u, flattened (C, H, W).
    pub unconditional: &'a [f64],
    /// q = c − u, flattened (C, H, W).
    pub difference: &'a [f64],
    /// C, at least 2.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

/// From C channels to the plane of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// Channels 0 and 1.
    FirstTwoChannels,
    /// The plane through the origin that keeps most of the directions in both fields: the first two principal
    /// components of all channel vectors of u and q, each scaled to length 1 so that the weaker field counts as much.
    ///
    /// No mean is taken off, as that would turn the arrows. The largest coefficient of a component is positive.
    PrincipalComponents,
}

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawing {
    /// From channels to the plane.
    pub projection: Projection,
    /// An arrow at every `stride`-th row and column, from the first.
    pub stride: NonZeroUsize,
    /// Positions with a channel cosine above this are ringed.
    pub threshold: f64,
}

/// Row and column on the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 0, less than H.
    pub row: usize,
    /// From 0, less than W.
    pub column: usize,
}

/// Both fields at one position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrow {
    /// Where.
    pub position: Position,
    /// Direction of u in the plane: length 1, or 0 where the projection is zero.
    pub unconditional: [f64; 2],
    /// Direction of q in the plane: length 1, or 0 where the projection is zero.
    pub difference: [f64; 2],
}

/// Figure 3 for one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Quiver {
    /// Row by row.
    pub arrows: Vec<Arrow>,
    /// Every position of the whole grid above the threshold, row by row.
    pub rings: Vec<Position>,
    /// Mean channel cosine over the whole grid.
    pub mean_cosine: f64,
}

/// Fields that do not fit their shape.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum FieldError {
    /// Fewer than two channels, or no position.
    #[error("a field of shape ({channels}, {height}, {width}); an arrow needs two channels and a position")]
    Shape {
        /// C.
        channels: usize,
        /// H.
        height: usize,
        /// W.
        width: usize,
    },
    /// A length that is not the shape's.
    #[error("{what} holds {length} numbers, not {expected}")]
    Length {
        /// u, q, or the cosines.
        what: &'static str,
        /// Found.
        length: usize,
        /// C·H·W, for the cosines H·W.
        expected: usize,
    },
    /// An infinite or NaN number.
    #[error("{what} holds a number that is not finite")]
    NotFinite {
        /// u, q, or the cosines.
        what: &'static str,
    },
}

/// Arrows, rings and the mean cosine of two fields; `cosines` (H·W,) is what [`crate::channel_cosines`] says of them.
///
/// # Errors
///
/// See [`FieldError`].
pub fn quiver(fields: Fields<'_>, cosines: &[f64], drawing: Drawing) -> Result<Quiver, FieldError> {
    let Fields { unconditional, difference, channels, height, width } = fields;
    if channels < 2 || height == 0 || width == 0 {
        return Err(FieldError::Shape { channels, height, width });
    }
    let area = height * width;
    check("u", unconditional, channels * area)?;
    check("q", difference, channels * area)?;
    check("the cosine map", cosines, area)?;

    let axes = axes(fields, drawing.projection);
    let arrow = |position: Position| {
        let place = position.row * width + position.column;
        let direction = |field| direction(&channel_vector(field, channels, place), &axes);
        Arrow { position, unconditional: direction(unconditional), difference: direction(difference) }
    };
    let positions = |stride| {
        let rows = (0..height).step_by(stride);
        rows.flat_map(move |row| (0..width).step_by(stride).map(move |column| Position { row, column }))
    };
    let ringed = |p: &Position| cosines[p.row * width + p.column] > drawing.threshold;
    Ok(Quiver {
        arrows: positions(drawing.stride.get()).map(arrow).collect(),
        rings: positions(1).filter(ringed).collect(),
        mean_cosine: cosines.iter().sum::<f64>() / area as f64,
    })
}

fn check(what: &'static str, numbers: &[f64], expected: usize) -> Result<(), FieldError> {
    if numbers.len() != expected {
        return Err(FieldError::Length { what, length: numbers.len(), expected });
    }
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(FieldError::NotFinite { what });
    }
    Ok(())
}

/// The C numbers at one position.
fn channel_vector(field: &[f64], channels: usize, place: usize) -> Vec<f64> {
    field.iter().skip(place).step_by(field.len() / channels).copied().collect()
}

fn direction(vector: &[f64], [first, second]: &[Vec<f64>; 2]) -> [f64; 2] {
    let (x, y) = (dot(vector, first), dot(vector, second));
    let length = x.hypot(y);
    if length > 0.0 { [x / length, y / length] } else { [0.0, 0.0] }
}

/// The two C-vectors that span the plane of the picture.
fn axes(fields: Fields<'_>, projection: Projection) -> [Vec<f64>; 2] {
    let Fields { unconditional, difference, channels, height, width } = fields;
    let unit = |axis: usize| (0..channels).map(|c| f64::from(u8::from(c == axis))).collect::<Vec<f64>>();
    if projection == Projection::FirstTwoChannels {
        return [unit(0), unit(1)];
    }
    let mut moment = Matrix::from_fn(channels, |_, _| 0.0);
    for field in [unconditional, difference] {
        for place in 0..height * width {
            let vector = channel_vector(field, channels, place);
            let length = norm(&vector);
            if length > 0.0 {
                add_outer(&mut moment, &vector, length);
            }
        }
    }
    let mut components = symmetric_eigenvectors(moment).into_iter().map(with_positive_peak);
    // There are as many components as channels, so neither default is ever taken.
    [components.next().unwrap_or_else(|| unit(0)), components.next().unwrap_or_else(|| unit(1))]
}

/// Adds the outer product of `vector`/`length` with itself.
fn add_outer(moment: &mut Matrix, vector: &[f64], length: f64) {
    for (i, a) in vector.iter().enumerate() {
        for (j, b) in vector.iter().enumerate() {
            moment[(i, j)] += (a / length) * (b / length);
        }
    }
}

/// An eigenvector's sign is arbitrary; this settles it.
fn with_positive_peak(vector: Vec<f64>) -> Vec<f64> {
    let peak = vector.iter().copied().fold(0.0, |peak: f64, v| if v.abs() > peak.abs() { v } else { peak });
    vector.into_iter().map(|v| v * 1f64.copysign(peak)).collect()
}
