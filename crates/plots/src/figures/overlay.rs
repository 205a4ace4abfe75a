//! Two runs on the same axes: colour and marker say the detector, dashes or a ring the run.

use memscope_results::figures::{LinesFigure, Meta, Overlay, RocFigure, ScatterFigure};

use super::{lines, roc, scatter};
use crate::{Error, Figure, Scene, Theme};

impl Figure for Overlay {
    fn meta(&self) -> &Meta {
        self.meta()
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        match self {
            Self::Roc(pair) => {
                pair.figures.iter().try_for_each(RocFigure::checked)?;
                Ok(roc::draw(&pair.figures.each_ref(), &pair.runs, &pair.meta, theme))
            }
            Self::Lines(pair) => {
                pair.figures.iter().try_for_each(LinesFigure::checked)?;
                Ok(lines::draw(&pair.figures.each_ref(), &pair.runs, &pair.meta, theme))
            }
            Self::Scatter(pair) => {
                pair.figures.iter().try_for_each(ScatterFigure::checked)?;
                Ok(scatter::draw(&pair.figures.each_ref(), &pair.runs, &pair.meta, theme))
            }
        }
    }
}
