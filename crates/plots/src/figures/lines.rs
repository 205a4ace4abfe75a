//! Named series over a common quantity: variances over timesteps (Figure 1), dose and response, sweeps.

use crate::axis::Axis;
use crate::page::{HEIGHT, Page, grid};
use crate::panel::Panel;
use crate::style::{Styles, of_run, run_entries};
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{LinesFigure, LinesPanel, Meta, Series};

/// All values that the y axis must show.
fn heights(series: &Series) -> impl Iterator<Item = f64> {
    let band = series.band.iter().flat_map(|(low, high)| low.iter().chain(high));
    series.y.iter().chain(band).copied()
}

/// The series of a panel, each with its run.
fn series<'f>(figures: &'f [&'f LinesFigure], panel: usize) -> impl Iterator<Item = (usize, &'f Series)> {
    let of_run = move |(run, figure): (usize, &&'f LinesFigure)| (run, *figure);
    let runs = figures.iter().enumerate().map(of_run);
    runs.flat_map(move |(run, figure)| figure.panels[panel].series.iter().map(move |series| (run, series)))
}

/// The axes of each panel over the series of all `figures`; all logarithmic y axes have ticks of one style.
fn axes(figures: &[&LinesFigure], columns: usize) -> Vec<(Axis, Axis)> {
    let ticks = if columns == 1 { 8 } else { 5 };
    let of_panel = |(index, panel): (usize, &LinesPanel)| {
        let across = series(figures, index).flat_map(|(_, series)| series.x.iter().copied());
        let up = series(figures, index).flat_map(|(_, series)| heights(series));
        (Axis::covering(&panel.x, across, ticks), Axis::covering(&panel.y, up, 6))
    };
    let mut axes: Vec<(Axis, Axis)> = figures[0].panels.iter().enumerate().map(of_panel).collect();
    if axes.iter().any(|(_, y)| y.has_powers()) {
        axes.iter_mut().for_each(|(_, y)| y.use_powers());
    }
    axes
}

/// One figure, or those of two `runs` with the same panels.
pub(super) fn draw(figures: &[&LinesFigure], runs: &[String], meta: &Meta, theme: Theme) -> Scene {
    let named = figures.iter().flat_map(|figure| &figure.panels).flat_map(|panel| &panel.series);
    let styles = Styles::new(theme, named.map(|series| series.name.as_str()));
    let panels = &figures[0].panels;
    let (rows, columns) = grid(panels.len());
    let entries = [styles.lines(), run_entries(theme, runs)].concat();
    let mut page = Page::new(meta, theme, HEIGHT * rows as f64, &entries);
    for (index, axes) in axes(figures, columns).into_iter().enumerate() {
        let outer = page.body.cell((rows, columns), (index / columns, index % columns), 10.0);
        let title = Some(panels[index].title.clone()).filter(|title| !title.is_empty());
        let panel = Panel::draw(&mut page.scene, theme, outer, title.as_slice(), axes);
        for (_, series) in series(figures, index) {
            if let Some((low, high)) = &series.band {
                panel.band(&mut page.scene, &series.x, low, high, styles.of(&series.name).1.color);
            }
        }
        for (run, series) in series(figures, index) {
            let (place, style) = styles.of(&series.name);
            let data = series.x.iter().copied().zip(series.y.iter().copied());
            panel.series(&mut page.scene, data, of_run(style, run, figures.len()), place + run);
        }
    }
    page.scene
}

impl Figure for LinesFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        Ok(draw(&[self], &[], &self.meta, theme))
    }
}
