//! Figure 3 of the paper: where guidance and score point the same way, for a memorized and a non-memorized prompt.

use serde::{Deserialize, Serialize};

use super::{
    Meta,
    check::{Check, FigureError, MOST_STEPS},
};

/// Columns side by side at most.
const MOST_COLUMNS: usize = 6;

/// Two vector fields and their channel cosine on one grid of `height` by `width` positions, row by row from the top.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldPanel {
    /// The prompt's kind or text.
    pub title: String,
    /// Rows of the grid.
    pub height: usize,
    /// Columns of the grid.
    pub width: usize,
    /// First field, two components per position (right, up), any length.
    pub first: Vec<(f64, f64)>,
    /// Second field, as the first.
    pub second: Vec<(f64, f64)>,
    /// Cosine between the fields over all channels, per position, in `[-1, 1]`.
    pub cosine: Vec<f64>,
}

/// The channel cosines of a class of prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldClass {
    /// The class.
    pub name: String,
    /// Number of prompts.
    pub prompts: usize,
    /// Cosine over all channels at every position of every prompt, in `[-1, 1]`.
    pub cosine: Vec<f64>,
}

/// Arrows above and a cosine map below, one column per prompt; then the cosines of many prompts of each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Columns from left to right, usually a memorized and a non-memorized prompt.
    pub panels: Vec<FieldPanel>,
    /// Name of the first field in the legend.
    pub first_name: String,
    /// Name of the second field in the legend.
    pub second_name: String,
    /// Label of the colour bar.
    pub cosine_label: String,
    /// Arrows stand at every `stride`-th row and column.
    pub stride: usize,
    /// Arrow positions with a cosine above this get a ring.
    pub ring_threshold: f64,
    /// The cosines of all prompts, class by class: memorized, then non-memorized. Not drawn if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<FieldClass>,
}

impl FieldPanel {
    fn check(&self, check: Check<'_>, index: usize) -> Result<(), FigureError> {
        let field = |name: &str| format!("panels[{index}].{name}");
        check.at_least(&field("height"), self.height)?;
        check.at_least(&field("width"), self.width)?;
        check.text(&field("title"), &self.title)?;
        check.at_most(&field("height"), self.height, MOST_STEPS)?;
        check.at_most(&field("width"), self.width, MOST_STEPS)?;
        let count = self.height * self.width;
        for (name, vectors) in [("first", &self.first), ("second", &self.second)] {
            check.length(&field(name), vectors, count)?;
            check.finite(&field(name), vectors.iter().flat_map(|(right, up)| [*right, *up]))?;
        }
        check.length(&field("cosine"), &self.cosine, count)?;
        cosines(check, &field("cosine"), &self.cosine)
    }
}

impl FieldFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.at_least("panels", self.panels.len())?;
        check.at_most("panels", self.panels.len(), MOST_COLUMNS)?;
        for (field, text) in
            [("first_name", &self.first_name), ("second_name", &self.second_name), ("cosine_label", &self.cosine_label)]
        {
            check.text(field, text)?;
        }
        check.at_least("stride", self.stride)?;
        check.at_most("stride", self.stride, MOST_STEPS)?;
        check.finite("ring_threshold", [self.ring_threshold])?;
        self.panels.iter().enumerate().try_for_each(|(index, panel)| panel.check(check, index))?;
        check.at_most("classes", self.classes.len(), MOST_COLUMNS)?;
        for (index, class) in self.classes.iter().enumerate() {
            let field = |name: &str| format!("classes[{index}].{name}");
            check.text(&field("name"), &class.name)?;
            check.filled(&field("cosine"), &class.cosine)?;
            cosines(check, &field("cosine"), &class.cosine)?;
        }
        Ok(())
    }
}

/// A cosine computed in floating point can pass 1 by rounding.
fn cosines(check: Check<'_>, field: &str, values: &[f64]) -> Result<(), FigureError> {
    check.within(field, values.iter().copied(), (-1.000001, 1.000001), "must be in [-1, 1]")
}
