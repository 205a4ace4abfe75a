//! Checks of input, so that an error names the figure and the field at fault.

use crate::Error;

/// Magnitudes beyond this cannot be told apart on an axis and overflow when subtracted.
const LARGEST: f64 = 1e100;

/// Checks the fields of one figure.
#[derive(Clone, Copy)]
pub(crate) struct Check<'a> {
    figure: &'a str,
}

impl<'a> Check<'a> {
    pub(crate) fn new(figure: &'a str) -> Self {
        Self { figure }
    }

    /// The list holds something.
    pub(crate) fn filled<T>(self, field: &str, list: &[T]) -> Result<(), Error> {
        self.at_least(field, list.len())
    }

    /// The count is not zero.
    pub(crate) fn at_least(self, field: &str, count: usize) -> Result<(), Error> {
        if count > 0 {
            return Ok(());
        }
        Err(Error::Empty { figure: self.figure.into(), field: field.into() })
    }

    /// The list has `expected` entries.
    pub(crate) fn length<T>(self, field: &str, list: &[T], expected: usize) -> Result<(), Error> {
        if list.len() == expected {
            return Ok(());
        }
        Err(Error::Length { figure: self.figure.into(), field: field.into(), expected, got: list.len() })
    }

    /// All values are finite and can be drawn.
    pub(crate) fn finite(self, field: &str, values: impl IntoIterator<Item = f64>) -> Result<(), Error> {
        self.all(field, values, "must be finite and below 1e100", |value| value.abs() < LARGEST)
    }

    /// All values lie in `[low, high]`; `reason` says so in words.
    pub(crate) fn within(
        self,
        field: &str,
        values: impl IntoIterator<Item = f64>,
        (low, high): (f64, f64),
        reason: &'static str,
    ) -> Result<(), Error> {
        self.all(field, values, reason, |value| (low..=high).contains(&value))
    }

    /// All values are above zero, as a logarithmic axis needs.
    pub(crate) fn positive(self, field: &str, values: impl IntoIterator<Item = f64>) -> Result<(), Error> {
        self.all(field, values, "must be above 0 and below 1e100 on a logarithmic axis", |value| {
            value > 1.0 / LARGEST && value < LARGEST
        })
    }

    /// Each value is above the one before.
    pub(crate) fn ascending(self, field: &str, values: &[f64]) -> Result<(), Error> {
        match values.windows(2).position(|pair| pair[1] <= pair[0]) {
            Some(index) => Err(self.value(field, index + 1, values[index + 1], "must be above the value before it")),
            None => Ok(()),
        }
    }

    /// No value is below the one before.
    pub(crate) fn not_descending(self, field: &str, values: &[f64]) -> Result<(), Error> {
        match values.windows(2).position(|pair| pair[1] < pair[0]) {
            Some(index) => {
                Err(self.value(field, index + 1, values[index + 1], "must not be below the value before it"))
            }
            None => Ok(()),
        }
    }

    /// No value of `low` exceeds its partner in `high`.
    pub(crate) fn ordered(self, field: &str, low: &[f64], high: &[f64]) -> Result<(), Error> {
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
    ) -> Result<(), Error> {
        match values.into_iter().enumerate().find(|(_, value)| !good(*value)) {
            Some((index, value)) => Err(self.value(field, index, value, reason)),
            None => Ok(()),
        }
    }

    fn value(self, field: &str, index: usize, value: f64, reason: &'static str) -> Error {
        Error::Value { figure: self.figure.into(), field: field.into(), index, value, reason }
    }
}
