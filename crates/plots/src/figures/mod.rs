//! One file per figure: the numbers it takes and how they are laid out.

mod bound;
mod field;
mod histogram;
mod kde;
mod lines;
mod plane;
mod roc;
mod scatter;
mod spectrum;
mod tokens;

pub use bound::BoundFigure;
pub use field::{FieldFigure, FieldPanel};
pub use histogram::ScoreHistogram;
pub use kde::{KdeFigure, KdePanel};
pub use lines::{LinesFigure, LinesPanel, Series};
pub use plane::{MarkedPoint, PlaneFigure};
pub use roc::{Band, RocCurve, RocFigure};
pub use scatter::{Guide, ScatterFigure, ScatterPoint, pareto_front};
pub use spectrum::{Spectrum, SpectrumFigure};
pub use tokens::{Token, TokenRow, TokenStrip};
