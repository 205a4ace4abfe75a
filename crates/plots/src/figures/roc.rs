//! ROC curves of the detectors, and their corner of few false positives.

use crate::axis::Axis;
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page};
use crate::panel::Panel;
use crate::theme::{Marker, Style};
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{Meta, RocCurve, RocFigure};

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
