//! The detectors by name, with the options of each.

use std::{fmt, path::Path};

use memscope_baselines::{Jeon, MemBench, Ren, RenMode, SharpnessPower, Wen};
use memscope_metric::{Anisotropy, Detector, Gammas, Protocol, ResolvedProtocol};
use memscope_model::{Blueprint, Parameterization};
use memscope_results::paper::{Method, PaperRow};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, value::MapAccessDeserializer},
};

use super::{
    file_path::FilePath,
    named::{self, Named},
};
use crate::error::{Error, Result};

/// Declares the detectors: name, title in tables, row of the paper, and the options that only this one has.
macro_rules! detectors {
    ($(
        $(#[doc = $doc:literal])+
        $Variant:ident / $Options:ident = $name:literal, title: $title:literal, paper: $paper:expr,
        options: { $($(#[doc = $field_doc:literal])+ $field:ident: $Type:ty,)* }
    )+) => {
        /// A detector that an experiment can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum DetectorName {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $Variant,)+
        }

        impl DetectorName {
            /// How tables call it.
            pub fn title(self) -> &'static str {
                match self { $(Self::$Variant => $title),+ }
            }

            /// The paper's row for it.
            pub fn paper_method(self) -> Option<Method> {
                match self { $(Self::$Variant => $paper),+ }
            }

            /// Its name in files and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$Variant => $name),+ }
            }
        }

        /// A detector of an experiment: its name, and what departs from its defaults.
        #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
        #[serde(tag = "name")]
        pub enum DetectorEntry {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $Variant($Options),)+
        }

        $(
            $(#[doc = $doc])+
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $Options {
                /// How tables call it; by default its own title.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub label: Option<String>,
                /// Options in place of the experiment's.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub protocol: Option<Protocol>,
                /// Only these of `noise.seeds`.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub seeds: Option<Vec<u64>>,
                /// The published row to print beside it, where the defaults do not say.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub paper: Option<PaperRow>,
                $($(#[doc = $field_doc])+
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$Type>,)*
            }
        )+

        impl DetectorEntry {
            /// Which detector it is.
            pub fn name(&self) -> DetectorName {
                match self { $(Self::$Variant(_) => DetectorName::$Variant),+ }
            }

            /// The label of its own.
            fn own_label(&self) -> Option<&String> {
                match self { $(Self::$Variant(options) => options.label.as_ref()),+ }
            }

            /// The options of its own in place of the experiment's.
            fn own_protocol(&self) -> Option<&Protocol> {
                match self { $(Self::$Variant(options) => options.protocol.as_ref()),+ }
            }

            /// The seeds it is restricted to.
            pub fn seeds(&self) -> Option<&[u64]> {
                match self { $(Self::$Variant(options) => options.seeds.as_deref()),+ }
            }

            /// The published row that is given.
            fn own_paper_row(&self) -> Option<PaperRow> {
                match self { $(Self::$Variant(options) => options.paper),+ }
            }

            /// The same restricted to some seeds, or to none.
            pub fn with_seeds(mut self, seeds: Option<Vec<u64>>) -> Self {
                match &mut self { $(Self::$Variant(options) => options.seeds = seeds),+ }
                self
            }

            /// The same under another label.
            pub fn with_label(mut self, label: &str) -> Self {
                match &mut self { $(Self::$Variant(options) => options.label = Some(label.to_owned())),+ }
                self
            }

            /// The same beside another published row.
            pub fn with_paper_row(mut self, paper: Option<PaperRow>) -> Self {
                match &mut self { $(Self::$Variant(options) => options.paper = paper),+ }
                self
            }

            fn read<'de, A: MapAccess<'de>>(name: DetectorName, options: A) -> std::result::Result<Self, A::Error> {
                let options = MapAccessDeserializer::new(options);
                match name { $(DetectorName::$Variant => $Options::deserialize(options).map(Self::$Variant)),+ }
            }
        }

        impl From<DetectorName> for DetectorEntry {
            fn from(name: DetectorName) -> Self {
                match name { $(DetectorName::$Variant => Self::$Variant($Options::default())),+ }
            }
        }
    };
}

detectors! {
    /// Ren et al.: the entropy of cross-attention.
    Ren / RenOptions = "ren", title: "Ren entropy", paper: Some(Method::Ren),
    options: {
        /// Mode E (denoising-free) or D (last steps of the trajectory).
        mode: RenMode,
        /// Mode E: the cross-attention layer, counted in forward order from 0.
        layer: usize,
    }
    /// MemBench: the squared norm of the guidance direction at t = 999.
    Membench / MembenchOptions = "membench", title: "MemBench D", paper: None,
    options: {}
    /// Wen et al.: the norm of the guidance direction.
    Wen / WenOptions = "wen", title: "Wen norm", paper: Some(Method::Wen),
    options: {
        /// Average over this many steps of the guided trajectory instead of asking about pure noise.
        steps: usize,
    }
    /// Jeon et al.: the sharpness along the guidance direction.
    Jeon / JeonOptions = "jeon", title: "Jeon sharpness", paper: Some(Method::Jeon),
    options: {
        /// The norm, as the released code averages it, or its square, the publication's formula.
        power: SharpnessPower,
    }
    /// The paper's metric M.
    Anisotropy / AnisotropyOptions = "anisotropy", title: "Anisotropy M", paper: Some(Method::Ours),
    options: {
        /// Weights of its two parts; by default those of the paper's Table 5 for the model's kind. A part with weight 0
        /// is not measured.
        gammas: Gammas,
    }
    /// Scores that another program computed: a table with the columns `prompt` and `score`, and where they are needed
    /// `seed`, `generation` (from 0) and `model`.
    File / FileOptions = "file", title: "Scores of a file", paper: None,
    options: {
        /// The table: .csv, .tsv, .jsonl, .json or .parquet.
        path: FilePath,
        /// Its column with the scores, higher means memorized; by default `score`.
        score: String,
    }
}

impl DetectorName {
    /// The detectors that ask a model: all but the scores of a file.
    pub const ALL: &'static [Self] = &[Self::Ren, Self::Membench, Self::Wen, Self::Jeon, Self::Anisotropy];
}

impl DetectorEntry {
    /// How tables call it.
    pub fn label(&self) -> String {
        self.own_label().cloned().unwrap_or_else(|| self.name().title().to_owned())
    }

    /// The published row beside it. A variant has none of its own accord: the published numbers are not its.
    pub fn paper_row(&self) -> Option<PaperRow> {
        let plain = DetectorEntry::from(self.name()).with_seeds(self.seeds().map(<[u64]>::to_vec));
        let of_method = || self.name().paper_method().filter(|_| *self == plain).map(PaperRow::Table1);
        self.own_paper_row().or_else(of_method)
    }

    /// The table and its column with the scores, of a detector that asks no model.
    pub fn score_file(&self) -> Option<(&Path, &str)> {
        match self {
            Self::File(options) => {
                let path = options.path.as_ref().map_or(Path::new(""), |path| &path.0);
                Some((path, options.score.as_deref().unwrap_or("score")))
            }
            _ => None,
        }
    }

    /// The experiment's options with this entry's in their place.
    pub fn protocol(&self, experiment: &Protocol) -> Protocol {
        self.own_protocol().map_or_else(|| experiment.clone(), |own| experiment.overridden_by(own))
    }

    /// The weights given for the anisotropy metric.
    pub fn own_gammas(&self) -> Option<Gammas> {
        match self {
            Self::Anisotropy(options) => options.gammas,
            _ => None,
        }
    }

    /// The weights of the anisotropy metric for a model's kind.
    pub fn gammas(&self, model: &Blueprint) -> Gammas {
        self.own_gammas().unwrap_or_else(|| Gammas::of_table5(model.schedule().parameterization()))
    }

    /// What is wrong with the combination of options, if anything.
    ///
    /// # Errors
    /// The reason, in the words of the file.
    pub fn check(&self) -> std::result::Result<(), String> {
        match self {
            Self::Anisotropy(options) if options.gammas.is_some_and(|g| g.cosine == 0.0 && g.norm == 0.0) => {
                Err(format!("'{}': one of the gammas must differ from 0", self.label()))
            }
            Self::Wen(options) if options.steps.is_some_and(|steps| steps == 0 || steps > 50) => {
                Err(format!("'{}': steps must lie in 1..=50", self.label()))
            }
            Self::Ren(options) if options.mode == Some(RenMode::D) && options.layer.is_some() => {
                Err(format!("'{}': mode D reads all layers; leave layer out", self.label()))
            }
            Self::File(options) if options.path.is_none() => {
                Err(format!("'{}': path is missing, e.g. {{name: file, path: mine.csv, label: Mine}}", self.label()))
            }
            Self::File(options) if options.protocol.is_some() => {
                Err(format!("'{}': scores of a file have no protocol", self.label()))
            }
            _ => Ok(()),
        }
    }

    /// The detector under a protocol, for a model.
    ///
    /// # Errors
    /// When the model lacks what the detector reads, and for scores of a file.
    pub fn build(&self, protocol: ResolvedProtocol, model: &Blueprint) -> Result<Box<dyn Detector>> {
        Ok(match self {
            Self::Anisotropy(_) => Box::new(Anisotropy::new(protocol, self.gammas(model))),
            Self::Jeon(options) => Box::new(Jeon::new(protocol, options.power.unwrap_or_default())),
            Self::File(_) => return Err(Error::internal("scores of a file are not measured")),
            Self::Membench(_) => Box::new(MemBench::new(protocol)),
            Self::Ren(options) => Box::new(Ren::new(model, protocol, options.mode.unwrap_or_default(), options.layer)?),
            Self::Wen(options) => match options.steps {
                None => Box::new(Wen::new(protocol)),
                Some(steps) => Box::new(Wen::along_trajectory(protocol, steps)),
            },
        })
    }
}

impl DetectorEntry {
    /// The detector under a protocol, for a kind of model, as a loss; `None` where its score has no gradient.
    pub fn differentiable(&self, protocol: ResolvedProtocol, kind: Parameterization) -> Option<Box<dyn Detector>> {
        match self {
            Self::Anisotropy(options) => {
                let gammas = options.gammas.unwrap_or_else(|| Gammas::of_table5(kind));
                Some(Box::new(Anisotropy::new(protocol, gammas)))
            }
            Self::Membench(_) => Some(Box::new(MemBench::new(protocol))),
            Self::Wen(WenOptions { steps: None, .. }) => Some(Box::new(Wen::new(protocol))),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for DetectorEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        named::read(deserializer)
    }
}

impl<'de> Named<'de> for DetectorEntry {
    type Name = DetectorName;

    const EXPECTED: &'static str = "a detector, e.g. {name: anisotropy}";

    fn read_options<A: MapAccess<'de>>(name: DetectorName, options: A) -> std::result::Result<Self, A::Error> {
        Self::read(name, options)
    }
}

impl fmt::Display for DetectorName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.as_str())
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
        let found = Self::ALL.iter().copied().find(|name| name.as_str() == given);
        found.ok_or_else(|| UnknownDetector { given: given.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_belong_to_one_detector_whatever_their_order() {
        let read = |yaml: &str| serde_yaml::from_str::<DetectorEntry>(yaml).map_err(|e| e.to_string());
        let entry = read("{name: wen, steps: 3, label: x}").unwrap();
        assert_eq!(read("{steps: 3, label: x, name: wen}").unwrap(), entry);
        assert_eq!(entry.label(), "x");
        let json = serde_json::to_value(&entry).unwrap();
        assert_eq!(serde_json::from_value::<DetectorEntry>(json).unwrap(), entry);
        for wrong in ["{name: wen, gammas: {cosine: 1, norm: 1}}", "{gammas: {cosine: 1, norm: 1}, name: wen}"] {
            let message = read(wrong).unwrap_err();
            assert!(message.contains("gammas") && message.contains("steps"), "{message}");
        }
        assert!(read("{label: x}").unwrap_err().contains("name"));
    }

    #[test]
    fn a_variant_has_no_published_row_of_its_own_accord() {
        let read = |yaml: &str| serde_yaml::from_str::<DetectorEntry>(yaml).unwrap().paper_row();
        assert_eq!(read("{name: jeon, seeds: [42]}"), Some(PaperRow::Table1(Method::Jeon)));
        assert_eq!(read("{name: jeon, power: square}"), None);
        assert_eq!(read("{name: jeon, label: x}"), None);
        assert_eq!(read("{name: membench}"), None);
    }
}
