//! The published numbers of the paper, arXiv 2601.20642, typed.
//!
//! They come from `data/paper.yaml`, which is embedded. Each number knows the table it stands in, whether the paper
//! measured or quoted it, and footnotes where the paper contradicts itself or cannot be taken literally
//! (docs/spec/evaluation.md §4).

mod keys;
mod number;
mod raw;

use std::sync::LazyLock;

pub use keys::{Component, CosinePair, Gammas, Method, Model, Normalization, PaperRow};
pub use number::{Hyperparameters, MitigationConfig, PaperCell, PaperNumber};

use number::Footnotes;
use raw::{ComponentKey, GammasKey, GenerationsKey, MethodKey, NormalizationKey, PairKey, RawPaper, Rows, TimestepKey};

static PAPER: LazyLock<Paper> = LazyLock::new(|| {
    let text = include_str!("../../../../data/paper.yaml");
    // Not input: the file is part of the program, and a test reads it.
    Paper::parse(text).expect("data/paper.yaml is well-formed")
});

/// The published numbers.
pub fn paper() -> &'static Paper {
    &PAPER
}

/// All tables of the paper. `n` is the number of generations per prompt, 1 or 4.
#[derive(Debug)]
pub struct Paper {
    raw: RawPaper,
}

impl Paper {
    fn parse(text: &str) -> Result<Self, serde_yaml::Error> {
        serde_yaml::from_str(text).map(|raw| Self { raw })
    }

    /// The edition the numbers were read from.
    pub fn edition(&self) -> &str {
        &self.raw.edition
    }

    /// The machine that the paper's times are from.
    pub fn hardware(&self) -> &str {
        &self.raw.hardware
    }

    /// A row of a detection table.
    pub fn row(&self, model: Model, n: u32, row: PaperRow) -> Option<PaperCell<'_>> {
        match row {
            PaperRow::Table1(method) => self.table1(model, n, method),
            PaperRow::Table2(pair) => self.table2(model, n, pair),
            PaperRow::Table3(component) => self.table3(model, n, component),
            PaperRow::Table4Normalization(normalization) if n == 1 => self.table4_normalization(model, normalization),
            PaperRow::Table4Timestep(t_cos) if n == 1 => self.table4_timestep(model, t_cos),
            PaperRow::Table7(gammas) => self.table7(model, n, gammas),
            PaperRow::Table8 if model == Model::Rv51 => self.table8(n),
            PaperRow::Table4Normalization(_) | PaperRow::Table4Timestep(_) | PaperRow::Table8 => None,
        }
    }

    /// Table 1: detection by method.
    pub fn table1(&self, model: Model, n: u32, method: Method) -> Option<PaperCell<'_>> {
        self.find(&self.raw.table1, &MethodKey { n, method, model })
    }

    /// Table 2: the metric with each cosine.
    pub fn table2(&self, model: Model, n: u32, pair: CosinePair) -> Option<PaperCell<'_>> {
        self.find(&self.raw.table2, &PairKey { n, pair, model })
    }

    /// Table 3: the parts of the metric.
    pub fn table3(&self, model: Model, n: u32, component: Component) -> Option<PaperCell<'_>> {
        self.find(&self.raw.table3, &ComponentKey { n, component, model })
    }

    /// Table 4, upper part (n = 1): normalisations.
    pub fn table4_normalization(&self, model: Model, normalization: Normalization) -> Option<PaperCell<'_>> {
        self.find(&self.raw.table4_normalization, &NormalizationKey { normalization, model })
    }

    /// Table 4, lower part (n = 1): the training timestep `t_cos` of the cosine, 1, 21 or 41 (the paper's DDIM
    /// timesteps 1, 2, 3).
    pub fn table4_timestep(&self, model: Model, t_cos: u32) -> Option<PaperCell<'_>> {
        self.find(&self.raw.table4_timestep, &TimestepKey { t_cos, model })
    }

    /// Table 5: hyperparameters of detection.
    pub fn table5(&self, model: Model) -> Option<Hyperparameters<'_>> {
        let table = &self.raw.table5;
        let row = table.rows.iter().find(|row| row.model == model)?;
        Some(row.resolve(&table.source, self.footnotes()))
    }

    /// Table 6: hyperparameters of mitigation, configuration 1 (strongest) to 5.
    pub fn table6(&self, model: Model, config: u32) -> Option<MitigationConfig<'_>> {
        let table = &self.raw.table6;
        let row = table.rows.iter().find(|row| row.model == model && row.config == config)?;
        Some(row.resolve(&table.source, self.footnotes()))
    }

    /// Table 7: fitted gammas against ones.
    pub fn table7(&self, model: Model, n: u32, gammas: Gammas) -> Option<PaperCell<'_>> {
        self.find(&self.raw.table7, &GammasKey { n, gammas, model })
    }

    /// Table 8: Realistic Vision 5.1.
    pub fn table8(&self, n: u32) -> Option<PaperCell<'_>> {
        self.find(&self.raw.table8, &GenerationsKey { n, model: Model::Rv51 })
    }

    /// Figure 2: KL divergence at t near T (isotropic).
    pub fn figure2_isotropy(&self) -> PaperNumber<'_> {
        let figure = &self.raw.figure2;
        figure.kl_isotropy.resolve(&figure.source, self.footnotes())
    }

    /// Figure 2: KL divergence at t near 0 (anisotropic).
    pub fn figure2_anisotropy(&self) -> PaperNumber<'_> {
        let figure = &self.raw.figure2;
        figure.kl_anisotropy.resolve(&figure.source, self.footnotes())
    }

    /// Figure 2: the value above which the paper clips the anisotropic scores.
    pub fn figure2_clip(&self) -> f64 {
        self.raw.figure2.clip_anisotropy
    }

    /// The text's claim of how many times faster the method is than Jeon's.
    pub fn speedup_over_jeon(&self, model: Model, n: u32) -> Option<PaperNumber<'_>> {
        let claims = &self.raw.speedup_over_jeon;
        let row = claims.rows.iter().find(|row| row.key == GenerationsKey { n, model })?;
        Some(row.number.resolve(&claims.source, self.footnotes()))
    }

    fn find<'a, K: PartialEq>(&'a self, table: &'a Rows<K>, key: &K) -> Option<PaperCell<'a>> {
        let row = table.rows.iter().find(|row| row.key == *key)?;
        Some(row.cell.resolve(&table.source, self.footnotes()))
    }

    fn footnotes(&self) -> Footnotes<'_> {
        Footnotes::new(&self.raw.footnotes)
    }
}

#[cfg(test)]
mod tests;
