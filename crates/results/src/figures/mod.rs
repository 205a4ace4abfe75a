//! Figures as numbers: computed where results are made, written beside the picture, and all that drawing one needs.

mod axis;
mod bound;
mod check;
mod csv;
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

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use axis::{AxisSpec, Direction, Scale};
pub use bound::BoundFigure;
pub use check::FigureError;
pub use field::{FieldClass, FieldFigure, FieldPanel};
pub use histogram::ScoreHistogram;
pub use kde::{KdeFigure, KdePanel};
pub use lines::{LinesFigure, LinesPanel, Series};
pub use overlay::{Overlay, Pair};
pub use plane::{MarkedPoint, PlaneFigure};
pub use roc::{Band, RocCurve, RocFigure};
pub use scatter::{Guide, ScatterFigure, ScatterPoint};
pub use spectrum::{Spectrum, SpectrumFigure};
pub use tokens::{Token, TokenRow, TokenStrip};
pub use trade_off::{TradeOffFigure, TradeOffLine, TradeOffPanel, TradeOffPoint};

use crate::{
    error::{Error, Result},
    files,
};

/// What a figure carries besides its numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// File stem: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// One sentence that says what the figure shows, for readers who cannot see it.
    pub alt: String,
    /// Small print under the picture, one paragraph each: n, models, preset, hash, rules, grid, clipping.
    pub caption: Vec<String>,
}

/// Any figure's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FigureData {
    /// ROC curves of detectors.
    Roc(RocFigure),
    /// Histograms of a score.
    Histogram(ScoreHistogram),
    /// Histograms with kernel densities.
    Densities(KdeFigure),
    /// Lines over a common quantity.
    Lines(LinesFigure),
    /// Histograms of eigenvalues.
    Spectrum(SpectrumFigure),
    /// Two vector fields and their cosine.
    Field(FieldFigure),
    /// Two numbers of every detector.
    Scatter(ScatterFigure),
    /// A number over two weights.
    Plane(PlaneFigure),
    /// Tokens of prompts.
    Tokens(TokenStrip),
    /// Cosines against the bounds of Theorem 1.
    Bound(BoundFigure),
    /// Two numbers of the configurations of methods.
    TradeOff(TradeOffFigure),
}

macro_rules! each_kind {
    ($data:expr, $figure:ident => $value:expr) => {
        match $data {
            FigureData::Roc($figure) => $value,
            FigureData::Histogram($figure) => $value,
            FigureData::Densities($figure) => $value,
            FigureData::Lines($figure) => $value,
            FigureData::Spectrum($figure) => $value,
            FigureData::Field($figure) => $value,
            FigureData::Scatter($figure) => $value,
            FigureData::Plane($figure) => $value,
            FigureData::Tokens($figure) => $value,
            FigureData::Bound($figure) => $value,
            FigureData::TradeOff($figure) => $value,
        }
    };
}

impl FigureData {
    /// Name, alternative text and caption.
    pub fn meta(&self) -> &Meta {
        each_kind!(self, figure => &figure.meta)
    }

    /// The same figure without its small print, which then stands beside it.
    #[must_use]
    pub fn without_caption(mut self) -> Self {
        each_kind!(&mut self, figure => figure.meta.caption.clear());
        self
    }

    /// Whether it can be drawn, in bounded time and memory.
    ///
    /// # Errors
    /// [`FigureError`] with the figure and the field at fault.
    pub fn check(&self) -> std::result::Result<(), FigureError> {
        each_kind!(self, figure => figure.check())
    }

    /// The numbers as one long table in CSV: `part,series,x,y,low,high`. What the columns mean for a kind of figure says
    /// docs/results.md; cells that a kind does not use are empty.
    pub fn csv(&self) -> String {
        csv::write(self)
    }
}

macro_rules! into_data {
    ($($figure:ident => $kind:ident),+ $(,)?) => {
        $(impl From<$figure> for FigureData {
            fn from(figure: $figure) -> Self {
                Self::$kind(figure)
            }
        }

        impl $figure {
            /// Whether it can be drawn, in bounded time and memory.
            ///
            /// # Errors
            /// [`FigureError`] with the figure and the field at fault.
            pub fn checked(&self) -> std::result::Result<(), FigureError> {
                self.check()
            }
        })+
    };
}

into_data! {
    RocFigure => Roc,
    ScoreHistogram => Histogram,
    KdeFigure => Densities,
    LinesFigure => Lines,
    SpectrumFigure => Spectrum,
    FieldFigure => Field,
    ScatterFigure => Scatter,
    PlaneFigure => Plane,
    TokenStrip => Tokens,
    BoundFigure => Bound,
    TradeOffFigure => TradeOff,
}

/// The format that this version writes.
pub const FORMAT: u32 = 1;

/// Most bytes of a figure's file.
pub const LIMIT: u64 = 32 << 20;

/// The file beside a picture, from which it can be drawn again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FigureFile {
    /// Version of this structure, [`FORMAT`].
    pub format: u32,
    /// The command that makes it again.
    pub command: String,
    /// The numbers.
    pub figure: FigureData,
}

impl FigureFile {
    /// Reads and checks the file of a figure; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::Damaged`], also for a file that was written before figures kept their numbers, and
    /// [`Error::NewerFormat`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            #[serde(default)]
            format: u32,
        }
        let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
        match files::parse::<Versioned>(path, bytes)?.format {
            0 => return Err(damaged("it holds no numbers, as those of memscope 0.1.0 and earlier".into())),
            found if found > FORMAT => return Err(Error::NewerFormat { path: path.to_owned(), found, known: FORMAT }),
            _ => {}
        }
        let file: Self = files::parse(path, bytes)?;
        file.figure.check().map_err(|error| damaged(error.to_string()))?;
        Ok(file)
    }
}
