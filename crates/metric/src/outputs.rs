//! The raw predictions themselves, for pictures of the score field (Figure 3).

use memscope_model::Result;

use crate::{generation::Generation, measure::Measure, request::PredictionRequest};

/// u and c at one timestep on pure noise, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// Timestep.
    pub t: usize,
    /// C·H·W.
    pub dim: usize,
}

impl Measure for Outputs {
    fn id(&self) -> String {
        format!("outputs/t={}/f32", self.t)
    }

    /// All of u, then all of c, flattened (C, H, W).
    fn names(&self) -> Vec<String> {
        ["u", "c"].iter().flat_map(|which| (0..self.dim).map(move |i| format!("{which}/{i}"))).collect()
    }

    fn requests(&self) -> Vec<PredictionRequest> {
        vec![PredictionRequest::Unconditional { t: self.t }, PredictionRequest::Conditional { t: self.t }]
    }

    fn measure(&self, generations: &[Generation]) -> Result<Vec<Vec<f64>>> {
        let of_generation = |generation: &Generation| {
            let (u, c) = (generation.unconditional(self.t)?, generation.conditional(self.t)?);
            Ok(u.output.iter().chain(&c.output).map(|x| f64::from(*x)).collect())
        };
        generations.iter().map(of_generation).collect()
    }
}
