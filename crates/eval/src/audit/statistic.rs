//! The statistics that an audit decides with (docs/spec/audit.md §2).

use std::{fmt, str::FromStr};

use crate::{prompts::PromptList, spec::DetectorName};

/// What an audit is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// A training picture for every prompt.
    pub pictures: bool,
    /// The model that was fine-tuned.
    pub base: bool,
}

/// A statistic; higher means more memorized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticName {
    /// mean log L_base − log L on the training picture.
    LossRatio,
    /// −mean log L on the training picture.
    Loss,
    /// mean log L_base − log L on what the model itself draws, with −mean log L as the second condition.
    SelfLossRatio,
    /// The score of a detector, averaged over seeds.
    Detector(DetectorName),
}

/// The detector where neither pictures nor a base are given: the highest AUC and TPR at 1 % FPR at four noises on both
/// embedded models (results/reference/detectors).
const DEFAULT_DETECTOR: DetectorName = DetectorName::Jeon;

impl StatisticName {
    /// The one for what is given.
    pub fn for_what_is_given(given: Given) -> Self {
        match given {
            Given { pictures: true, base: true } => Self::LossRatio,
            Given { pictures: true, base: false } => Self::Loss,
            Given { pictures: false, base: true } => Self::SelfLossRatio,
            Given { pictures: false, base: false } => Self::Detector(DEFAULT_DETECTOR),
        }
    }

    /// What it lacks, if anything.
    pub fn lacks(self, given: Given) -> Option<&'static str> {
        match self {
            Self::LossRatio | Self::Loss if !given.pictures => Some("training pictures (--pictures)"),
            Self::LossRatio | Self::SelfLossRatio if !given.base => {
                Some("the model that was fine-tuned (--base, or --lora on it)")
            }
            _ => None,
        }
    }

    /// Whether it asks the model that was fine-tuned.
    pub fn needs_base(self) -> bool {
        matches!(self, Self::LossRatio | Self::SelfLossRatio)
    }

    /// Whether every prompt is drawn for it.
    pub fn draws_all(self) -> bool {
        self == Self::SelfLossRatio
    }

    /// Whether it is about the training picture.
    pub fn is_of_pictures(self) -> bool {
        matches!(self, Self::LossRatio | Self::Loss)
    }

    /// What it is, in one sentence.
    pub fn says(self) -> String {
        match self {
            Self::LossRatio => "How much better the model denoises the training picture than the model it was made from: \
                                the mean of log L(base) − log L(model) over fixed timesteps and noises, the same for all."
                .into(),
            Self::Loss => "How well the model denoises the training picture: minus the mean log loss over fixed timesteps \
                           and noises, the same for all. Simple pictures are denoised well by every model."
                .into(),
            Self::SelfLossRatio => "How much better the model denoises its own pictures than the model it was made from \
                                    does, and how well it does so at all; a prompt must stand out in both."
                .into(),
            Self::Detector(name) => format!(
                "The score of the detector {name}, averaged over seeds; it needs no picture, and says least about a \
                 fine-tune: on LoRAs plain detectors can point the wrong way."
            ),
        }
    }
}

impl fmt::Display for StatisticName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::LossRatio => f.write_str("loss-ratio"),
            Self::Loss => f.write_str("loss"),
            Self::SelfLossRatio => f.write_str("self-loss-ratio"),
            Self::Detector(name) => name.fmt(f),
        }
    }
}

/// Not the name of a statistic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is no statistic; there are: loss-ratio, loss, self-loss-ratio, and the detectors {detectors}")]
pub struct UnknownStatistic {
    given: String,
    detectors: String,
}

impl FromStr for StatisticName {
    type Err = UnknownStatistic;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "loss-ratio" => return Ok(Self::LossRatio),
            "loss" => return Ok(Self::Loss),
            "self-loss-ratio" => return Ok(Self::SelfLossRatio),
            _ => {}
        }
        // Scores of a file are none that prompts of another list could have.
        let detectors = || DetectorName::ALL.iter().filter(|name| **name != DetectorName::File);
        match detectors().find(|name| name.as_str() == text) {
            Some(name) => Ok(Self::Detector(*name)),
            None => Err(UnknownStatistic {
                given: text.chars().take(40).collect(),
                detectors: detectors().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

impl Given {
    /// Whether every prompt of a list has a picture of the program.
    pub(super) fn embedded_pictures(list: &PromptList) -> bool {
        !list.prompts.is_empty() && list.prompts.iter().all(|prompt| prompt.image.is_some())
    }
}
