//! Statistics of detection scores, all in `f64`.
//!
//! Everything starts from a [`ScoreSet`]: the scores of the memorized prompts (positives) and of the others
//! (negatives), checked once. Higher means more memorized; no score is ever flipped.

mod auc;
mod bootstrap;
mod conformal;
mod correlation;
mod delong;
mod error;
mod interval;
mod kde;
mod logistic;
mod multiple;
mod proportion;
mod random;
mod roc;
mod scores;
mod split;
mod statistic;
mod summary;
mod tail;
mod ties;
mod tpr;

pub use auc::auc;
pub use bootstrap::{Bootstrap, Difference, Estimate};
pub use conformal::{Calibration, Guarantee, UnknownGuarantee};
pub use correlation::{Concordance, kendall, spearman};
pub use delong::{DeLong, PairedTest};
pub use error::{Class, StatsError};
pub use interval::Interval;
pub use kde::{Kde, grid, kl_divergence, kl_on_grid};
pub use logistic::{Logistic, LogisticFit};
pub use multiple::{benjamini_hochberg, holm};
pub use proportion::proportion_interval;
pub use roc::{CollinearPoints, Roc};
pub use scores::ScoreSet;
pub use split::Split;
pub use statistic::Statistic;
pub use summary::{Ddof, Summary};
pub use tail::Tail;
pub use tpr::{TprRule, UnknownTprRule, best_accuracy, tpr_at_fpr};
