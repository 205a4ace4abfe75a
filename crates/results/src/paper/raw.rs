//! The shape of `data/paper.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::keys::{Component, CosinePair, Gammas, Method, Model, Normalization};
use super::number::{Footnotes, Hyperparameters, MitigationConfig, PaperCell, PaperNumber};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPaper {
    pub(super) edition: String,
    pub(super) hardware: String,
    pub(super) footnotes: BTreeMap<String, String>,
    pub(super) table1: Rows<MethodKey>,
    pub(super) table2: Rows<PairKey>,
    pub(super) table3: Rows<ComponentKey>,
    pub(super) table4_normalization: Rows<NormalizationKey>,
    pub(super) table4_timestep: Rows<TimestepKey>,
    pub(super) table5: Plain<RawHyperparameters>,
    pub(super) table6: Plain<RawMitigation>,
    pub(super) table7: Rows<GammasKey>,
    pub(super) table8: Rows<GenerationsKey>,
    pub(super) figure2: RawFigure2,
    pub(super) speedup_over_jeon: Plain<RawClaim>,
}

/// A table of detection results.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rows<K> {
    pub(super) source: String,
    pub(super) rows: Vec<Row<K>>,
}

/// A table of something else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plain<R> {
    pub(super) source: String,
    pub(super) rows: Vec<R>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row<K> {
    pub(super) key: K,
    pub(super) cell: RawCell,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCell {
    pub(super) auc: RawNumber,
    pub(super) tpr1: RawNumber,
    pub(super) time_s: Option<RawNumber>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNumber {
    value: f64,
    std: Option<f64>,
    #[serde(default = "three")]
    decimals: u8,
    #[serde(default)]
    quoted: bool,
    #[serde(default)]
    pub(super) footnotes: Vec<String>,
}

fn three() -> u8 {
    3
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MethodKey {
    pub(super) n: u32,
    pub(super) method: Method,
    pub(super) model: Model,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairKey {
    pub(super) n: u32,
    pub(super) pair: CosinePair,
    pub(super) model: Model,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ComponentKey {
    pub(super) n: u32,
    pub(super) component: Component,
    pub(super) model: Model,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NormalizationKey {
    pub(super) normalization: Normalization,
    pub(super) model: Model,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimestepKey {
    pub(super) t_cos: u32,
    pub(super) model: Model,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GammasKey {
    pub(super) n: u32,
    pub(super) gammas: Gammas,
    pub(super) model: Model,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerationsKey {
    pub(super) n: u32,
    pub(super) model: Model,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHyperparameters {
    pub(super) model: Model,
    gamma_cos: f64,
    gamma_norm: f64,
    seed: u64,
    guidance_scale: f64,
    inference_steps: u32,
    #[serde(default)]
    pub(super) footnotes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMitigation {
    pub(super) model: Model,
    pub(super) config: u32,
    n: u32,
    lr: f64,
    steps: u32,
    iterations: u32,
    target_loss: f64,
    guidance_scale: f64,
    #[serde(default)]
    pub(super) footnotes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFigure2 {
    pub(super) source: String,
    pub(super) kl_isotropy: RawNumber,
    pub(super) kl_anisotropy: RawNumber,
    pub(super) clip_anisotropy: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClaim {
    pub(super) key: GenerationsKey,
    pub(super) number: RawNumber,
}

impl RawNumber {
    pub(super) fn resolve<'a>(&self, source: &'a str, footnotes: Footnotes<'a>) -> PaperNumber<'a> {
        PaperNumber {
            value: self.value,
            std: self.std,
            decimals: self.decimals,
            quoted: self.quoted,
            source,
            footnotes: footnotes.resolve(&self.footnotes),
        }
    }
}

impl RawCell {
    pub(super) fn resolve<'a>(&self, source: &'a str, footnotes: Footnotes<'a>) -> PaperCell<'a> {
        PaperCell {
            auc: self.auc.resolve(source, footnotes),
            tpr1: self.tpr1.resolve(source, footnotes),
            time_s: self.time_s.as_ref().map(|time| time.resolve(source, footnotes)),
        }
    }
}

impl RawHyperparameters {
    pub(super) fn resolve<'a>(&self, source: &'a str, footnotes: Footnotes<'a>) -> Hyperparameters<'a> {
        Hyperparameters {
            gamma_cos: self.gamma_cos,
            gamma_norm: self.gamma_norm,
            seed: self.seed,
            guidance_scale: self.guidance_scale,
            inference_steps: self.inference_steps,
            source,
            footnotes: footnotes.resolve(&self.footnotes),
        }
    }
}

impl RawMitigation {
    pub(super) fn resolve<'a>(&self, source: &'a str, footnotes: Footnotes<'a>) -> MitigationConfig<'a> {
        MitigationConfig {
            n: self.n,
            lr: self.lr,
            steps: self.steps,
            iterations: self.iterations,
            target_loss: self.target_loss,
            guidance_scale: self.guidance_scale,
            source,
            footnotes: footnotes.resolve(&self.footnotes),
        }
    }
}
