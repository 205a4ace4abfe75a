//! Which tokens of a prompt drive the guidance direction (Wen et al. 2024, token significance).

use candle_core::{DType, Var};
use memscope_metric::T_NORM;
use memscope_model::{Error, LatentDiffusion, PromptEmbedding, Result};

/// ‖∂‖c − u‖₂ / ∂e_i‖₂ for each token i of the prompt (BOS, text, EOS; without padding) at t = 981 on one x_T,
/// flattened (C, H, W); e_i is the prompt embedding's row. The released helper mixes up the two rows of the batch;
/// this is the prompt's.
pub fn token_significance(
    model: &LatentDiffusion,
    prompt: &PromptEmbedding,
    empty: &PromptEmbedding,
    x: &[f32],
) -> Result<Vec<f64>> {
    let x = model.latents(x.to_vec())?;
    let unconditional = model.predict(&x, &[T_NORM], &empty.embedding.unsqueeze(0)?, None)?;
    let embedding = Var::from_tensor(&prompt.embedding.unsqueeze(0)?)?;
    let conditional = model.predict(&x, &[T_NORM], embedding.as_tensor(), None)?;
    // In f32: the sum of squares would overflow in f16.
    let norm = (conditional - unconditional.detach())?.to_dtype(DType::F32)?.sqr()?.sum_all()?.sqrt()?;
    let gradients = norm.backward()?;
    let gradient = gradients
        .get(&embedding)
        .ok_or_else(|| Error::Argument("the prediction does not depend on the prompt".into()))?;
    let rows = LatentDiffusion::rows(&gradient.squeeze(0)?)?;
    let norm_of = |row: &Vec<f32>| row.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    Ok(rows.iter().take(prompt.tokens.length).map(norm_of).collect())
}
