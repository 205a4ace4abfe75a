//! ROC curves of the detectors, and their corner of few false positives.

use serde::{Deserialize, Serialize};

use super::{
    Meta,
    check::{Check, FigureError},
};

const RATE: &str = "must be a rate in [0, 1]";

/// A bootstrap band around a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Grid of false positive rates, ascending, in `[0, 1]`.
    pub fpr: Vec<f64>,
    /// Lower end of the true positive rate at each grid point.
    pub low: Vec<f64>,
    /// Upper end of the true positive rate at each grid point.
    pub high: Vec<f64>,
}

/// The curve of one detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RocCurve {
    /// The detector.
    pub name: String,
    /// (FPR, TPR), both in `[0, 1]`, FPR not descending.
    pub points: Vec<(f64, f64)>,
    /// Uncertainty, if it was computed.
    pub band: Option<Band>,
    /// Area under the curve, shown in the legend.
    pub auc: f64,
}

/// ROC curves in two panels: over all rates, and over a logarithmic axis from `floor` to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RocFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// One curve per detector.
    pub curves: Vec<RocCurve>,
    /// The false positive rate at which detectors are compared (0.01); marked by a line.
    pub target_fpr: f64,
    /// Left end of the logarithmic axis; rates below stand on it.
    pub floor: f64,
}

impl RocFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.parts("curves", &self.curves)?;
        check.within("target_fpr", [self.target_fpr], (0.0, 1.0), RATE)?;
        check.within("floor", [self.floor], (1e-9, 0.5), "must be a rate above 0 and up to 0.5")?;
        for (index, curve) in self.curves.iter().enumerate() {
            let field = |name: &str| format!("curves[{index}].{name}");
            check.text(&field("name"), &curve.name)?;
            check.filled(&field("points"), &curve.points)?;
            check.within(&field("points.fpr"), curve.points.iter().map(|point| point.0), (0.0, 1.0), RATE)?;
            check.within(&field("points.tpr"), curve.points.iter().map(|point| point.1), (0.0, 1.0), RATE)?;
            let fpr: Vec<f64> = curve.points.iter().map(|point| point.0).collect();
            check.not_descending(&field("points.fpr"), &fpr)?;
            check.within(&field("auc"), [curve.auc], (0.0, 1.0), RATE)?;
            if let Some(band) = &curve.band {
                check.filled(&field("band.fpr"), &band.fpr)?;
                check.not_descending(&field("band.fpr"), &band.fpr)?;
                for (name, values) in [("band.fpr", &band.fpr), ("band.low", &band.low), ("band.high", &band.high)] {
                    check.length(&field(name), values, band.fpr.len())?;
                    check.within(&field(name), values.iter().copied(), (0.0, 1.0), RATE)?;
                }
                check.ordered(&field("band.low"), &band.low, &band.high)?;
            }
        }
        Ok(())
    }
}
