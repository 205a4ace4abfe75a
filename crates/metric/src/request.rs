//! A prediction that is wanted of the network.

/// The prediction for one initial latent x_T at a timestep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PredictionRequest {
    /// Under the empty prompt; all prompts with the same x_T share it.
    Unconditional {
        /// Timestep.
        t: usize,
    },
    /// Under the prompt.
    Conditional {
        /// Timestep.
        t: usize,
    },
}
