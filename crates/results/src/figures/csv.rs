//! A figure's numbers as one long table: part, series, x, y, low, high.

use super::FigureData;

/// One row; a number that a kind of figure does not have is an empty cell.
struct Row<'a> {
    part: &'a str,
    series: &'a str,
    numbers: [Option<f64>; 4],
}

struct Writer(String);

impl Writer {
    fn row(&mut self, row: &Row) {
        let number = |number: &Option<f64>| number.map_or_else(String::new, |number| number.to_string());
        let cells = [quoted(row.part), quoted(row.series)].into_iter().chain(row.numbers.iter().map(number));
        self.0.push_str(&cells.collect::<Vec<_>>().join(","));
        self.0.push('\n');
    }

    fn points(&mut self, part: &str, series: &str, x: &[f64], y: &[f64]) {
        for (x, y) in x.iter().zip(y) {
            self.row(&Row { part, series, numbers: [Some(*x), Some(*y), None, None] });
        }
    }

    fn values(&mut self, part: &str, series: &str, values: &[f64]) {
        for value in values {
            self.row(&Row { part, series, numbers: [Some(*value), None, None, None] });
        }
    }
}

/// A text as a cell: quoted where it must be; a formula of spreadsheets is made a text.
fn quoted(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

pub(super) fn write(data: &FigureData) -> String {
    let mut out = Writer("part,series,x,y,low,high\n".to_owned());
    match data {
        FigureData::Roc(figure) => {
            for curve in &figure.curves {
                for (fpr, tpr) in &curve.points {
                    out.row(&Row { part: "curve", series: &curve.name, numbers: [Some(*fpr), Some(*tpr), None, None] });
                }
                if let Some(band) = &curve.band {
                    for ((fpr, low), high) in band.fpr.iter().zip(&band.low).zip(&band.high) {
                        let numbers = [Some(*fpr), None, Some(*low), Some(*high)];
                        out.row(&Row { part: "band", series: &curve.name, numbers });
                    }
                }
            }
        }
        FigureData::Histogram(figure) => {
            out.values(&figure.score, "memorized", &figure.memorized);
            out.values(&figure.score, "non-memorized", &figure.non_memorized);
        }
        FigureData::Densities(figure) => {
            for panel in &figure.panels {
                out.points(&panel.title, "memorized", &panel.grid, &panel.memorized_density);
                out.points(&panel.title, "non-memorized", &panel.grid, &panel.non_memorized_density);
            }
        }
        FigureData::Lines(figure) => {
            for panel in &figure.panels {
                for series in &panel.series {
                    for (i, (x, y)) in series.x.iter().zip(&series.y).enumerate() {
                        let end = |ends: &Vec<f64>| ends.get(i).copied();
                        let (low, high) = series.band.as_ref().map_or((None, None), |(l, h)| (end(l), end(h)));
                        let numbers = [Some(*x), Some(*y), low, high];
                        out.row(&Row { part: &panel.title, series: &series.name, numbers });
                    }
                }
            }
        }
        FigureData::Spectrum(figure) => {
            figure.spectra.iter().for_each(|spectrum| out.values(&spectrum.title, "eigenvalue", &spectrum.eigenvalues));
        }
        FigureData::Field(figure) => {
            for panel in &figure.panels {
                for (name, vectors) in [(&figure.first_name, &panel.first), (&figure.second_name, &panel.second)] {
                    for (right, up) in vectors {
                        let numbers = [Some(*right), Some(*up), None, None];
                        out.row(&Row { part: &panel.title, series: name, numbers });
                    }
                }
                out.values(&panel.title, &figure.cosine_label, &panel.cosine);
            }
            for class in &figure.classes {
                out.values(&format!("{} prompts", class.prompts), &class.name, &class.cosine);
            }
        }
        FigureData::Scatter(figure) => {
            for point in &figure.points {
                let (low, high) = point.interval.map_or((None, None), |(low, high)| (Some(low), Some(high)));
                let part = point.generations.map_or_else(String::new, |n| format!("n = {n}"));
                out.row(&Row { part: &part, series: &point.name, numbers: [Some(point.x), Some(point.y), low, high] });
            }
        }
        FigureData::Plane(figure) => {
            for (y, values) in figure.y.iter().zip(figure.values.chunks(figure.x.len().max(1))) {
                for (x, value) in figure.x.iter().zip(values) {
                    let numbers = [Some(*x), Some(*y), Some(*value), None];
                    out.row(&Row { part: "", series: &figure.value_label, numbers });
                }
            }
        }
        FigureData::Tokens(figure) => {
            for row in &figure.rows {
                for (i, token) in row.tokens.iter().enumerate() {
                    let numbers = [Some(i as f64), Some(token.significance), None, None];
                    out.row(&Row { part: &row.label, series: &token.text, numbers });
                }
            }
        }
        // Each point twice: with the ends of y, then of x.
        FigureData::TradeOff(figure) => {
            for panel in &figure.panels {
                for line in &panel.lines {
                    for point in &line.points {
                        let name = format!("{}: {}", line.name, point.name);
                        for (ends, axis) in [(point.y_interval, "y"), (point.x_interval, "x")] {
                            let part = format!("{} ({axis})", panel.title);
                            let numbers =
                                [Some(point.x), Some(point.y), ends.map(|ends| ends.0), ends.map(|ends| ends.1)];
                            out.row(&Row { part: &part, series: &name, numbers });
                        }
                    }
                }
            }
        }
        FigureData::Bound(figure) => {
            out.points("", "(1 − r)/(1 + r)", &figure.paper, &figure.cosine);
            out.points("", "√(1 − r²)", &figure.sharp, &figure.cosine);
        }
    }
    out.0
}
