//! Golden vectors of docs/spec/protocol.md §3.1, shared by the tests of both arithmetics.

use memscope_model::{Parameterization, Prediction, Scales};

/// u and d at two positions, four channels, flattened (4, 2).
pub(crate) fn fields() -> [Vec<f32>; 2] {
    let interleave = |a: [f32; 4], b: [f32; 4]| (0..4).flat_map(|c| [a[c], b[c]]).collect();
    let d2 = [0.02001953125, -0.010009765625, 0.0400390625, 0.030029296875].map(|x| half::bf16::from_f32(x).to_f32());
    [
        interleave([0.5, -1.25, 2.0, 0.375], [1.0, 0.25, -0.75, -0.125]),
        interleave([0.03125, -0.0625, 0.15625, -0.0078125], d2),
    ]
}

/// x, then the predictions u and c of SD 2's example.
pub(crate) fn sd2() -> ([f32; 4], [Prediction; 2]) {
    let scales = Scales { a: 0.07599668204784393, s: 0.9971080422401428 };
    let prediction =
        |output: [f32; 4]| Prediction { output: output.to_vec(), parameterization: Parameterization::V, scales };
    let x = [0.1943359375, 2.15625, -0.171875, 0.84765625];
    (x, [prediction([0.5, -1.0, 0.25, 1.5]), prediction([0.625, -1.125, 0.3125, 1.25])])
}
