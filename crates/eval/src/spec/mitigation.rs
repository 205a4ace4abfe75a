//! The mitigations by name, with the options of each, and what an experiment asks of them.

use std::{fmt, path::PathBuf};

use memscope_metric::{Gammas, Protocol};
use memscope_mitigation::{
    BatchWise, EmbeddingSettings, Han, Jain, Mitigation, Padding, PaddingMode, PerSample, RandomTokens, Release, Ren,
    Rows, Sail, TokenStyle, Tokens, Unmitigated, anisotropy, detector, wen,
};
use memscope_model::{Blueprint, Parameterization, Sampling};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, value::MapAccessDeserializer},
};

use super::{
    DetectorEntry, limits,
    named::{self, Named},
};
use crate::{
    error::{Error, Result},
    paper::{Model as PaperModel, paper},
};

/// Pictures of mitigated prompts, and what is said about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MitigationSettings {
    /// The methods to compare, in table order.
    pub methods: Vec<MitigationEntry>,
    /// Prompts of the memorized class, spread evenly over its list; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "limits::mitigated_prompts")]
    pub prompts: Option<usize>,
    /// Pictures per prompt and seed, from the same noises for every method; MemBench draws 10.
    #[serde(default = "default_images", deserialize_with = "limits::mitigated_images")]
    pub images: usize,
    /// DDIM steps.
    #[serde(default = "default_steps", deserialize_with = "limits::sampling_steps")]
    pub steps: usize,
    /// Guidance scale.
    #[serde(default = "default_guidance")]
    pub guidance: f64,
    /// What looks at the pictures beside their pixels; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judges: Option<JudgeSource>,
    /// Folder with the training pictures of prompts that are not embedded: PNG files and `pictures.csv` with the columns
    /// `prompt` and `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_pictures: Option<PathBuf>,
    /// Contact sheets for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheets: Option<SheetSettings>,
}

fn default_images() -> usize {
    4
}

fn default_steps() -> usize {
    Sampling::default().steps
}

fn default_guidance() -> f64 {
    Sampling::default().guidance
}

/// Contact sheets: a row for a prompt and a noise, with the training picture and a picture of every method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SheetSettings {
    /// Prompts, the first of the experiment's.
    #[serde(deserialize_with = "limits::gallery_prompts")]
    pub prompts: usize,
    /// Noises of each, the first of its pictures.
    #[serde(deserialize_with = "limits::gallery_images")]
    pub noises: usize,
}

/// Where judges come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JudgeSource {
    /// Those that are part of the program, if this version has some.
    Embedded,
    /// A folder with the files of published judges.
    Folder(PathBuf),
}

