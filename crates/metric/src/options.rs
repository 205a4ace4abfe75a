//! The choices on which the paper's text, its released code and its published numbers differ
//! (docs/spec/protocol.md §9).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares a closed list of choices with the words used in YAML, columns and documentation.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All choices.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownChoice;

            fn from_str(given: &str) -> Result<Self, UnknownChoice> {
                Self::ALL.iter().copied().find(|choice| choice.to_string() == given).ok_or_else(|| UnknownChoice {
                    given: given.to_owned(),
                    choices: Self::ALL.iter().map(ToString::to_string).collect(),
                })
            }
        }
    };
}

/// A word that is none of the choices.
#[derive(Debug, thiserror::Error)]
#[error("'{given}' is unknown; choose one of: {}", choices.join(", "))]
pub struct UnknownChoice {
    given: String,
    choices: Vec<String>,
}

choices! {
    /// Which two vectors the cosine compares (paper, Table 2), p then q.
    CosineMode {
        /// u and c − u: the paper's M.
        UnconditionalDelta = "unconditional_delta",
        /// c and u.
        ConditionalUnconditional = "conditional_unconditional",
        /// c and c − u.
        ConditionalDelta = "conditional_delta",
    }
}

choices! {
    /// Over which elements a cosine is taken.
    CosineReduction {
        /// Over channels at each position, then averaged over positions: the released code.
        ChannelMean = "channel_mean",
        /// Over the whole flattened latent: Eq. 14.
        Flatten = "flatten",
    }
}

choices! {
    /// What a vector is before cosine or norm is taken.
    Space {
        /// The network's raw output, ε or v.
        ModelOutput = "model_output",
        /// The score ∇ log p = −ε/s.
        Score = "score",
        /// (a · output − x)/(1 − ᾱ), the released code's formula for its v branch (norm only).
        X0Formula = "x0_formula",
    }
}

choices! {
    /// How u and c are scaled before they are compared (paper, Table 4).
    Normalization {
        /// Not at all.
        None = "none",
        /// By the L1 norm of the whole latent.
        L1 = "l1",
        /// By the L2 norm of the whole latent.
        L2 = "l2",
        /// Each channel by its own L2 norm over positions (+ 1e-6).
        SpatialL2 = "spatial_l2",
    }
}

choices! {
    /// What the normalization acts on.
    NormalizationTarget {
        /// The cosine alone.
        Cosine = "cos",
        /// Cosine and norm.
        CosineAndNorm = "cos_and_norm",
    }
}

choices! {
    /// The arithmetic of noise, network outputs and metric.
    Numerics {
        /// Network in f32, statistics in f64.
        F32 = "f32",
        /// Noise and network outputs rounded to bf16 and every step of the metric rounded as the released
        /// code does on bf16 tensors (docs/spec/protocol.md §3.1). The network itself still runs in f32.
        Bf16Emulated = "bf16-emulated",
    }
}

choices! {
    /// The latent about which the network is asked.
    Input {
        /// Pure noise x_T, whatever the timestep: the paper's denoising-free shortcut.
        Noise = "noise",
        /// x_t of the prompt's own guided DDIM trajectory from x_T: what Theorem 1 speaks of.
        Trajectory = "trajectory",
    }
}

choices! {
    /// The format in which a prompt's scores (or, for M, its two parts) are kept before they are compared.
    ScoreStorage {
        /// As computed.
        Exact = "exact",
        /// Rounded to bf16 as the released code stores them, which makes ties.
        Bf16 = "bf16",
    }
}

choices! {
    /// Named sets of options.
    Preset {
        /// What most likely made the paper's Tables 1 to 3: t_cos = 1, channelwise cosine of the raw output.
        Table1 = "table1",
        /// The released code as it stands: t_cos = 41.
        Release = "release",
        /// The paper's Eq. 14 in exact arithmetic: flattened cosine and norm of scores.
        Equation14 = "equation14",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for mode in CosineMode::ALL {
            assert_eq!(mode.to_string().parse::<CosineMode>().unwrap(), *mode);
        }
        let error = "cosine".parse::<Numerics>().unwrap_err().to_string();
        assert_eq!(error, "'cosine' is unknown; choose one of: f32, bf16-emulated");
    }
}
