//! ROC curves of the detectors, and their corner of few false positives.

use crate::axis::Axis;
use crate::check::Check;
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page};
use crate::panel::Panel;
use crate::theme::{Marker, Style};
use crate::{Error, Figure, Meta, Scene, Theme};

/// A bootstrap band around a curve.
#[derive(Debug, Clone)]
pub struct Band {
    /// Grid of false positive rates, ascending, in `[0, 1]`.
    pub fpr: Vec<f64>,
    /// Lower end of the true positive rate at each grid point.
    pub low: Vec<f64>,
    /// Upper end of the true positive rate at each grid point.
    pub high: Vec<f64>,
}

/// The curve of one detector.
#[derive(Debug, Clone)]
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

/// ROC curves in two panels: all, and FPR from 0 to `zoom`.
#[derive(Debug, Clone)]
pub struct RocFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// One curve per detector.
    pub curves: Vec<RocCurve>,
    /// The false positive rate at which detectors are compared (0.01); marked by a line.
    pub target_fpr: f64,
    /// Right end of the second panel (0.05).
    pub zoom: f64,
}

const RATE: &str = "must be a rate in [0, 1]";

impl RocFigure {
    fn check(&self) -> Result<(), Error> {
        let check = Check::new(&self.meta.name);
        check.filled("curves", &self.curves)?;
        check.within("target_fpr", [self.target_fpr], (0.0, 1.0), RATE)?;
        check.within("zoom", [self.zoom], (1e-6, 1.0), "must be a rate above 0 and up to 1")?;
        for (index, curve) in self.curves.iter().enumerate() {
            let field = |name: &str| format!("curves[{index}].{name}");
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

    fn entries(&self, theme: Theme, target: Style) -> Vec<Entry> {
        let curve = |(index, curve): (usize, &RocCurve)| {
            let Style { color, dashes, marker } = theme.style(index);
            let sample = Sample::Line { color, dashes, marker: Some(marker) };
            Entry::new(&format!("{} (AUC {:.3})", curve.name, curve.auc), sample)
        };
        let line = Sample::Line { color: target.color, dashes: target.dashes, marker: None };
        let target = Entry::new(&format!("FPR {} %", trimmed(100.0 * self.target_fpr)), line);
        self.curves.iter().enumerate().map(curve).chain([target]).collect()
    }
}

impl Figure for RocFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.check()?;
        let target = Style { color: theme.ink(), dashes: &[2.0, 3.0], marker: Marker::Circle };
        let chance = Style { color: theme.muted(), ..target };
        let mut page = Page::new(&self.meta, theme, HEIGHT, &self.entries(theme, target));
        for (column, end, title) in [(0, 1.0, "all rates"), (1, self.zoom, "few false positives")] {
            let axes =
                (Axis::exact("false positive rate", (0.0, end), 5), Axis::exact("true positive rate", (0.0, 1.0), 5));
            let outer = page.body.cell((1, 2), (0, column), 10.0);
            let panel = Panel::draw(&mut page.scene, theme, outer, &[title.to_owned()], axes);
            panel.line(&mut page.scene, [(0.0, 0.0), (1.0, 1.0)], chance, 1.2);
            panel.line(&mut page.scene, [(self.target_fpr, 0.0), (self.target_fpr, 1.0)], target, 1.6);
            for (index, curve) in self.curves.iter().enumerate() {
                if let Some(band) = &curve.band {
                    panel.band(&mut page.scene, &band.fpr, &band.low, &band.high, theme.style(index).color);
                }
            }
            for (index, curve) in self.curves.iter().enumerate() {
                panel.series(&mut page.scene, curve.points.iter().copied(), theme.style(index), index);
            }
        }
        Ok(page.scene)
    }
}

fn trimmed(value: f64) -> String {
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}