impl MitigationSettings {
    /// Steps and guidance.
    pub fn sampling(&self) -> Sampling {
        Sampling { steps: self.steps, guidance: self.guidance }
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// The reason, in the words of the file.
    pub(super) fn check(&self, protocol: &Protocol) -> std::result::Result<(), String> {
        if self.methods.is_empty() {
            return Err("methods: give at least one".into());
        }
        let labels: Vec<String> = self.methods.iter().map(MitigationEntry::label).collect();
        if let Some(again) = labels.iter().enumerate().find(|(i, label)| labels[..*i].contains(label)) {
            return Err(format!("methods: '{}' is repeated; give each a label", again.1));
        }
        if !self.guidance.is_finite() {
            return Err(format!("guidance: {} is not a number", self.guidance));
        }
        for (entry, kind) in self.methods.iter().flat_map(|entry| Parameterization::ALL.map(|kind| (entry, kind))) {
            let fail = |reason: String| format!("methods: '{}': {reason}", entry.label());
            entry.plan(protocol, kind).map(|_| ()).map_err(|e| fail(e.to_string()))?;
        }
        Ok(())
    }
}

/// Declares the mitigations: name, title in tables, and the options that only this one has.
macro_rules! mitigations {
    ($(
        $(#[doc = $doc:literal])+
        $Variant:ident / $Options:ident = $name:literal, title: $title:literal,
        options: { $($(#[doc = $field_doc:literal])+ $field:ident: $Type:ty,)* }
    )+) => {
        /// A mitigation that an experiment can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum MitigationName {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $Variant,)+
        }

        impl MitigationName {
            /// All mitigations.
            pub const ALL: &'static [Self] = &[$(Self::$Variant),+];

            /// How tables call it.
            pub fn title(self) -> &'static str {
                match self { $(Self::$Variant => $title),+ }
            }

            /// Its name in files and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$Variant => $name),+ }
            }
        }

        /// A mitigation of an experiment: its name, and what departs from its defaults.
        #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
        #[serde(tag = "name")]
        pub enum MitigationEntry {
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
                /// The line of the trade-off figure that it belongs to; by default the method's.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub line: Option<String>,
                $($(#[doc = $field_doc])+
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$Type>,)*
            }
        )+

        impl MitigationEntry {
            /// Which mitigation it is.
            pub fn name(&self) -> MitigationName {
                match self { $(Self::$Variant(_) => MitigationName::$Variant),+ }
            }

            fn own_label(&self) -> Option<&String> {
                match self { $(Self::$Variant(options) => options.label.as_ref()),+ }
            }

            fn own_line(&self) -> Option<&String> {
                match self { $(Self::$Variant(options) => options.line.as_ref()),+ }
            }
        }

        impl<'de> Named<'de> for MitigationEntry {
            type Name = MitigationName;

            const EXPECTED: &'static str = "a mitigation, e.g. {name: wen}";

            fn read_options<A: MapAccess<'de>>(
                name: MitigationName,
                options: A,
            ) -> std::result::Result<Self, A::Error> {
                let options = MapAccessDeserializer::new(options);
                match name { $(MitigationName::$Variant => $Options::deserialize(options).map(Self::$Variant)),+ }
            }
        }
    };
}

mitigations! {
    /// The prompt as it is.
    None / NoneOptions = "none", title: "None",
    options: {}
    /// Wen et al.: the norm of the guidance direction is lowered by the prompt embedding.
    Wen / WenMitigationOptions = "wen", title: "Wen",
    options: {
        /// AdamW's learning rate; 0.05.
        learning_rate: f64,
        /// Steps at most; 10.
        iterations: usize,
        /// Loss at which it stops; it grows with the root of the batch. None by default.
        target: f64,
        /// Latents of the loss, the first that are drawn; by default all.
        batch: usize,
        /// AdamW's weight decay; 0.01.
        weight_decay: f64,
    }
    /// The paper: M is lowered by the prompt embedding (Eq. 15).
    Anisotropy / AnisotropyMitigationOptions = "anisotropy", title: "Anisotropy M",
    options: {
        /// Configuration of the paper's Table 6 for the model's kind, 1 (strongest) to 5; 1 by default. Options below take
        /// the place of its numbers.
        config: u32,
        /// AdamW's learning rate.
        learning_rate: f64,
        /// Steps at most.
        iterations: usize,
        /// Loss at which it stops.
        target: f64,
        /// Latents of the loss, the first that are drawn.
        batch: usize,
        /// AdamW's weight decay; 0.01.
        weight_decay: f64,
        /// Weights of M's two parts; by default those of the paper's Table 5 for the model's kind.
        gammas: Gammas,
        /// Options in place of the experiment's.
        protocol: Protocol,
    }
    /// Any detector's score is lowered by the prompt embedding, if it has a gradient.
    Detector / DetectorMitigationOptions = "detector", title: "Detector as loss",
    options: {
        /// The detector, e.g. {name: membench}.
        loss: DetectorEntry,
        /// AdamW's learning rate; 0.05.
        learning_rate: f64,
        /// Steps at most; 10.
        iterations: usize,
        /// Score at which it stops; none by default.
        target: f64,
        /// Latents of the loss, the first that are drawn; by default all.
        batch: usize,
        /// AdamW's weight decay; 0.01.
        weight_decay: f64,
    }
    /// Jeon et al., SAIL: latents of low sharpness are searched.
    Jeon / JeonMitigationOptions = "jeon", title: "Jeon SAIL",
    options: {
        /// Latents at a time; 8.
        budget: usize,
        /// Adam's learning rate; 0.05.
        learning_rate: f64,
        /// Steps in a round; 10.
        steps: usize,
        /// Loss at which a latent is kept; 8.2, which is for Stable Diffusion 1.4.
        threshold: f64,
        /// Weight of the latent's length; 0.05 for ε-models, 0.01 for v-models.
        penalty: f64,
        /// Rounds at most; 6.
        rounds: usize,
        /// The publication's procedure (cleaned) or the released code's (exact).
        release: Release,
    }
    /// Han et al.: the initial noise is adjusted.
    Han / HanOptions = "han", title: "Han",
    options: {
        /// All latents by one rule, or each until it is done.
        mode: HanMode,
        /// Updates or steps at most; 2 (batch_wise), 10 (per_sample).
        iterations: usize,
        /// batch_wise: length of the step along c - u; 50.
        rho: f64,
        /// batch_wise: length of the update; 0.7.
        gamma: f64,
        /// batch_wise: first steps without guidance; 5.
        unguided_steps: usize,
        /// per_sample: AdamW's learning rate; 0.01.
        learning_rate: f64,
        /// per_sample: norm of c - u at which a latent is done; 0.9.
        target: f64,
    }
    /// Ren et al.: cross-attention is rescaled and masked.
    Ren / RenMitigationOptions = "ren", title: "Ren",
    options: {
        /// Factor on the logits of the start of the text; 1.25.
        factor: f64,
        /// Tokens that stay: through_end (with the end of the text) or before_end.
        tokens: Tokens,
        /// Rows that are rescaled: conditional, or odd_as_released.
        rows: Rows,
    }
    /// Jain et al.: guidance begins later.
    Jain / JainOptions = "jain", title: "Jain",
    options: {
        /// static, dynamic or opposite_dynamic.
        mode: JainMode,
        /// static: guidance until then; 0, or a negative number for opposite guidance.
        before: f64,
        /// static: the timestep t*; 500.
        timestep: usize,
    }
    /// Padding tokens replaced or masked.
    Padding / PaddingOptions = "padding", title: "Padding tokens",
    options: {
        /// empty_prompt or mask.
        mode: PaddingMode,
    }
    /// Somepalli et al.: random tokens are put into the prompt.
    RandomTokens / RandomTokensOptions = "random_tokens", title: "Random tokens",
    options: {
        /// token, number or word.
        style: TokenStyle,
        /// How many; 4.
        insertions: usize,
    }
}

/// Which of Han's two methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HanMode {
    /// All latents, by the same rule, without gradient.
    #[default]
    BatchWise,
    /// AdamW on each latent.
    PerSample,
}

