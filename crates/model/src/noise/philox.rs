//! Torch's CUDA normal sampling: Philox4x32-10 and Box-Muller (docs/spec/protocol.md §2.1).

/// Threads in a block of torch's sampling kernel.
const BLOCK_THREADS: usize = 256;
/// Normals that one Philox call gives, and that a thread therefore draws at a time.
const DRAW: usize = 4;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// 2^-32 as `f32`, bit for bit as in `cuRAND`.
const UNIT: f32 = f32::from_bits(0x2f80_0000);
/// 2 pi 2^-32 as `f32`, bit for bit as in `cuRAND`.
const ANGLE: f32 = f32::from_bits(0x30c9_0fdb);

/// The first `count` normals of a CUDA generator freshly seeded with `seed`, drawn in one call.
///
/// Thread `i` of the grid owns subsequence `i`. Component `k` of its draw `m` is element `i + (DRAW * m + k) * T`,
/// where `T` is the number of threads: the grid covers the call, up to `block_cap` blocks.
pub(super) fn normals(seed: u64, count: usize, block_cap: u32) -> Vec<f32> {
    let blocks = count.div_ceil(BLOCK_THREADS).clamp(1, block_cap.max(1) as usize);
    let threads = BLOCK_THREADS * blocks;
    let key = words(seed);
    let mut values = vec![0.0; count];
    for (draw, chunk) in values.chunks_mut(DRAW * threads).enumerate() {
        for thread in 0..threads.min(chunk.len()) {
            let [offset_low, offset_high] = words(draw as u64);
            let [low, high] = words(thread as u64);
            let normals = box_muller(philox([offset_low, offset_high, low, high], key));
            // The last components of the last draw fall outside the call.
            for (slot, normal) in chunk[thread..].iter_mut().step_by(threads).zip(normals) {
                *slot = normal;
            }
        }
    }
    values
}

fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// Ten rounds of Philox4x32: a keyed bijection of 128-bit counters.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let [low0, high0] = words(u64::from(MULTIPLIERS[0]) * u64::from(counter[0]));
        let [low1, high1] = words(u64::from(MULTIPLIERS[1]) * u64::from(counter[2]));
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// Four normals from four words: one sine and cosine pair from each pair of words.
fn box_muller(words: [u32; 4]) -> [f32; 4] {
    let [sin0, cos0] = box_muller_pair(words[0], words[1]);
    let [sin1, cos1] = box_muller_pair(words[2], words[3]);
    [sin0, cos0, sin1, cos1]
}

/// `cuRAND`'s pair, in `f32` step by step as on the GPU.
///
/// Logarithm, sine and cosine are taken in `f64` and rounded, so that the result does not depend on the platform's
/// `f32` library. The GPU uses its approximate sine and cosine instructions (absolute error about 2^-21): expect its
/// values within a few units in the last place of `f32`, and a handful of 16,384 bfloat16 values one step away.
fn box_muller_pair(radial: u32, angular: u32) -> [f32; 2] {
    let uniform = (radial as f32).mul_add(UNIT, UNIT / 2.0);
    let angle = (angular as f32).mul_add(ANGLE, ANGLE / 2.0);
    let radius = (-2.0 * (f64::from(uniform).ln() as f32)).sqrt();
    let (sin, cos) = f64::from(angle).sin_cos();
    [radius * sin as f32, radius * cos as f32]
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// Known answers of Random123's `kat_vectors`, philox4x32 with 10 rounds.
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
