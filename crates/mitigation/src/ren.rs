//! Rescaling and masking of cross-attention (Ren et al. 2024; docs/spec/mitigation.md §4).

use memscope_metric::OwnCalls;
use memscope_model::Sampling;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    method::{Attention, Changed, Mitigation, Rows, Subject},
};

/// Which tokens stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// From BOS to EOS.
    #[default]
    ThroughEnd,
    /// From BOS to the last one of the text.
    BeforeEnd,
}

/// Masks the padding out and multiplies the logits of BOS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ren {
    factor: f64,
    tokens: Tokens,
    rows: Rows,
}

impl Ren {
    /// The factor of the published example; MEMBENCH uses 1.1.
    pub const FACTOR: f64 = 1.25;

    /// With c₁ = `factor`.
    ///
    /// # Errors
    /// When the factor is no number.
    pub fn new(factor: f64, tokens: Tokens, rows: Rows) -> Result<Self> {
        match factor.is_finite() && factor.abs() <= 1e3 {
            true => Ok(Self { factor, tokens, rows }),
            false => Err(Error::setting("ren", format!("factor {factor} must be a number of at most 1000"))),
        }
    }
}

impl Mitigation for Ren {
    fn name(&self) -> &'static str {
        "ren"
    }

    fn id(&self) -> String {
        format!("attention/factor={}/{:?}/{:?}", self.factor, self.tokens, self.rows)
    }

    fn cost(&self, _: usize, _: Sampling) -> Vec<OwnCalls> {
        vec![]
    }

    fn apply(&self, subject: &Subject) -> Result<Changed> {
        let length = subject.embedding.tokens.length;
        let keep = match self.tokens {
            Tokens::ThroughEnd => length,
            Tokens::BeforeEnd => length.saturating_sub(1).max(1),
        };
        let attention = Attention::Rescaled { keep, factor: self.factor, rows: self.rows };
        Ok(Changed { attention, ..subject.unchanged() })
    }
}