/// Which of Jain's methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JainMode {
    /// At a timestep.
    #[default]
    Static,
    /// At the first local minimum of the norm of c - u.
    Dynamic,
    /// With the opposite sign before a transition that a first pass finds.
    OppositeDynamic,
}

/// Insertions of random tokens where none are given: the published function's.
const INSERTIONS: usize = 4;

impl MitigationEntry {
    /// How tables call it.
    pub fn label(&self) -> String {
        self.own_label().cloned().unwrap_or_else(|| self.name().title().to_owned())
    }

    /// The line of the trade-off figure that it belongs to.
    pub fn line(&self) -> String {
        self.own_line().cloned().unwrap_or_else(|| self.name().title().to_owned())
    }

    /// The configuration of Table 6 that it uses as it stands, if it does.
    pub fn table6_config(&self) -> Option<u32> {
        let Self::Anisotropy(options) = self else { return None };
        let plain = AnisotropyMitigationOptions {
            label: options.label.clone(),
            line: options.line.clone(),
            config: options.config,
            ..AnisotropyMitigationOptions::default()
        };
        (*options == plain).then(|| options.config.unwrap_or(1))
    }

    /// The mitigation for a model; `protocol` is the experiment's.
    ///
    /// # Errors
    /// When an option is out of range, or the model lacks what the method needs.
    pub fn build(&self, protocol: &Protocol, model: &Blueprint) -> Result<Box<dyn Mitigation>> {
        let method = self.plan(protocol, model.schedule().parameterization())?;
        method.check(model)?;
        Ok(method)
    }

