//! One file per figure: how its numbers are laid out.

mod bound;
mod field;
mod histogram;
mod kde;
mod lines;
mod overlay;
mod plane;
mod roc;
mod scatter;
mod spectrum;
mod tokens;
mod trade_off;

// The numbers themselves are results.
pub use memscope_results::figures::{
    Band, BoundFigure, FieldClass, FieldFigure, FieldPanel, FigureData, Guide, KdeFigure, KdePanel, LinesFigure,
    LinesPanel, MarkedPoint, Overlay, Pair, PlaneFigure, RocCurve, RocFigure, ScatterFigure, ScatterPoint,
    ScoreHistogram, Series, Spectrum, SpectrumFigure, Token, TokenRow, TokenStrip, TradeOffFigure, TradeOffLine,
    TradeOffPanel, TradeOffPoint,
};
pub use scatter::pareto_front;

use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::Meta;

/// The figure that draws some numbers.
fn figure(data: &FigureData) -> &dyn Figure {
    match data {
        FigureData::Roc(figure) => figure,
        FigureData::Histogram(figure) => figure,
        FigureData::Densities(figure) => figure,
        FigureData::Lines(figure) => figure,
        FigureData::Spectrum(figure) => figure,
        FigureData::Field(figure) => figure,
        FigureData::Scatter(figure) => figure,
        FigureData::Plane(figure) => figure,
        FigureData::Tokens(figure) => figure,
        FigureData::Bound(figure) => figure,
        FigureData::TradeOff(figure) => figure,
    }
}

impl Figure for FigureData {
    fn meta(&self) -> &Meta {
        figure(self).meta()
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        figure(self).scene(theme)
    }
}
