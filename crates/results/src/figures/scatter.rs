//! Two numbers of every detector: detection against cost with the front of the detectors that none other beats at both,
//! or detection of one kind of prompt against another.

use serde::{Deserialize, Serialize};

use super::{
    AxisSpec, Meta,
    check::{Check, FigureError, check_scaled},
};

/// The line that goes with the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guide {
    /// The Pareto front, where less x and more y is better.
    Front,
    /// x = y.
    Diagonal,
}

/// One detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScatterPoint {
    /// The detector.
    pub name: String,
    /// Generations behind a score, where points of one detector differ in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generations: Option<usize>,
    /// Cost or detection, in the unit of the x axis.
    pub x: f64,
    /// Detection, in the unit of the y axis; more is better.
    pub y: f64,
    /// Lower and upper end of `y`, if known.
    pub interval: Option<(f64, f64)>,
}

/// Points with intervals and a guide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScatterFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Cost (network calls or seconds), or detection.
    pub x: AxisSpec,
    /// Detection: AUC or TPR.
    pub y: AxisSpec,
    /// One point per detector, or per detector and number of generations.
    pub points: Vec<ScatterPoint>,
    /// What is drawn behind them.
    pub guide: Guide,
}

impl ScatterFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.axis("x", &self.x)?;
        check.axis("y", &self.y)?;
        check.parts("points", &self.points)?;
        for point in &self.points {
            check.text("points.name", &point.name)?;
        }
        let column = |value: fn(&ScatterPoint) -> f64| self.points.iter().map(value).collect::<Vec<f64>>();
        check_scaled(check, "points.x", &column(|point| point.x), self.x.scale)?;
        check_scaled(check, "points.y", &column(|point| point.y), self.y.scale)?;
        let low = column(|point| point.interval.map_or(point.y, |interval| interval.0));
        let high = column(|point| point.interval.map_or(point.y, |interval| interval.1));
        check_scaled(check, "points.interval.low", &low, self.y.scale)?;
        check_scaled(check, "points.interval.high", &high, self.y.scale)?;
        check.ordered("points.interval", &low, &high)
    }
}
