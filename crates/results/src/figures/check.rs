//! Checks of a figure's numbers, so that an error names the figure and the field at fault. A figure that passes can be
//! drawn in bounded time and memory, wherever its file came from.

use super::{AxisSpec, Meta, Scale};

/// Why numbers make no figure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// A list that must hold something is empty.
    #[error("figure `{figure}`: {field} is empty")]
    Empty {
        /// Name of the figure.
        figure: String,
        /// The field at fault.
        field: String,
    },
    /// A list or text is longer, or a number larger, than can be drawn.
    #[error("figure `{figure}`: {field} is {got}; at most {limit} can be drawn")]
    TooMany {
        /// Name of the figure.
        figure: String,
        /// The field at fault.
        field: String,
        /// What it is.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Two lists that belong together differ in length.
    #[error("figure `{figure}`: {field} has {got} values, expected {expected}")]
    Length {
        /// Name of the figure.
        figure: String,
        /// The field at fault.
        field: String,
        /// Number of values the field must have.
        expected: usize,
        /// Number of values it has.
        got: usize,
    },
    /// A number cannot be drawn.
    #[error("figure `{figure}`: {field}[{index}] = {value} {reason}")]
    Value {
        /// Name of the figure.
        figure: String,
        /// The field at fault.
        field: String,
        /// Position in the field, from 0.
        index: usize,
        /// The number found there.
        value: f64,
        /// What the number would have to be.
        reason: &'static str,
    },
}

/// Panels, series, curves or rows of one figure at most.
pub(super) const MOST_PARTS: usize = 200;
/// Bins of a histogram, steps of a grid, tokens of a prompt at most.
pub(super) const MOST_STEPS: usize = 10_000;
/// Bytes of one text at most.
pub(super) const MOST_TEXT: usize = 20_000;

/// Magnitudes beyond this cannot be told apart on an axis and overflow when subtracted.
const LARGEST: f64 = 1e100;

/// Checks the fields of one figure.
#[derive(Clone, Copy)]
pub(super) struct Check<'a> {
    figure: &'a str,
}

impl<'a> Check<'a> {
    pub(super) fn new(figure: &'a str) -> Self {
        Self { figure }
    }

    /// The list holds something.
    pub(super) fn filled<T>(self, field: &str, list: &[T]) -> Result<(), FigureError> {
        self.at_least(field, list.len())
    }

    /// The count is not zero.
    pub(super) fn at_least(self, field: &str, count: usize) -> Result<(), FigureError> {
        if count > 0 {
            return Ok(());
        }
        Err(FigureError::Empty { figure: self.figure.into(), field: field.into() })
    }

    /// The count does not exceed what can be drawn.
    pub(super) fn at_most(self, field: &str, got: usize, limit: usize) -> Result<(), FigureError> {
        if got <= limit {
            return Ok(());
        }
        Err(FigureError::TooMany { figure: self.figure.into(), field: field.into(), got, limit })
    }

    /// The list holds something, and no more than can be drawn.
    pub(super) fn parts<T>(self, field: &str, list: &[T]) -> Result<(), FigureError> {
        self.filled(field, list)?;
        self.at_most(field, list.len(), MOST_PARTS)
    }

    /// Name and texts that every figure has.
    pub(super) fn meta(self, meta: &Meta) -> Result<(), FigureError> {
        self.at_most("caption", meta.caption.len(), MOST_PARTS)?;
        let length = meta.alt.len() + meta.caption.iter().map(String::len).sum::<usize>();
        self.at_most("texts", length, MOST_TEXT)
    }

    /// The label of an axis.
    pub(super) fn axis(self, field: &str, axis: &AxisSpec) -> Result<(), FigureError> {
        self.text(&format!("{field}.label"), &axis.label)
    }

    /// A label of a part.
    pub(super) fn text(self, field: &str, text: &str) -> Result<(), FigureError> {
        self.at_most(field, text.len(), MOST_TEXT)
    }

    /// The list has `expected` entries.
    pub(super) fn length<T>(self, field: &str, list: &[T], expected: usize) -> Result<(), FigureError> {
        if list.len() == expected {
            return Ok(());
        }
        Err(FigureError::Length { figure: self.figure.into(), field: field.into(), expected, got: list.len() })
    }

    /// All values are finite and can be drawn.
    pub(super) fn finite(self, field: &str, values: impl IntoIterator<Item = f64>) -> Result<(), FigureError> {
        self.all(field, values, "must be finite and below 1e100", |value| value.abs() < LARGEST)
    }

    /// All values lie in `[low, high]`; `reason` says so in words.
    pub(super) fn within(
        self,
        field: &str,
        values: impl IntoIterator<Item = f64>,
        (low, high): (f64, f64),
        reason: &'static str,
    ) -> Result<(), FigureError> {
        self.all(field, values, reason, |value| (low..=high).contains(&value))
    }

    /// All values are above zero, as a logarithmic axis needs.
    pub(super) fn positive(self, field: &str, values: impl IntoIterator<Item = f64>) -> Result<(), FigureError> {
        self.all(field, values, "must be above 0 and below 1e100 on a logarithmic axis", |value| {
            value > 1.0 / LARGEST && value < LARGEST
        })
    }

    /// Each value is above the one before.
    pub(super) fn ascending(self, field: &str, values: &[f64]) -> Result<(), FigureError> {
        match values.windows(2).position(|pair| pair[1] <= pair[0]) {
            Some(index) => Err(self.value(field, index + 1, values[index + 1], "must be above the value before it")),
            None => Ok(()),
        }
    }

    /// No value is below the one before.
    pub(super) fn not_descending(self, field: &str, values: &[f64]) -> Result<(), FigureError> {
        match values.windows(2).position(|pair| pair[1] < pair[0]) {
            Some(index) => {
                Err(self.value(field, index + 1, values[index + 1], "must not be below the value before it"))
            }
            None => Ok(()),
        }
    }

    /// No value of `low` exceeds its partner in `high`.
    pub(super) fn ordered(self, field: &str, low: &[f64], high: &[f64]) -> Result<(), FigureError> {
        match low.iter().zip(high).position(|(low, high)| low > high) {
            Some(index) => Err(self.value(field, index, low[index], "must not exceed the upper end")),
            None => Ok(()),
        }
    }

    fn all(
        self,
        field: &str,
        values: impl IntoIterator<Item = f64>,
        reason: &'static str,
        good: impl Fn(f64) -> bool,
    ) -> Result<(), FigureError> {
        match values.into_iter().enumerate().find(|(_, value)| !good(*value)) {
            Some((index, value)) => Err(self.value(field, index, value, reason)),
            None => Ok(()),
        }
    }

    fn value(self, field: &str, index: usize, value: f64, reason: &'static str) -> FigureError {
        FigureError::Value { figure: self.figure.into(), field: field.into(), index, value, reason }
    }
}

/// Values that fit an axis of this scale.
pub(super) fn check_scaled(check: Check<'_>, field: &str, values: &[f64], scale: Scale) -> Result<(), FigureError> {
    match scale {
        Scale::Linear => check.finite(field, values.iter().copied()),
        Scale::Log10 | Scale::Log2 => check.positive(field, values.iter().copied()),
    }
}
