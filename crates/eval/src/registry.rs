//! The detectors by name.

use memscope_baselines::{Jeon, MemBench, Ren, RenMode, SharpnessPower, Wen};
use memscope_metric::{Anisotropy, Detector, Gammas, Protocol, ResolvedProtocol};
use memscope_model::Blueprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    paper::{Method, PaperRow},
};

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
    /// The entropy of cross-attention (Ren et al.).
    Ren,
    /// The norm of the guidance direction (Wen et al.).
    Wen,
}

/// A detector of an experiment: a name, and what departs from its defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectorEntry {
    /// Which one.
    pub name: DetectorName,
    /// How tables call it; by default its own title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Options in place of the experiment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// anisotropy: weights of its two parts; by default those of the paper's Table 5 for the model's kind. A part
    /// with weight 0 is not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gammas: Option<Gammas>,
    /// jeon: the norm, as the released code averages it, or its square, the publication's formula.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<SharpnessPower>,
    /// ren: mode E (denoising-free) or D (last steps of the trajectory).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RenMode>,
    /// ren, mode E: the cross-attention layer, counted in forward order from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// wen: average over this many steps of the guided trajectory instead of asking about pure noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Only these of `noise.seeds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Vec<u64>>,
    /// The published row printed beside it; by default Table 1's row of the method, if no option departs from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<PaperRow>,
}

impl From<DetectorName> for DetectorEntry {
    fn from(name: DetectorName) -> Self {
        Self {
            name,
            label: None,
            protocol: None,
            gammas: None,
            power: None,
            mode: None,
            layer: None,
            steps: None,
            seeds: None,
            paper: None,
        }
    }
}

impl DetectorEntry {
    /// How tables call it.
    pub fn label(&self) -> String {
        self.label.clone().unwrap_or_else(|| self.name.title().to_owned())
    }

    /// The published row beside it. A variant has none of its own accord: the published numbers are not its.
    pub fn paper_row(&self) -> Option<PaperRow> {
        let options = [self.label.is_some(), self.protocol.is_some(), self.gammas.is_some(), self.steps.is_some()];
        let plain = !options.contains(&true) && self.layer.is_none() && self.mode.is_none() && self.power.is_none();
        self.paper.or_else(|| self.name.paper_method().filter(|_| plain).map(PaperRow::Table1))
    }

    /// The experiment's options with this entry's in their place.
    pub fn protocol(&self, experiment: &Protocol) -> Protocol {
        self.protocol.as_ref().map_or_else(|| experiment.clone(), |own| experiment.overridden_by(own))
    }

    /// What is wrong with the combination of fields, if anything.
    pub fn check(&self) -> std::result::Result<(), String> {
        let allowed = |field: &str, given: bool, of: DetectorName| match given && self.name != of {
            true => Err(format!("'{}' has no {field}; it belongs to {of}", self.name)),
            false => Ok(()),
        };
        allowed("gammas", self.gammas.is_some(), DetectorName::Anisotropy)?;
        allowed("power", self.power.is_some(), DetectorName::Jeon)?;
        allowed("mode", self.mode.is_some(), DetectorName::Ren)?;
        allowed("layer", self.layer.is_some(), DetectorName::Ren)?;
        allowed("steps", self.steps.is_some(), DetectorName::Wen)?;
        if self.gammas.is_some_and(|g| g.cosine == 0.0 && g.norm == 0.0) {
            return Err(format!("'{}': one of the gammas must differ from 0", self.label()));
        }
        if self.steps.is_some_and(|steps| steps == 0 || steps > 50) {
            return Err(format!("'{}': steps must lie in 1..=50", self.label()));
        }
        if self.mode == Some(RenMode::D) && self.layer.is_some() {
            return Err(format!("'{}': mode D reads all layers; leave layer out", self.label()));
        }
        Ok(())
    }

    /// The weights of the anisotropy metric for a model's kind.
    pub fn gammas(&self, model: &Blueprint) -> Gammas {
        self.gammas.unwrap_or_else(|| Gammas::of_table5(model.schedule().parameterization()))
    }

    /// The detector under a protocol, for a model.
    pub fn build(&self, protocol: ResolvedProtocol, model: &Blueprint) -> Result<Box<dyn Detector>> {
        Ok(match self.name {
            DetectorName::Anisotropy => Box::new(Anisotropy::new(protocol, self.gammas(model))),
            DetectorName::Jeon => Box::new(Jeon::new(protocol, self.power.unwrap_or_default())),
            DetectorName::Membench => Box::new(MemBench::new(protocol)),
            DetectorName::Ren => Box::new(Ren::new(model, protocol, self.mode.unwrap_or_default(), self.layer)?),
            DetectorName::Wen => match self.steps {
                None => Box::new(Wen::new(protocol)),
                Some(steps) => Box::new(Wen::along_trajectory(protocol, steps)),
            },
        })
    }
}

impl DetectorName {
    /// All detectors, in the order tables list them.
    pub const ALL: &'static [Self] = &[Self::Ren, Self::Membench, Self::Wen, Self::Jeon, Self::Anisotropy];

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

    fn from_str(given: &str) -> std::result::Result<Self, UnknownDetector> {
        let found = Self::ALL.iter().copied().find(|name| name.to_string() == given);
        found.ok_or_else(|| UnknownDetector { given: given.to_owned() })
    }
}
