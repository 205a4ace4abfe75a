//! Which tokens of a prompt drive the guidance direction (Wen et al. 2024, token significance).

use candle_core::DType;
use memscope_metric::T_NORM;
use memscope_model::{Error, LatentDiffusion, PromptBatch, PromptEmbedding, Result};

/// ‖∂N / ∂e_i‖₂ for each token i of the prompt (BOS, text, EOS; without padding) at t = 981, where e_i is the prompt
/// embedding's row (SDXL's pooled prompt is held) and N = √Σₙ ‖cₙ − uₙ‖² is one norm over all `noises` (x_T, flattened (C, H, W) each), as the released
/// helper takes it. The helper mixes up the two rows of the batch; this is the prompt's. docs/spec/related.md §1.
///
/// # Errors
/// When a prediction or the gradient is not finite, as where c = u for every noise, or an operation fails.
pub fn token_significance(
    model: &LatentDiffusion,
    prompt: &PromptEmbedding,
    empty: &PromptEmbedding,
    noises: &[impl AsRef<[f32]>],
) -> Result<Vec<f64>> {
    let of_each = noises.iter().map(|x| gradient(model, prompt, empty, x.as_ref())).collect::<Result<Vec<_>>>()?;
    let together = of_each.iter().map(|(norm, _)| norm * norm).sum::<f64>().sqrt();
    // ∂N = Σ ‖dₙ‖ ∂‖dₙ‖ / N; of a single noise the factor is 1.
    let mut sum: Vec<Vec<f64>> = vec![];
    for (norm, rows) in of_each {
        let factor = if noises.len() == 1 { 1.0 } else { norm / together };
        sum.resize(rows.len(), vec![]);
        for (sum, row) in sum.iter_mut().zip(rows) {
            sum.resize(row.len(), 0.0);
            sum.iter_mut().zip(row).for_each(|(sum, g)| *sum += factor * f64::from(g));
        }
    }
    let norm_of = |row: &Vec<f64>| row.iter().map(|g| g * g).sum::<f64>().sqrt();
    Ok(sum.iter().take(prompt.tokens.length).map(norm_of).collect())
}

/// ‖c − u‖ on one x_T, and its gradient by the rows of the prompt embedding.
fn gradient(
    model: &LatentDiffusion,
    prompt: &PromptEmbedding,
    empty: &PromptEmbedding,
    x: &[f32],
) -> Result<(f64, Vec<Vec<f32>>)> {
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
    Ok((f64::from(norm.to_scalar::<f32>()?), rows))
}
