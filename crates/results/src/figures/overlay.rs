//! Two runs in one figure.

use super::{FigureData, LinesFigure, LinesPanel, Meta, RocFigure, ScatterFigure};

/// Figures of one kind from two runs, to be drawn on the same axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair<F> {
    /// Name, alternative text and caption of the two together.
    pub meta: Meta,
    /// What the runs are called.
    pub runs: [String; 2],
    /// Their figures, in the same order.
    pub figures: [F; 2],
}

/// Two runs' figures that can be drawn on the same axes.
#[derive(Debug, Clone, PartialEq)]
pub enum Overlay {
    /// ROC curves.
    Roc(Pair<RocFigure>),
    /// Lines over the same quantities.
    Lines(Pair<LinesFigure>),
    /// Points over the same quantities.
    Scatter(Pair<ScatterFigure>),
}

impl Overlay {
    /// Puts two figures on the same axes; `None` for kinds that do not overlay, or axes that differ. `runs`: what the two
    /// are called.
    pub fn new(first: FigureData, second: FigureData, runs: (&str, &str)) -> Option<Self> {
        let of = first.meta();
        let mut caption =
            vec![format!("{} and {} on the same axes; the text below is that of {}.", runs.0, runs.1, runs.0)];
        caption.extend(of.caption.iter().cloned());
        let meta =
            Meta { name: format!("{}-both", of.name), alt: format!("{} and {}: {}", runs.0, runs.1, of.alt), caption };
        let runs = [runs.0.to_owned(), runs.1.to_owned()];
        match (first, second) {
            (FigureData::Roc(a), FigureData::Roc(b)) => Some(Self::Roc(Pair { meta, runs, figures: [a, b] })),
            (FigureData::Lines(a), FigureData::Lines(b)) => {
                let alike = |(x, y): (&LinesPanel, &LinesPanel)| (&x.title, &x.x, &x.y) == (&y.title, &y.x, &y.y);
                let same = a.panels.len() == b.panels.len() && a.panels.iter().zip(&b.panels).all(alike);
                same.then_some(Self::Lines(Pair { meta, runs, figures: [a, b] }))
            }
            (FigureData::Scatter(a), FigureData::Scatter(b)) => {
                let same = (&a.x, &a.y) == (&b.x, &b.y);
                same.then_some(Self::Scatter(Pair { meta, runs, figures: [a, b] }))
            }
            _ => None,
        }
    }

    /// Name, alternative text and caption.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Roc(pair) => &pair.meta,
            Self::Lines(pair) => &pair.meta,
            Self::Scatter(pair) => &pair.meta,
        }
    }

    /// The same without its small print, which then stands beside it.
    #[must_use]
    pub fn without_caption(mut self) -> Self {
        let meta = match &mut self {
            Self::Roc(pair) => &mut pair.meta,
            Self::Lines(pair) => &mut pair.meta,
            Self::Scatter(pair) => &mut pair.meta,
        };
        meta.caption.clear();
        self
    }
}
