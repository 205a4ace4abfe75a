//! Named series over a common quantity: variances over timesteps (Figure 1), dose and response, sweeps.

use crate::axis::{Axis, AxisSpec, Scale};
use crate::check::Check;
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page, grid};
use crate::panel::Panel;
use crate::theme::Style;
use crate::{Error, Figure, Meta, Scene, Theme};

/// One line.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
pub struct LinesFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Panels from left to right, up to three in a row.
    pub panels: Vec<LinesPanel>,
}

impl Series {
    fn check(&self, check: Check<'_>, prefix: &str, x: Scale, y: Scale) -> Result<(), Error> {
        let field = |name: &str| format!("{prefix}.{name}");
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

    /// All values that the y axis must show.
    fn heights(&self) -> impl Iterator<Item = f64> {
        let band = self.band.iter().flat_map(|(low, high)| low.iter().chain(high));
        self.y.iter().chain(band).copied()
    }
}

/// Values that fit an axis of this scale.
pub(super) fn check_scaled(check: Check<'_>, field: &str, values: &[f64], scale: Scale) -> Result<(), Error> {
    match scale {
        Scale::Linear => check.finite(field, values.iter().copied()),
        Scale::Log10 | Scale::Log2 => check.positive(field, values.iter().copied()),
    }
}

impl LinesFigure {
    fn check(&self) -> Result<(), Error> {
        let check = Check::new(&self.meta.name);
        check.filled("panels", &self.panels)?;
        for (index, panel) in self.panels.iter().enumerate() {
            check.filled(&format!("panels[{index}].series"), &panel.series)?;
            for (position, series) in panel.series.iter().enumerate() {
                let prefix = format!("panels[{index}].series[{position}]");
                series.check(check, &prefix, panel.x.scale, panel.y.scale)?;
            }
        }
        Ok(())
    }

    /// Names in order of first appearance; a name's place is its style.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        names
    }
}

impl Figure for LinesFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.check()?;
        let names = self.names();
        let entry = |(index, name): (usize, &&str)| {
            let Style { color, dashes, marker } = theme.style(index);
            Entry::new(name, Sample::Line { color, dashes, marker: Some(marker) })
        };
        let entries: Vec<Entry> = names.iter().enumerate().map(entry).collect();
        let (rows, columns) = grid(self.panels.len());
        let mut page = Page::new(&self.meta, theme, HEIGHT * rows as f64, &entries);
        for (index, input) in self.panels.iter().enumerate() {
            let ticks = if columns == 1 { 8 } else { 5 };
            let axes = (
                Axis::covering(&input.x, input.series.iter().flat_map(|series| series.x.iter().copied()), ticks),
                Axis::covering(&input.y, input.series.iter().flat_map(Series::heights), 6),
            );
            let outer = page.body.cell((rows, columns), (index / columns, index % columns), 10.0);
            let titles: Vec<String> = Some(input.title.clone()).filter(|title| !title.is_empty()).into_iter().collect();
            let panel = Panel::draw(&mut page.scene, theme, outer, &titles, axes);
            let index_of = |series: &Series| names.iter().position(|name| *name == series.name).unwrap_or(0);
            for series in &input.series {
                if let Some((low, high)) = &series.band {
                    panel.band(&mut page.scene, &series.x, low, high, theme.style(index_of(series)).color);
                }
            }
            for series in &input.series {
                let index = index_of(series);
                let data = series.x.iter().copied().zip(series.y.iter().copied());
                panel.series(&mut page.scene, data, theme.style(index), index);
            }
        }
        Ok(page.scene)
    }
}
