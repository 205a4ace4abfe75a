//! ROC curves of the detectors, and their corner of few false positives.

use crate::axis::Axis;
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page};
use crate::panel::Panel;
use crate::theme::{Marker, Style};
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{AxisSpec, Meta, RocCurve, RocFigure};

fn entries(figure: &RocFigure, theme: Theme, target: Style) -> Vec<Entry> {
    let curve = |(index, curve): (usize, &RocCurve)| {
        let Style { color, dashes, marker } = theme.style(index);
        let sample = Sample::Line { color, dashes, marker: Some(marker) };
        Entry::new(&format!("{} (AUC {:.3})", curve.name, curve.auc), sample)
    };
    let line = Sample::Line { color: target.color, dashes: target.dashes, marker: None };
    let target = Entry::new(&format!("FPR {} %", trimmed(100.0 * figure.target_fpr)), line);
    figure.curves.iter().enumerate().map(curve).chain([target]).collect()
}

impl Figure for RocFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let target = Style { color: theme.ink(), dashes: &[2.0, 3.0], marker: Marker::Circle };
        let chance = Style { color: theme.muted(), ..target };
        let mut page = Page::new(&self.meta, theme, HEIGHT, &entries(self, theme, target));
        let linear = Axis::exact("false positive rate", (0.0, 1.0), 5);
        let log = Axis::between(&AxisSpec::log10("false positive rate (logarithmic)"), (self.floor, 1.0), 5);
        // On a logarithmic axis a rate of zero stands at its left end.
        let floor = self.floor;
        for (column, axis, lowest, title) in [(0, linear, 0.0, "all rates"), (1, log, floor, "few false positives")] {
            let axes = (axis, Axis::exact("true positive rate", (0.0, 1.0), 5));
            let outer = page.body.cell((1, 2), (0, column), 10.0);
            let panel = Panel::draw(&mut page.scene, theme, outer, &[title.to_owned()], axes);
            let even = (0..=50).map(|i| f64::from(i) / 50.0).map(|share| lowest.max(1e-9).powf(1.0 - share));
            let even: Vec<f64> = if lowest > 0.0 { even.collect() } else { vec![0.0, 1.0] };
            panel.line(&mut page.scene, even.into_iter().map(|rate| (rate, rate)), chance, 1.2);
            panel.line(&mut page.scene, [(self.target_fpr, 0.0), (self.target_fpr, 1.0)], target, 1.6);
            for (index, curve) in self.curves.iter().enumerate() {
                if let Some(band) = &curve.band {
                    let fpr: Vec<f64> = band.fpr.iter().map(|fpr| fpr.max(lowest)).collect();
                    panel.band(&mut page.scene, &fpr, &band.low, &band.high, theme.style(index).color);
                }
            }
            for (index, curve) in self.curves.iter().enumerate() {
                let points = curve.points.iter().map(|(fpr, tpr)| (fpr.max(lowest), *tpr));
                panel.series(&mut page.scene, points, theme.style(index), index);
            }
        }
        Ok(page.scene)
    }
}

fn trimmed(value: f64) -> String {
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}
