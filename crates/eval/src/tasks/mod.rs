//! The kinds of work, one file each: units, price and execution of a kind stand together.

mod detect;
mod gallery;
mod generate;
mod measurements;
mod mitigation;
mod picture;
mod picture_losses;
mod predictions;
mod timing;
mod tokens;

pub use detect::Detection;
pub(crate) use gallery::Gallery;
pub use generate::Generate;
pub use measurements::MeasurementPlan;
pub use mitigation::{
    JudgeFiles, Judging, Mitigations, PictureMetric, PictureMetrics, PictureNames, Place, PlannedMethod,
    TrainingPicture, TrainingPictures, UnitRecord, VERBATIM, is_verbatim,
};
pub use picture_losses::{CaptionedPicture, LossNoise, LossPicture, PictureLosses};
pub use predictions::{PREDICTION_INDEX, PredictionFile, PredictionIndex, Predictions};
pub use timing::TimedDetector;
pub(crate) use timing::Timing;
pub use tokens::{TokenGradients, TokenNorm};
