//! Which tokens of a prompt drive the guidance direction (Wen et al. 2024, token significance).

use candle_core::DType;
use memscope_metric::T_NORM;
use memscope_model::{Error, LatentDiffusion, PromptBatch, PromptEmbedding, Result};

/// ‖∂‖c − u‖₂ / ∂e_i‖₂ for each token i of the prompt (BOS, text, EOS; without padding) at t = 981 on one x_T,
/// flattened (C, H, W); e_i is the prompt embedding's row (SDXL's pooled prompt is held). The released helper mixes up the two rows of the batch;
/// this is the prompt's.
pub fn token_significance(
    model: &LatentDiffusion,
    prompt: &PromptEmbedding,
    empty: &PromptEmbedding,
    x: &[f32],
) -> Result<Vec<f64>> {
    let x = model.latents(x.to_vec())?;
    let unconditional = model.predict(&x, &[T_NORM], PromptBatch::of(&[empty])?, None)?;
    let conditional = model.trace(&x, &[T_NORM], PromptBatch::of(&[prompt])?)?;
    // The norm in f32: its sum of squares would overflow in f16.
    let difference = (conditional.output() - unconditional)?.to_dtype(DType::F32)?;
    let norm = difference.sqr()?.sum_all()?.sqrt()?;
    let cotangent = difference.broadcast_div(&norm)?.to_dtype(x.dtype())?;
    let gradient = conditional.vjp_context(&cotangent)?;
    let rows = LatentDiffusion::rows(&gradient.squeeze(0)?)?;
    if rows.iter().flatten().any(|g| !g.is_finite()) {
        // So it is where c = u: the norm has no gradient there.
        return Err(Error::NonFiniteOutput { what: "the gradient of the norm of c - u".into() });
    }
    let norm_of = |row: &Vec<f32>| row.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    Ok(rows.iter().take(prompt.tokens.length).map(norm_of).collect())
}
