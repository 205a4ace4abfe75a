//! Detection over the plane of the two weights γ.

use serde::{Deserialize, Serialize};

use super::{
    Meta,
    check::{Check, FigureError, MOST_PARTS, MOST_STEPS},
};

/// A pair of weights worth showing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarkedPoint {
    /// Where the pair comes from.
    pub name: String,
    /// Its x, above 0.
    pub x: f64,
    /// Its y, above 0.
    pub y: f64,
}

/// A heat map over two axes in powers of 10.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaneFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Label of the x axis.
    pub x_label: String,
    /// Label of the y axis.
    pub y_label: String,
    /// Label of the colour bar, with the unit.
    pub value_label: String,
    /// Grid positions along x, ascending, above 0.
    pub x: Vec<f64>,
    /// Grid positions along y, ascending, above 0.
    pub y: Vec<f64>,
    /// Value per grid position: all x of the first y, then of the second, and so on.
    pub values: Vec<f64>,
    /// Points drawn on top; they widen the axes where they lie outside the grid.
    pub marked: Vec<MarkedPoint>,
}

impl PlaneFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        for (field, text) in
            [("x_label", &self.x_label), ("y_label", &self.y_label), ("value_label", &self.value_label)]
        {
            check.text(field, text)?;
        }
        check.at_most("marked", self.marked.len(), MOST_PARTS)?;
        for point in &self.marked {
            check.text("marked.name", &point.name)?;
        }
        for (field, values) in [("x", &self.x), ("y", &self.y)] {
            check.at_most(field, values.len(), MOST_STEPS)?;
            check.filled(field, values)?;
            check.positive(field, values.iter().copied())?;
            check.ascending(field, values)?;
        }
        check.length("values", &self.values, self.x.len() * self.y.len())?;
        check.finite("values", self.values.iter().copied())?;
        check.positive("marked.x", self.marked.iter().map(|point| point.x))?;
        check.positive("marked.y", self.marked.iter().map(|point| point.y))
    }
}