    fn plan(&self, protocol: &Protocol, kind: Parameterization) -> Result<Box<dyn Mitigation>> {
        Ok(match self {
            Self::None(_) => Box::new(Unmitigated),
            Self::Wen(o) => Box::new(wen(EmbeddingSettings {
                learning_rate: o.learning_rate.unwrap_or(EmbeddingSettings::default().learning_rate),
                iterations: o.iterations.unwrap_or(EmbeddingSettings::default().iterations),
                target: o.target,
                batch: o.batch,
                weight_decay: o.weight_decay.unwrap_or(EmbeddingSettings::default().weight_decay),
            })?),
            Self::Anisotropy(options) => {
                let protocol = options.protocol.as_ref().map_or_else(|| protocol.clone(), |own| protocol.overridden_by(own));
                let gammas = options.gammas.unwrap_or_else(|| Gammas::of_table5(kind));
                Box::new(anisotropy(protocol.resolve(kind)?, gammas, options.settings(kind)?)?)
            }
            Self::Detector(o) => {
                let Some(entry) = &o.loss else { return Err(setting("loss: name a detector, e.g. {name: membench}")) };
                let own = entry.protocol(protocol).resolve(kind)?;
                let settings = EmbeddingSettings {
                    learning_rate: o.learning_rate.unwrap_or(EmbeddingSettings::default().learning_rate),
                    iterations: o.iterations.unwrap_or(EmbeddingSettings::default().iterations),
                    target: o.target,
                    batch: o.batch,
                    weight_decay: o.weight_decay.unwrap_or(EmbeddingSettings::default().weight_decay),
                };
                Box::new(detector(entry.differentiable(own, kind).ok_or_else(no_gradient)?.as_ref(), settings)?)
            }
            Self::Jeon(options) => Box::new(options.sail().checked()?),
            Self::Han(options) => Box::new(options.han()?.checked()?),
            Self::Ren(o) => Box::new(Ren::new(
                o.factor.unwrap_or(Ren::FACTOR),
                o.tokens.unwrap_or_default(),
                o.rows.unwrap_or_default(),
            )?),
            Self::Jain(options) => Box::new(options.jain()?.checked()?),
            Self::Padding(options) => Box::new(Padding { mode: options.mode.unwrap_or_default() }),
            Self::RandomTokens(o) => {
                Box::new(RandomTokens::new(o.style.unwrap_or_default(), o.insertions.unwrap_or(INSERTIONS))?)
            }
        })
    }
}

fn setting(reason: &str) -> Error {
    Error::Experiment { file: "mitigation".into(), reason: reason.to_owned() }
}

fn no_gradient() -> Error {
    setting("loss: this detector has no gradient here; wen, membench and anisotropy have one")
}

impl AnisotropyMitigationOptions {
    fn settings(&self, kind: Parameterization) -> Result<EmbeddingSettings> {
        let model = match kind {
            Parameterization::Epsilon => PaperModel::Sd14,
            Parameterization::V => PaperModel::Sd20,
        };
        let row = paper().table6(model, self.config.unwrap_or(1));
        let row = row.ok_or_else(|| setting("config must be 1, 2, 3, 4 or 5, a row of the paper's Table 6"))?;
        Ok(EmbeddingSettings {
            learning_rate: self.learning_rate.unwrap_or(row.lr),
            iterations: self.iterations.unwrap_or(row.iterations as usize),
            target: self.target.or(Some(row.target_loss)),
            batch: self.batch.or(Some(row.n as usize)),
            weight_decay: self.weight_decay.unwrap_or(EmbeddingSettings::default().weight_decay),
        })
    }
}

impl JeonMitigationOptions {
    fn sail(&self) -> Sail {
        let default = Sail::default();
        Sail {
            budget: self.budget.unwrap_or(default.budget),
            learning_rate: self.learning_rate.unwrap_or(default.learning_rate),
            steps: self.steps.unwrap_or(default.steps),
            threshold: self.threshold.unwrap_or(default.threshold),
            penalty: self.penalty,
            rounds: self.rounds.unwrap_or(default.rounds),
            release: self.release.unwrap_or_default(),
        }
    }
}

impl HanOptions {
    fn han(&self) -> Result<Han> {
        let foreign = match self.mode.unwrap_or_default() {
            HanMode::BatchWise => [self.learning_rate.map(|_| "learning_rate"), self.target.map(|_| "target"), None],
            HanMode::PerSample => [
                self.rho.map(|_| "rho"),
                self.gamma.map(|_| "gamma"),
                self.unguided_steps.map(|_| "unguided_steps"),
            ],
        };
        if let Some(option) = foreign.into_iter().flatten().next() {
            return Err(setting(&format!("{option} belongs to the other mode of han")));
        }
        Ok(match self.mode.unwrap_or_default() {
            HanMode::BatchWise => {
                let default = BatchWise::default();
                Han::BatchWise(BatchWise {
                    rho: self.rho.unwrap_or(default.rho),
                    gamma: self.gamma.unwrap_or(default.gamma),
                    iterations: self.iterations.unwrap_or(default.iterations),
                    unguided_steps: self.unguided_steps.unwrap_or(default.unguided_steps),
                })
            }
            HanMode::PerSample => {
                let default = PerSample::default();
                Han::PerSample(PerSample {
                    learning_rate: self.learning_rate.unwrap_or(default.learning_rate),
                    target: self.target.unwrap_or(default.target),
                    iterations: self.iterations.unwrap_or(default.iterations),
                })
            }
        })
    }
}

