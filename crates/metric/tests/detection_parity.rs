//! Norms and cosines against PyTorch on the network's stored outputs (`scripts/fixtures/make_parity.py`, case
//! `detection`): float64 arithmetic, and real bfloat16 tensors for the released code's arithmetic.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use memscope_metric::{
    CosineMode, CosineReduction, Normalization, Pair, Space,
    bf16::{self, ScalarFactor},
};
use memscope_model::{LatentDiffusion, ModelSource, Prediction};

const MODELS: [&str; 4] = ["tiny-sd1", "tiny-sd2", "emoji-eps", "emoji-v"];
const COSINE_TIMES: [usize; 3] = [1, 21, 41];

/// A mode as the paper writes it, which the fixtures' tensors are named by.
fn in_paper(mode: CosineMode) -> &'static str {
    match mode {
        CosineMode::UnconditionalDelta => "x,c|x",
        CosineMode::ConditionalUnconditional => "x,x|c",
        CosineMode::ConditionalDelta => "x|c,c|x",
    }
}

struct Case {
    model: LatentDiffusion,
    tensors: HashMap<String, Tensor>,
}

impl Case {
    fn open(name: &str) -> Self {
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/parity");
        let source = match name.starts_with("emoji") {
            true => ModelSource::Embedded(name.to_owned()),
            false => ModelSource::folder(fixtures.join("models").join(name)),
        };
        let tensors = safetensors::load(fixtures.join(name).join("detection.safetensors"), &Device::Cpu).unwrap();
        Self { model: LatentDiffusion::load(&source).unwrap(), tensors }
    }

    fn flat(&self, name: &str) -> Vec<f64> {
        let tensor = self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}"));
        tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    fn rows(&self, name: &str) -> Vec<Vec<f32>> {
        let (channels, height, width) = self.model.latent_shape();
        let flat: Vec<f32> = self.flat(name).into_iter().map(|x| x as f32).collect();
        flat.chunks(channels * height * width).map(<[f32]>::to_vec).collect()
    }

    /// Calls `check(position, pair)` for every prompt and generation at a timestep, position in (prompt, n) order.
    fn for_each_pair(&self, t: usize, mut check: impl FnMut(usize, &Pair)) {
        let x = self.rows("x_T");
        let scales = self.model.schedule().scales(t).unwrap();
        let parameterization = self.model.schedule().parameterization();
        let predictions = |name: &str| -> Vec<Prediction> {
            let rows = self.rows(&format!("output.{name}.t{t}"));
            rows.into_iter().map(|output| Prediction { output, parameterization, scales }).collect()
        };
        let (empty, prompts) = (predictions("empty"), predictions("prompts"));
        for (i, conditional) in prompts.iter().enumerate() {
            let generation = i % x.len();
            let channels = self.model.latent_shape().0;
            check(i, &Pair { x: &x[generation], channels, unconditional: &empty[generation], conditional });
        }
    }
}

#[track_caller]
fn assert_close(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1e-3), "{what}: {got} is not {expected}");
}

#[test]
fn norms_and_cosines_in_exact_arithmetic() {
    for name in MODELS {
        let case = Case::open(name);
        for space in Space::ALL {
            let expected = case.flat(&format!("norm/{space}"));
            case.for_each_pair(981, |i, pair| {
                assert_close(&format!("{name} norm/{space}"), pair.norm(*space, Normalization::None), expected[i]);
            });
        }
        for mode in CosineMode::ALL {
            for reduction in CosineReduction::ALL {
                for space in [Space::ModelOutput, Space::Score] {
                    let path = format!("cosine/{}/{reduction}/{space}", in_paper(*mode));
                    let expected = case.flat(&path);
                    for (row, t) in expected.chunks(expected.len() / 3).zip(COSINE_TIMES) {
                        case.for_each_pair(t, |i, pair| {
                            let got = pair.cosine(*mode, *reduction, space, Normalization::None);
                            assert_close(&format!("{name} {path} t={t}"), got, row[i]);
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn norms_and_cosines_in_bf16_are_equal_to_the_bit() {
    for name in MODELS {
        let case = Case::open(name);
        for (kind, space, factor) in [
            ("sd1", Space::ModelOutput, ScalarFactor::Cuda),
            ("sd2", Space::X0Formula, ScalarFactor::Cuda),
            ("sd2_cpu", Space::X0Formula, ScalarFactor::Cpu),
        ] {
            let expected = case.flat(&format!("bf16/norm/{kind}"));
            let mut norms = vec![];
            case.for_each_pair(981, |i, pair| {
                let norm = pair.norm_bf16(space, Normalization::None, factor).unwrap();
                assert_eq!(norm, expected[i], "{name} bf16/norm/{kind} {i}");
                norms.push(norm);
            });
            let means = case.flat(&format!("bf16/norm/{kind}/mean"));
            for (norms, mean) in norms.chunks(norms.len() / means.len()).zip(means) {
                assert_eq!(bf16::mean(norms), mean, "{name} bf16/norm/{kind}/mean");
            }
        }
        for mode in CosineMode::ALL {
            let expected = case.flat(&format!("bf16/cosine/{}", in_paper(*mode)));
            for (row, t) in expected.chunks(expected.len() / 3).zip(COSINE_TIMES) {
                case.for_each_pair(t, |i, pair| {
                    let cosine = pair.cosine_bf16(*mode, CosineReduction::ChannelMean, Normalization::None);
                    assert_eq!(cosine, row[i], "{name} bf16/cosine/{mode} t={t} {i}");
                });
            }
        }
    }
}
