//! Two runs in one figure.

use super::FigureData;

/// The lines, curves or points of both, each named by its run; `None` for kinds that do not overlay, or axes that differ.
/// `names`: what the runs are called.
pub fn overlaid(first: FigureData, second: FigureData, names: (&str, &str)) -> Option<FigureData> {
    let named = |name: &mut String, run: &str| name.push_str(&format!(", {run}"));
    let mut both = match (first, second) {
        (FigureData::Roc(mut a), FigureData::Roc(b)) => {
            a.curves.iter_mut().for_each(|curve| named(&mut curve.name, names.0));
            a.curves.extend(b.curves.into_iter().map(|mut curve| {
                named(&mut curve.name, names.1);
                curve
            }));
            a.floor = a.floor.min(b.floor);
            FigureData::Roc(a)
        }
        (FigureData::Lines(mut a), FigureData::Lines(b)) => {
            let alike =
                |(x, y): (&super::LinesPanel, &super::LinesPanel)| (&x.title, &x.x, &x.y) == (&y.title, &y.x, &y.y);
            if a.panels.len() != b.panels.len() || !a.panels.iter().zip(&b.panels).all(alike) {
                return None;
            }
            for (panel, other) in a.panels.iter_mut().zip(b.panels) {
                panel.series.iter_mut().for_each(|series| named(&mut series.name, names.0));
                panel.series.extend(other.series.into_iter().map(|mut series| {
                    named(&mut series.name, names.1);
                    series
                }));
            }
            FigureData::Lines(a)
        }
        (FigureData::Scatter(mut a), FigureData::Scatter(b)) => {
            if (&a.x, &a.y) != (&b.x, &b.y) {
                return None;
            }
            a.points.iter_mut().for_each(|point| named(&mut point.name, names.0));
            a.points.extend(b.points.into_iter().map(|mut point| {
                named(&mut point.name, names.1);
                point
            }));
            FigureData::Scatter(a)
        }
        _ => return None,
    };
    let meta = both.meta_mut();
    meta.name.push_str("-both");
    meta.alt = format!("{} and {}: {}", names.0, names.1, meta.alt);
    meta.caption
        .insert(0, format!("The lines of {} and of {}; the text below is that of the first.", names.0, names.1));
    Some(both)
}
