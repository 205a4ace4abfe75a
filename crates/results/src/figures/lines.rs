//! Named series over a common quantity: variances over timesteps (Figure 1), dose and response, sweeps.

use serde::{Deserialize, Serialize};

use super::{
    AxisSpec, Meta, Scale,
    check::{Check, FigureError, check_scaled},
};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Name in the legend; the same name in several panels gets the same style.
    pub name: String,
    /// Positions, in drawing order.
    pub x: Vec<f64>,
    /// Values.
    pub y: Vec<f64>,
    /// Lower and upper ends of the values, if known.
    pub band: Option<(Vec<f64>, Vec<f64>)>,
}

/// One pair of axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinesPanel {
    /// Title above the axes; may be empty.
    pub title: String,
    /// The x axis.
    pub x: AxisSpec,
    /// The y axis.
    pub y: AxisSpec,
    /// Lines of this panel.
    pub series: Vec<Series>,
}

/// Series in one or more panels side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinesFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Panels from left to right, up to three in a row.
    pub panels: Vec<LinesPanel>,
}

impl Series {
    fn check(&self, check: Check<'_>, prefix: &str, x: Scale, y: Scale) -> Result<(), FigureError> {
        let field = |name: &str| format!("{prefix}.{name}");
        check.text(&field("name"), &self.name)?;
        check.filled(&field("x"), &self.x)?;
        check_scaled(check, &field("x"), &self.x, x)?;
        check.length(&field("y"), &self.y, self.x.len())?;
        check_scaled(check, &field("y"), &self.y, y)?;
        if let Some((low, high)) = &self.band {
            for (name, values) in [("band.low", low), ("band.high", high)] {
                check.length(&field(name), values, self.x.len())?;
                check_scaled(check, &field(name), values, y)?;
            }
            check.ordered(&field("band.low"), low, high)?;
        }
        Ok(())
    }
}

impl LinesFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.parts("panels", &self.panels)?;
        for (index, panel) in self.panels.iter().enumerate() {
            check.text(&format!("panels[{index}].title"), &panel.title)?;
            check.axis(&format!("panels[{index}].x"), &panel.x)?;
            check.axis(&format!("panels[{index}].y"), &panel.y)?;
            check.parts(&format!("panels[{index}].series"), &panel.series)?;
            for (position, series) in panel.series.iter().enumerate() {
                let prefix = format!("panels[{index}].series[{position}]");
                series.check(check, &prefix, panel.x.scale, panel.y.scale)?;
            }
        }
        Ok(())
    }
}
