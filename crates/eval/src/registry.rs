//! The detectors by name.

use memscope_baselines::{Jeon, MemBench, Ren, SharpnessPower, Wen};
use memscope_metric::{Anisotropy, Detector, Gammas, ResolvedProtocol};
use memscope_model::LatentDiffusion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::paper::Method;

/// A detector that an experiment can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DetectorName {
    /// The paper's metric M.
    Anisotropy,
    /// The sharpness along the guidance direction (Jeon et al.).
    Jeon,
    /// The squared norm of the guidance direction at t = 999 (MemBench).
    Membench,
    /// The entropy of cross-attention at the first step (Ren et al., mode E).
    Ren,
    /// The norm of the guidance direction (Wen et al.).
    Wen,
}

impl DetectorName {
    /// All detectors, in the order tables list them.
    pub const ALL: &'static [Self] = &[Self::Ren, Self::Membench, Self::Wen, Self::Jeon, Self::Anisotropy];

    /// The detector under a protocol, for a model.
    pub fn build(
        self,
        protocol: ResolvedProtocol,
        gammas: Option<Gammas>,
        model: &LatentDiffusion,
    ) -> Box<dyn Detector> {
        match self {
            Self::Anisotropy => {
                let of_kind = || Gammas::of_table5(model.schedule().parameterization());
                Box::new(Anisotropy::new(protocol, gammas.unwrap_or_else(of_kind)))
            }
            Self::Jeon => Box::new(Jeon::new(SharpnessPower::Norm)),
            Self::Membench => Box::new(MemBench),
            Self::Ren => Box::new(Ren::for_layers(&model.unet().cross_attention_layers())),
            Self::Wen => Box::new(Wen::new(protocol)),
        }
    }

    /// How tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Anisotropy => "Anisotropy M",
            Self::Jeon => "Jeon sharpness",
            Self::Membench => "MemBench D",
            Self::Ren => "Ren entropy",
            Self::Wen => "Wen norm",
        }
    }

    /// The paper's row for it.
    pub fn paper_method(self) -> Option<Method> {
        match self {
            Self::Anisotropy => Some(Method::Ours),
            Self::Jeon => Some(Method::Jeon),
            Self::Membench => None,
            Self::Ren => Some(Method::Ren),
            Self::Wen => Some(Method::Wen),
        }
    }
}

impl std::fmt::Display for DetectorName {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(match self {
            Self::Anisotropy => "anisotropy",
            Self::Jeon => "jeon",
            Self::Membench => "membench",
            Self::Ren => "ren",
            Self::Wen => "wen",
        })
    }
}

/// A name that no detector has.
#[derive(Debug, thiserror::Error)]
#[error("there is no detector '{given}'; there are: {}", DetectorName::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
pub struct UnknownDetector {
    given: String,
}

impl std::str::FromStr for DetectorName {
    type Err = UnknownDetector;

    fn from_str(given: &str) -> Result<Self, UnknownDetector> {
        let found = Self::ALL.iter().copied().find(|name| name.to_string() == given);
        found.ok_or_else(|| UnknownDetector { given: given.to_owned() })
    }
}
