//! Two numbers of every configuration of some methods, both with intervals, a line for each method (Figure 4).

use serde::{Deserialize, Serialize};

use super::{
    AxisSpec, Meta,
    check::{Check, FigureError, check_scaled},
};

/// A configuration of a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TradeOffPoint {
    /// The configuration.
    pub name: String,
    /// In the unit of the x axis.
    pub x: f64,
    /// In the unit of the y axis.
    pub y: f64,
    /// Lower and upper end of `x`, if known.
    pub x_interval: Option<(f64, f64)>,
    /// Lower and upper end of `y`, if known.
    pub y_interval: Option<(f64, f64)>,
}

/// A method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TradeOffLine {
    /// Name in the legend; the same name in several panels gets the same style.
    pub name: String,
    /// Its configurations, in drawing order.
    pub points: Vec<TradeOffPoint>,
}

/// One pair of axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TradeOffPanel {
    /// Title above the axes; may be empty.
    pub title: String,
    /// The x axis.
    pub x: AxisSpec,
    /// The y axis.
    pub y: AxisSpec,
    /// Lines of this panel.
    pub lines: Vec<TradeOffLine>,
}

/// Methods in one or more panels side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TradeOffFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Panels from left to right, up to three in a row.
    pub panels: Vec<TradeOffPanel>,
}

impl TradeOffPoint {
    /// Lower and upper end on both axes.
    pub fn ends(&self) -> [(f64, f64); 2] {
        [self.x_interval.unwrap_or((self.x, self.x)), self.y_interval.unwrap_or((self.y, self.y))]
    }
}

impl TradeOffFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.parts("panels", &self.panels)?;
        for (index, panel) in self.panels.iter().enumerate() {
            let field = |name: &str| format!("panels[{index}].{name}");
            check.text(&field("title"), &panel.title)?;
            check.axis(&field("x"), &panel.x)?;
            check.axis(&field("y"), &panel.y)?;
            check.parts(&field("lines"), &panel.lines)?;
            for line in &panel.lines {
                check.text(&field("lines.name"), &line.name)?;
                check.parts(&field("lines.points"), &line.points)?;
                line.points.iter().try_for_each(|point| check.text(&field("lines.points.name"), &point.name))?;
                let column =
                    |value: &dyn Fn(&TradeOffPoint) -> f64| line.points.iter().map(value).collect::<Vec<f64>>();
                for (axis, place, own) in [("x", 0, &panel.x), ("y", 1, &panel.y)] {
                    let value = column(&|point| if place == 0 { point.x } else { point.y });
                    check_scaled(check, &field(&format!("lines.points.{axis}")), &value, own.scale)?;
                    let (low, high) = (column(&|p| p.ends()[place].0), column(&|p| p.ends()[place].1));
                    let interval = field(&format!("lines.points.{axis}_interval"));
                    check_scaled(check, &interval, &low, own.scale)?;
                    check_scaled(check, &interval, &high, own.scale)?;
                    check.ordered(&interval, &low, &high)?;
                }
            }
        }
        Ok(())
    }
}
