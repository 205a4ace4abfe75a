//! Published numbers as the rest of the program sees them.

use std::collections::BTreeMap;

use crate::table::{Cell, CellValue, ResultTable};

/// A published number with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperNumber<'a> {
    /// The number as printed, in the unit of its quantity.
    pub value: f64,
    /// Standard deviation as printed; the paper does not say of which kind.
    pub std: Option<f64>,
    /// Digits after the point, as printed.
    pub decimals: u8,
    /// Whether the paper took the number from Jeon et al. (2025) instead of measuring it.
    pub quoted: bool,
    /// Where in the paper it stands, e.g. `Table 1`.
    pub source: &'a str,
    /// Why it cannot be taken literally, where that is so.
    pub footnotes: Vec<&'a str>,
}

impl PaperNumber<'_> {
    /// The number as a cell of `table`, which gets the footnotes.
    pub fn cell(&self, table: &mut ResultTable) -> Cell {
        let value = CellValue::Paper {
            value: self.value,
            std: self.std,
            decimals: self.decimals,
            quoted: self.quoted,
            source: self.source.to_owned(),
        };
        self.footnotes.iter().fold(value.into(), |cell: Cell, &text| cell.with_note(table.footnote(text)))
    }
}

/// What the paper reports of one detector on one model.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperCell<'a> {
    /// Area under the ROC curve, 0..=1.
    pub auc: PaperNumber<'a>,
    /// True positive rate at 1 % false positive rate, 0..=1.
    pub tpr1: PaperNumber<'a>,
    /// Seconds for 10 prompts, where the table has a time; the paper's own even where the rest is quoted.
    pub time_s: Option<PaperNumber<'a>>,
}

/// A row of Table 5.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameters<'a> {
    /// Weight of the cosine, the paper's gamma 1.
    pub gamma_cos: f64,
    /// Weight of the norm, the paper's gamma 2.
    pub gamma_norm: f64,
    /// Seed of the noise.
    pub seed: u64,
    /// Classifier-free guidance scale.
    pub guidance_scale: f64,
    /// Denoising steps.
    pub inference_steps: u32,
    /// Where in the paper it stands.
    pub source: &'a str,
    /// Why it cannot be taken literally, where that is so.
    pub footnotes: Vec<&'a str>,
}

/// A row of Table 6.
#[derive(Debug, Clone, PartialEq)]
pub struct MitigationConfig<'a> {
    /// Generations in the optimised batch.
    pub n: u32,
    /// Learning rate.
    pub lr: f64,
    /// Denoising steps T of the images generated afterwards.
    pub steps: u32,
    /// Optimisation steps.
    pub iterations: u32,
    /// Loss at which the optimisation stops early.
    pub target_loss: f64,
    /// Classifier-free guidance scale.
    pub guidance_scale: f64,
    /// Where in the paper it stands.
    pub source: &'a str,
    /// Why it cannot be taken literally, where that is so.
    pub footnotes: Vec<&'a str>,
}

/// The texts of the footnotes by id.
#[derive(Clone, Copy)]
pub(super) struct Footnotes<'a> {
    texts: &'a BTreeMap<String, String>,
}

impl<'a> Footnotes<'a> {
    pub(super) fn new(texts: &'a BTreeMap<String, String>) -> Self {
        Self { texts }
    }

    /// The texts of `ids`; that each id has one is checked by a test.
    pub(super) fn resolve(self, ids: &[String]) -> Vec<&'a str> {
        ids.iter().filter_map(|id| self.texts.get(id)).map(String::as_str).collect()
    }
}
