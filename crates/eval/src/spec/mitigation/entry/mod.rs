//! The mitigations by name, with the options of each.

mod build;

use std::fmt;

use memscope_metric::{Gammas, Protocol};
use memscope_mitigation::{PaddingMode, Release, Rows, TokenStyle, Tokens};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, value::MapAccessDeserializer},
};

use super::super::{
    DetectorEntry,
    named::{self, Named},
};

impl MitigationEntry {
    /// No mitigation: the prompt as it is.
    pub fn none() -> Self {
        Self::None(NoneOptions::default())
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
    serde_yaml::from_str(&yaml)
        .map_err(|e| UnknownMitigation { reason: e.to_string().lines().next().unwrap_or_default().to_owned() })
}
