//! The numbers one pair of predictions yields, all at once: combining them later needs no network call.

use std::fmt;

use crate::{
    bf16::ScalarFactor,
    generation::Generation,
    measure::Measure,
    options::{CosineMode, CosineReduction, Normalization, Numerics, Space},
    pair::Pair,
    request::PredictionRequest,
};

/// One number about a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// ‖c − u‖₂.
    Norm {
        /// Space of the difference.
        space: Space,
        /// Scaling of u and c before it.
        normalization: Normalization,
    },
    /// A cosine.
    Cosine {
        /// Which two vectors.
        mode: CosineMode,
        /// Over which elements.
        reduction: CosineReduction,
        /// Raw output or score.
        space: Space,
        /// Scaling of u and c before it.
        normalization: Normalization,
    },
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Norm { space, normalization } => write!(f, "norm/{space}/{normalization}"),
            Self::Cosine { mode, reduction, space, normalization } => {
                write!(f, "cosine/{mode}/{reduction}/{space}/{normalization}")
            }
        }
    }
}

impl Statistic {
    /// Every statistic that exists in this arithmetic, in a fixed order.
    pub fn all(numerics: Numerics) -> Vec<Self> {
        let exact = numerics == Numerics::F32;
        let norm_spaces: &[Space] = if exact { Space::ALL } else { &[Space::ModelOutput, Space::X0Formula] };
        let cosine_spaces: &[Space] = if exact { &[Space::ModelOutput, Space::Score] } else { &[Space::ModelOutput] };
        let mut all = vec![];
        for &normalization in Normalization::ALL {
            all.extend(norm_spaces.iter().map(|&space| Self::Norm { space, normalization }));
            for &mode in CosineMode::ALL {
                for &reduction in CosineReduction::ALL {
                    let of = |&space: &Space| Self::Cosine { mode, reduction, space, normalization };
                    all.extend(cosine_spaces.iter().map(of));
                }
            }
        }
        all
    }

    /// The statistic of a pair; `None` where the released code has no such arithmetic.
    pub(crate) fn of(self, pair: &Pair, numerics: Numerics) -> Option<f64> {
        Some(match (self, numerics) {
            (Self::Norm { space, normalization }, Numerics::F32) => pair.norm(space, normalization),
            (Self::Norm { space, normalization }, Numerics::Bf16Emulated) => {
                pair.norm_bf16(space, normalization, ScalarFactor::Cuda)?
            }
            (Self::Cosine { mode, reduction, space, normalization }, Numerics::F32) => {
                pair.cosine(mode, reduction, space, normalization)
            }
            (Self::Cosine { mode, reduction, space: Space::ModelOutput, normalization }, Numerics::Bf16Emulated) => {
                pair.cosine_bf16(mode, reduction, normalization)
            }
            (Self::Cosine { .. }, Numerics::Bf16Emulated) => return None,
        })
    }
}

/// Measures every [`Statistic`] of the pair at one timestep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairMeasure {
    /// Timestep.
    pub t: usize,
    /// Arithmetic.
    pub numerics: Numerics,
}

impl Measure for PairMeasure {
    fn id(&self) -> String {
        format!("pair/t={}/{}", self.t, self.numerics)
    }

    fn names(&self) -> Vec<String> {
        Statistic::all(self.numerics).iter().map(ToString::to_string).collect()
    }

    fn requests(&self) -> Vec<PredictionRequest> {
        vec![PredictionRequest::Unconditional { t: self.t }, PredictionRequest::Conditional { t: self.t }]
    }

    fn measure(&self, generations: &[Generation]) -> memscope_model::Result<Vec<Vec<f64>>> {
        let statistics = Statistic::all(self.numerics);
        let of_generation = |generation: &Generation| {
            let (unconditional, conditional) = (generation.unconditional(self.t)?, generation.conditional(self.t)?);
            let pair = Pair {
                x: generation.x(),
                channels: generation.channels(),
                unconditional: &unconditional,
                conditional: &conditional,
            };
            Ok(statistics.iter().filter_map(|statistic| statistic.of(&pair, self.numerics)).collect())
        };
        generations.iter().map(of_generation).collect()
    }
}
