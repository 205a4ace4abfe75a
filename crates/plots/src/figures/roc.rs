//! ROC curves of the detectors, and their corner of few false positives.

use crate::axis::Axis;
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page};
use crate::panel::Panel;
use crate::style::{Styles, line, of_run, run_entries};
use crate::theme::{Marker, Style};
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{AxisSpec, Meta, RocFigure};

/// Legend: the detectors with the AUC of every run, the runs, the target.
fn entries(figures: &[&RocFigure], runs: &[String], styles: &Styles, theme: Theme, target: Style) -> Vec<Entry> {
    let detector = |(name, style): (&str, Style)| {
        let of = |figure: &&RocFigure| figure.curves.iter().find(|curve| curve.name == name).map(|curve| curve.auc);
        let auc: Vec<String> =
            figures.iter().map(|figure| of(figure).map_or("–".into(), |auc| format!("{auc:.3}"))).collect();
        Entry::new(&format!("{name} (AUC {})", auc.join("; ")), line(of_run(style, 0, figures.len())))
    };
    let sample = Sample::Line { color: target.color, dashes: target.dashes, marker: None };
    let target = Entry::new(&format!("FPR {} %", trimmed(100.0 * figures[0].target_fpr)), sample);
    styles.each().map(detector).chain(run_entries(theme, runs)).chain([target]).collect()
}

/// One figure, or those of two `runs`.
pub(super) fn draw(figures: &[&RocFigure], runs: &[String], meta: &Meta, theme: Theme) -> Scene {
    let target = Style { color: theme.ink(), dashes: &[2.0, 3.0], marker: Marker::Circle };
    let chance = Style { color: theme.muted(), ..target };
    let curves = || figures.iter().enumerate().flat_map(|(run, figure)| figure.curves.iter().map(move |c| (run, c)));
    let styles = Styles::new(theme, curves().map(|(_, curve)| curve.name.as_str()));
    let mut page = Page::new(meta, theme, HEIGHT, &entries(figures, runs, &styles, theme, target));
    let linear = Axis::exact("false positive rate", (0.0, 1.0), 5);
    // On a logarithmic axis a rate of zero stands at its left end.
    let floor = figures.iter().map(|figure| figure.floor).fold(1.0, f64::min);
    let log = Axis::between(&AxisSpec::log10("false positive rate (logarithmic)"), (floor, 1.0), 5);
    let rate = figures[0].target_fpr;
    for (column, axis, lowest, title) in [(0, linear, 0.0, "all rates"), (1, log, floor, "few false positives")] {
        let axes = (axis, Axis::exact("true positive rate", (0.0, 1.0), 5));
        let outer = page.body.cell((1, 2), (0, column), 10.0);
        let panel = Panel::draw(&mut page.scene, theme, outer, &[title.to_owned()], axes);
        let even = (0..=50).map(|i| f64::from(i) / 50.0).map(|share| lowest.max(1e-9).powf(1.0 - share));
        let even: Vec<f64> = if lowest > 0.0 { even.collect() } else { vec![0.0, 1.0] };
        panel.line(&mut page.scene, even.into_iter().map(|rate| (rate, rate)), chance, 1.2);
        panel.line(&mut page.scene, [(rate, 0.0), (rate, 1.0)], target, 1.6);
        for (_, curve) in curves() {
            if let Some(band) = &curve.band {
                let fpr: Vec<f64> = band.fpr.iter().map(|fpr| fpr.max(lowest)).collect();
                panel.band(&mut page.scene, &fpr, &band.low, &band.high, styles.of(&curve.name).1.color);
            }
        }
        for (run, curve) in curves() {
            let (place, style) = styles.of(&curve.name);
            let points = curve.points.iter().map(|(fpr, tpr)| (fpr.max(lowest), *tpr));
            panel.series(&mut page.scene, corners(points), of_run(style, run, figures.len()), place + run);
        }
    }
    page.scene
}

/// The points at which a curve turns: those between two others on one line show nothing.
fn corners(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = vec![];
    for point in points {
        if let [.., a, b] = kept.as_slice() {
            let straight = (a.0 == b.0 && b.0 == point.0) || (a.1 == b.1 && b.1 == point.1);
            if straight {
                kept.pop();
            }
        }
        kept.push(point);
    }
    kept
}

impl Figure for RocFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        Ok(draw(&[self], &[], &self.meta, theme))
    }
}

fn trimmed(value: f64) -> String {
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}
