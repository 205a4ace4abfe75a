//! Two numbers of every configuration of some methods, both with intervals, a line for each method (Figure 4).

use crate::axis::Axis;
use crate::page::{HEIGHT, Page, grid};
use crate::panel::{LINE, MARKER, Panel, marker};
use crate::style::Styles;
use crate::theme::Style;
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{Meta, TradeOffFigure, TradeOffPoint};

impl Figure for TradeOffFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let named = self.panels.iter().flat_map(|panel| &panel.lines).map(|line| line.name.as_str());
        let styles = Styles::new(theme, named);
        let (rows, columns) = grid(self.panels.len());
        let mut page = Page::new(&self.meta, theme, HEIGHT * rows as f64, &styles.lines());
        for (index, input) in self.panels.iter().enumerate() {
            let ends = |place: usize| {
                let points = input.lines.iter().flat_map(|line| &line.points);
                let all = points.flat_map(move |point| <[f64; 2]>::from(point.ends()[place]));
                all.collect::<Vec<f64>>()
            };
            let ticks = if columns == 1 { 8 } else { 5 };
            let axes = (Axis::covering(&input.x, ends(0), ticks), Axis::covering(&input.y, ends(1), 6));
            let outer = page.body.cell((rows, columns), (index / columns, index % columns), 10.0);
            let titles: Vec<String> = Some(input.title.clone()).filter(|title| !title.is_empty()).into_iter().collect();
            let panel = Panel::draw(&mut page.scene, theme, outer, &titles, axes);
            for line in &input.lines {
                let (_, style) = styles.of(&line.name);
                let path = line.points.iter().map(|point| (point.x, point.y));
                panel.line(&mut page.scene, path, style, LINE);
                line.points.iter().for_each(|point| cross(&mut page.scene, &panel, point, style));
            }
        }
        Ok(page.scene)
    }
}

/// A point with its intervals.
fn cross(scene: &mut Scene, panel: &Panel, point: &TradeOffPoint, style: Style) {
    let at = panel.at(point.x, point.y);
    let [x, y] = point.ends();
    let (left, right) = (panel.at(x.0, point.y), panel.at(x.1, point.y));
    let (low, high) = (panel.at(point.x, y.0), panel.at(point.x, y.1));
    scene.line(vec![left, right], style.color, 0.8);
    scene.line(vec![low, high], style.color, 0.8);
    marker(scene, at, style.marker, MARKER, style.color);
}