impl JainOptions {
    fn jain(&self) -> Result<Jain> {
        let mode = self.mode.unwrap_or_default();
        if mode != JainMode::Static && (self.before.is_some() || self.timestep.is_some()) {
            return Err(setting("before and timestep belong to mode: static of jain"));
        }
        Ok(match mode {
            JainMode::Static => {
                Jain::Static { before: self.before.unwrap_or(0.0), timestep: self.timestep.unwrap_or(500) }
            }
            JainMode::Dynamic => Jain::Dynamic,
            JainMode::OppositeDynamic => Jain::OppositeDynamic,
        })
    }
}

impl<'de> Deserialize<'de> for MitigationEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        named::read(deserializer)
    }
}

impl fmt::Display for MitigationName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no mitigation.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; write a name ({}) or options, e.g. '{{name: wen, iterations: 10}}'", MitigationName::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
pub struct UnknownMitigation {
    reason: String,
}

/// Reads a mitigation as a command line names it: `wen`, or `{name: wen, iterations: 10}`.
///
/// # Errors
/// When there is no such mitigation or option.
pub fn entry_of_text(text: &str) -> std::result::Result<MitigationEntry, UnknownMitigation> {
    let yaml = if text.trim_start().starts_with('{') { text.to_owned() } else { format!("{{name: {text}}}") };
    serde_yaml::from_str(&yaml).map_err(|e| UnknownMitigation { reason: e.to_string().lines().next().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(yaml: &str, kind: Parameterization) -> String {
        let entry: MitigationEntry = serde_yaml::from_str(yaml).unwrap();
        entry.plan(&Protocol::default(), kind).map_or_else(|e| format!("error: {e}"), |method| method.id())
    }

    #[test]
    fn configurations_of_table_6_are_those_of_the_models_kind() {
        let (eps, v) = (Parameterization::Epsilon, Parameterization::V);
        assert!(id("{name: anisotropy, config: 2}", eps).ends_with("lr=0.05/iterations=50/target=-0.4/batch=1/decay=0.01"));
        assert!(id("{name: anisotropy, config: 5}", v).ends_with("lr=0.05/iterations=1/target=-1/batch=1/decay=0.01"));
        assert!(id("{name: anisotropy, iterations: 7}", eps).contains("iterations=7/target=-1/"));
        assert!(id("{name: anisotropy, config: 6}", eps).starts_with("error: "));
        let config = |yaml: &str| serde_yaml::from_str::<MitigationEntry>(yaml).unwrap().table6_config();
        assert_eq!(config("{name: anisotropy, label: x, config: 3}"), Some(3));
        assert_eq!(config("{name: anisotropy, config: 3, iterations: 2}"), None);
        assert_eq!(config("{name: wen}"), None);
    }

    #[test]
    fn every_method_has_defaults_and_an_id_of_its_own() {
        let loss = "{name: detector, loss: {name: membench}}";
        let mut ids: Vec<String> = MitigationName::ALL
            .iter()
            .map(|name| match name {
                MitigationName::Detector => id(loss, Parameterization::V),
                name => id(&format!("{{name: {name}}}"), Parameterization::V),
            })
            .collect();
        assert!(ids.iter().all(|id| !id.starts_with("error")), "{ids:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), MitigationName::ALL.len());
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (yaml, reason) in [
            ("{name: detector}", "loss"),
            ("{name: detector, loss: {name: jeon}}", "gradient"),
            ("{name: wen, iterations: 0}", "iterations"),
            ("{name: han, mode: per_sample, rho: 1}", "rho"),
            ("{name: jain, mode: dynamic, before: 1}", "static"),
            ("{name: random_tokens, insertions: 0}", "insertions"),
            ("{name: anisotropy, protocol: {input: trajectory}}", "input: noise"),
        ] {
            let message = id(yaml, Parameterization::Epsilon);
            assert!(message.starts_with("error") && message.contains(reason), "{yaml}: {message}");
        }
        for yaml in ["{name: ren, rho: 1}", "{name: ran}"] {
            assert!(serde_yaml::from_str::<MitigationEntry>(yaml).is_err(), "{yaml}");
        }
        assert_eq!(entry_of_text("wen").unwrap().name(), MitigationName::Wen);
        assert_eq!(entry_of_text("{label: x, name: ren}").unwrap().label(), "x");
        assert!(entry_of_text("mask").unwrap_err().to_string().contains("random_tokens"));
    }
}
