//! Torch's CPU normal sampling: mt19937, `f32` blocks of 16, and another algorithm below 16 values.

use std::f64::consts::TAU;

use rand_mt::Mt;

/// Values that torch's vectorised Box-Muller turns into normals at a time.
pub(super) const BLOCK: usize = 16;
const HALF: usize = BLOCK / 2;

/// The first `count` normals of a CPU generator freshly seeded with `seed`, drawn in one call.
///
/// torch: `normal_fill` for 16 values or more, `normal_distribution<double>` for fewer (`DistributionTemplates.h`).
/// The generator's state takes the low 32 bits of the seed only.
pub(super) fn normals(seed: u64, count: usize) -> Vec<f32> {
    let mut generator = Mt::new(seed as u32);
    if count < BLOCK { few_normals(&mut generator, count) } else { block_normals(&mut generator, count) }
}

/// All uniforms are drawn first, then turned into normals block by block; when the size is not a multiple of 16, the
/// last 16 values are drawn anew, over what stood there.
fn block_normals(generator: &mut Mt, count: usize) -> Vec<f32> {
    let mut values: Vec<f32> = std::iter::repeat_with(|| uniform(generator)).take(count).collect();
    let (blocks, rest) = values.as_chunks_mut::<BLOCK>();
    blocks.iter_mut().for_each(box_muller);
    if !rest.is_empty()
        && let Some(last) = values.last_chunk_mut::<BLOCK>()
    {
        last.fill_with(|| uniform(generator));
        box_muller(last);
    }
    values
}

/// Value `j` of the first half and value `j` of the second half make one cosine and sine pair.
fn box_muller(block: &mut [f32; BLOCK]) {
    for j in 0..HALF {
        // Drawn from [0, 1); the logarithm needs (0, 1].
        let uniform = 1.0 - block[j];
        let radius = (-2.0 * f64::from(uniform).ln()).sqrt();
        let (sin, cos) = (TAU * f64::from(block[j + HALF])).sin_cos();
        block[j] = (radius * cos) as f32;
        block[j + HALF] = (radius * sin) as f32;
    }
}

/// `f64` Box-Muller; the second value of each pair is kept for the next call.
fn few_normals(generator: &mut Mt, count: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let angle = TAU * uniform_f64(generator);
        let radius = (-2.0 * (-uniform_f64(generator)).ln_1p()).sqrt();
        let (sin, cos) = angle.sin_cos();
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    values.truncate(count);
    values
}

/// A multiple of 2^-24 in [0, 1), from the low 24 bits of one word.
fn uniform(generator: &mut Mt) -> f32 {
    (generator.next_u32() & 0x00ff_ffff) as f32 / 16_777_216.0
}

/// A multiple of 2^-53 in [0, 1), from the low 53 bits of two words, the first one on top.
fn uniform_f64(generator: &mut Mt) -> f64 {
    let high = u64::from(generator.next_u32());
    let low = u64::from(generator.next_u32());
    let bits = ((high << 32) | low) & ((1 << 53) - 1);
    bits as f64 / 9_007_199_254_740_992.0
}
