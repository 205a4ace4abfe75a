//! The networks against diffusers and transformers (PyTorch, f32): `scripts/fixtures/make_parity.py` made the
//! fixtures and records library versions, seeds and weight hashes in each.

use std::{collections::HashMap, path::PathBuf};

use crate::common::{device, read_tensors, relative_l2};
use candle_core::{DType, Device, Tensor, Var};
use memscope_model::{
    Dual, Execution, LatentDiffusion, LoadOptions, ModelSource, NetworkDtype, Parameterization, PromptEmbedding,
    Sampling, Scales,
    unet::{AttentionObserver, CrossAttentionLayer, Gradients},
};

const MODELS: [&str; 4] = ["tiny-sd1", "tiny-sd2", "emoji-eps", "emoji-v"];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity")
}

fn load(model: &str) -> LatentDiffusion {
    load_in(model, NetworkDtype::F32)
}

fn load_in(model: &str, dtype: NetworkDtype) -> LatentDiffusion {
    let source = match model.starts_with("emoji") {
        true => ModelSource::Embedded(model.to_owned()),
        false => ModelSource::folder(fixtures().join("models").join(model)),
    };
    let execution = Execution { dtype, device: device() };
    let options = LoadOptions { execution, ..LoadOptions::default() };
    LatentDiffusion::load_with(&source, options).unwrap_or_else(|e| panic!("{model}: {e}"))
}

struct Case {
    label: String,
    tensors: HashMap<String, Tensor>,
}

impl Case {
    fn open(model: &str, case: &str) -> Self {
        let label = format!("{model}/{case}");
        let tensors = read_tensors(&fixtures().join(format!("{label}.safetensors")));
        Self { label, tensors }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.label))
    }

    #[track_caller]
    fn assert_close(&self, name: &str, got: &Tensor, tolerance: f64) {
        let expected = self.get(name);
        assert_eq!(got.dims(), expected.dims(), "{} {name}", self.label);
        let error = relative_l2(got, expected);
        assert!(error <= tolerance, "{} {name}: relative L2 {error:.2e} exceeds {tolerance:.0e}", self.label);
    }
}

fn hidden(model: &LatentDiffusion, ids: &[&[u32]]) -> Tensor {
    model.text_encoders().unwrap()[0].forward(ids).unwrap().hidden
}

fn repeat(tensor: &Tensor, times: usize) -> Tensor {
    Tensor::cat(&vec![tensor; times], 0).expect("equal shapes")
}

#[test]
fn unet_outputs() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "unet"));
        let (x, context) = (case.get("x"), case.get("context"));
        for t in [981, 500, 1] {
            let output = model.predict(x, &[t; 3], context, None).unwrap();
            case.assert_close(&format!("output.t{t}"), &output, 1e-5);
        }
        let mixed: Vec<usize> =
            case.get("mixed.timesteps").to_vec1::<i64>().unwrap().iter().map(|t| *t as usize).collect();
        case.assert_close("output.mixed", &model.predict(x, &mixed, context, None).unwrap(), 1e-5);
    }
}

#[test]
fn one_latent_serves_several_prompts() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "unet"));
        let (x, context) = (case.get("x"), case.get("context"));
        let one = x.narrow(0, 0, 1).unwrap();
        let repeated = Tensor::cat(&[&one, &one, &one], 0).unwrap();
        let expected = model.predict(&repeated, &[500; 3], context, None).unwrap();
        let got = model.predict(&one, &[500], context, None).unwrap();
        let error = relative_l2(&got, &expected);
        assert!(error <= 1e-6, "{name}: {error:.2e}");
        assert!(model.predict(&x.narrow(0, 0, 2).unwrap(), &[500; 2], context, None).is_err());
    }
}

/// The unit roundoff of f16 is 4.9e-4, of bf16 3.9e-3; a network multiplies it by a few.
#[test]
fn half_precision_differs_by_its_rounding_alone() {
    for name in MODELS {
        let (case, texts) = (Case::open(name, "unet"), Case::open(name, "text_encoder"));
        let ids: Vec<Vec<u32>> = texts.get("input_ids").to_dtype(DType::U32).unwrap().to_vec2().unwrap();
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        for (format, tolerance) in [(NetworkDtype::F16, 5e-3), (NetworkDtype::Bf16, 4e-2)] {
            let model = load_in(name, format);
            let x = case.get("x").flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let context = case.get("context").to_dtype(format.dtype()).unwrap();
            let output = model.predict(&model.latents(x).unwrap(), &[981; 3], &context, None).unwrap();
            assert_eq!(output.dtype(), format.dtype());
            case.assert_close("output.t981", &output, tolerance);
            texts.assert_close("last_hidden_state", &hidden(&model, &ids), tolerance);
        }
    }
}

#[test]
fn text_encoders() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "text_encoder"));
        let ids: Vec<Vec<u32>> = case.get("input_ids").to_dtype(DType::U32).unwrap().to_vec2().unwrap();
        let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        case.assert_close("last_hidden_state", &hidden(&model, &rows), 1e-5);
        let empty = model.encode_prompts(&[""]).unwrap();
        assert_eq!(&empty[0].tokens.ids, ids.last().expect("a last row"), "{name}: the empty prompt");
        model.release_text_encoders();
        let again = model.encode_prompts(&[""]).unwrap();
        assert!(same_numbers(&again[0].embedding, &empty[0].embedding), "{name}: the text encoder read again");
    }
}

#[test]
fn vae_decoding() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "vae"));
        let decoded = model.vae().unwrap().decode(case.get("latent")).unwrap();
        case.assert_close("decoded", &decoded, 1e-4);
        let latent = case.get("latent").flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let picture = model.decode_image(&latent).unwrap();
        let expected = case.get("picture").flatten_all().unwrap().to_vec1::<u8>().unwrap();
        assert!(picture.data.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= 1), "{name}: picture");
    }
}

fn embedding(case: &Case, name: &str) -> PromptEmbedding {
    let tokens = memscope_model::Tokens { ids: vec![], length: 0, cut: None };
    PromptEmbedding { embedding: case.get(name).squeeze(0).unwrap(), added: None, tokens }
}

#[test]
fn guided_trajectories() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "trajectory"));
        let expected: Vec<usize> =
            case.get("timesteps").to_vec1::<i64>().unwrap().iter().map(|t| *t as usize).collect();
        assert_eq!(model.schedule().timesteps(50).unwrap(), expected);
        for (t, alpha) in case.get("alphas_cumprod").to_vec1::<f32>().unwrap().into_iter().enumerate() {
            // The products round differently in a few places: one unit in the last place of f32.
            let ours = model.schedule().alpha_cumprod(t).unwrap();
            assert!((ours / alpha - 1.0).abs() <= f32::EPSILON, "{name}: t = {t}: {ours} {alpha}");
        }
        let x = case.get("x_T");
        let start = vec![x.flatten_all().unwrap().to_vec1::<f32>().unwrap()];
        let as_tensor = |latents: &[Vec<f32>]| Tensor::from_slice(&latents[0], x.shape(), &Device::Cpu).unwrap();
        let (prompt, empty) = (embedding(&case, "context"), embedding(&case, "empty"));
        let last = model
            .sample(start, &prompt, &empty, Sampling::default(), |step| {
                if let 1 | 25 = step.index {
                    case.assert_close(&format!("latent.step{}", step.index), &as_tensor(step.latents), 1e-3);
                }
                Ok(())
            })
            .unwrap();
        case.assert_close("latent.final", &as_tensor(&last), 1e-3);
    }
}

/// The differences of one rounding (above) add up over the way back.
#[test]
fn half_precision_gradients_differ_by_their_rounding_alone() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "unet"));
        let tensors = ["x", "context", "output.t500"].map(|tensor| case.get(tensor).narrow(0, 0, 1).unwrap());
        let gradients = |dtype| {
            let [x, context, cotangent] = tensors.clone().map(|tensor| tensor.to_dtype(dtype).unwrap());
            model.trace(&x, &[981], &context).unwrap().vjp(&cotangent).unwrap()
        };
        let exact = gradients(DType::F32);
        for (dtype, tolerance) in [(DType::F16, 1e-2), (DType::BF16, 8e-2)] {
            let half = gradients(dtype);
            for (half, exact) in [(&half.x, &exact.x), (&half.context, &exact.context)] {
                assert_eq!(half.dtype(), dtype);
                let error = relative_l2(half, exact);
                assert!(error <= tolerance, "{name} {dtype:?}: {error:.2e}");
            }
        }
    }
}

/// ‖c − u‖₂ and its cotangent at c.
fn norm_and_cotangent(c: &Tensor, u: &Tensor) -> (Tensor, Tensor) {
    let difference = (c - u).unwrap();
    let norm = difference.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
    (norm.clone(), difference.broadcast_div(&norm).unwrap())
}

/// Gradients of ‖c − u‖₂ by candle's reverse mode over the whole network.
fn plain_gradients(model: &LatentDiffusion, case: &Case) -> (Tensor, Gradients) {
    let x = Var::from_tensor(case.get("x_T")).unwrap();
    let context = Var::from_tensor(case.get("context")).unwrap();
    let conditional = model.predict(x.as_tensor(), &[981], context.as_tensor(), None).unwrap();
    let unconditional = model.predict(x.as_tensor(), &[981], case.get("empty"), None).unwrap();
    let (loss, _) = norm_and_cotangent(&conditional, &unconditional);
    let mut gradients = loss.backward().unwrap();
    let mut of = |var| gradients.remove(var).expect("a gradient");
    (loss, Gradients { x: of(&x), context: of(&context) })
}

/// The same step by step.
fn traced_gradients(model: &LatentDiffusion, case: &Case) -> (Tensor, Gradients) {
    let [conditional, unconditional] =
        ["context", "empty"].map(|prompt| model.trace(case.get("x_T"), &[981], case.get(prompt)).unwrap());
    let (loss, cotangent) = norm_and_cotangent(conditional.output(), unconditional.output());
    let Gradients { x, context } = conditional.vjp(&cotangent).unwrap();
    let through_unconditional = unconditional.vjp(&cotangent.neg().unwrap()).unwrap();
    (loss, Gradients { x: (x + through_unconditional.x).unwrap(), context })
}

#[test]
fn gradients_of_the_norm() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "gradient"));
        let ((plain_loss, plain), (traced_loss, traced)) =
            (plain_gradients(&model, &case), traced_gradients(&model, &case));
        for (loss, gradients) in [(&plain_loss, &plain), (&traced_loss, &traced)] {
            case.assert_close("loss", loss, 1e-5);
            case.assert_close("gradient.x", &gradients.x, 1e-4);
            case.assert_close("gradient.context", &gradients.context, 1e-4);
        }
        assert!(same_numbers(&traced_loss, &plain_loss), "{name}");
        for (traced, plain) in [(&traced.x, &plain.x), (&traced.context, &plain.context)] {
            let error = relative_l2(traced, plain);
            // The latent's gradient is the small difference of two large ones, whose rounding stays.
            assert!(error <= 2e-5, "{name}: {error:.2e}");
        }
    }
}

fn same_numbers(a: &Tensor, b: &Tensor) -> bool {
    a.dims() == b.dims() && relative_l2(a, b) == 0.0
}

/// Different cotangents for the samples of a batch, with latents of their own or one for all.
#[test]
fn traces_pull_back_what_candle_does() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "unet"));
        let (x, context, cotangent) = (case.get("x"), case.get("context"), case.get("output.t500"));
        for (x, timesteps) in [(x.clone(), vec![981, 500, 1]), (x.narrow(0, 0, 1).unwrap(), vec![500])] {
            let (x, context) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(context).unwrap());
            let output = model.predict(x.as_tensor(), &timesteps, context.as_tensor(), None).unwrap();
            let plain = (&output * cotangent).unwrap().sum_all().unwrap().backward().unwrap();

            let trace = model.trace(&x, &timesteps, context.as_tensor()).unwrap();
            assert!(same_numbers(trace.output(), &output), "{name}");
            let traced = trace.clone().vjp(cotangent).unwrap();
            for (traced, var) in [(&traced.x, &x), (&traced.context, &context)] {
                assert_eq!(traced.dims(), var.dims(), "{name}");
                let error = relative_l2(traced, plain.get(var).expect("a gradient"));
                assert!(error <= 1e-6, "{name}, {} latents: {error:.2e}", x.dim(0).unwrap());
            }
            assert!(same_numbers(&trace.clone().vjp_context(cotangent).unwrap(), &traced.context), "{name}");
            assert!(trace.vjp(&cotangent.narrow(0, 0, 1).unwrap()).is_err(), "{name}: a cotangent too small");
        }
    }
}

/// What a trace keeps changes the time and the memory of a gradient, not the gradient; and it keeps what was foretold.
#[test]
fn gradients_do_not_depend_on_what_is_kept() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "unet"));
        let (x, context, cotangent) = (case.get("x"), case.get("context"), case.get("output.t500"));
        let (samples, _, height, width) = x.dims4().unwrap();
        let tokens = context.dim(1).unwrap();
        let foretold: Vec<u64> = model
            .blueprint()
            .step_costs(samples, (height, width), tokens, DType::F32)
            .iter()
            .map(|step| step.bytes)
            .collect();
        let all: u64 = foretold.iter().sum();
        let trace = |bytes| model.trace_keeping(x, &[981, 500, 1], context, bytes).unwrap();
        let (everything, half, nothing) = (trace(u64::MAX), trace(all / 2), trace(0));
        assert_eq!(everything.kept_bytes(), foretold, "{name}");
        let (kept, steps) = (half.kept_bytes(), foretold.len());
        assert!((1..=all / 2).contains(&kept.iter().sum()), "{name}: {kept:?}");
        assert!(kept.iter().zip(&foretold).all(|(kept, foretold)| *kept == 0 || kept == foretold), "{name}");
        assert_eq!(nothing.kept_bytes(), vec![0; steps], "{name}");

        let expected = nothing.clone().vjp(cotangent).unwrap();
        for trace in [everything, half, nothing, model.trace(x, &[981, 500, 1], context).unwrap()] {
            let Gradients { x, context } = trace.clone().vjp(cotangent).unwrap();
            assert!(same_numbers(&x, &expected.x) && same_numbers(&context, &expected.context), "{name}");
            assert!(same_numbers(&trace.vjp_context(cotangent).unwrap(), &expected.context), "{name}");
        }
    }
}

#[test]
fn jacobian_vector_products() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "jacobian"));
        let (x, tangent) = (case.get("x_T"), case.get("tangent"));
        for t in [981, 41] {
            let dual = Dual::variable(x.clone(), tangent.clone()).unwrap();
            let context: Dual = memscope_model::Value::constant(&case.get("context").narrow(0, 0, 1).unwrap());
            let output: Dual = model.predict(&dual, &[t], &context, None).unwrap();
            case.assert_close(&format!("output.t{t}"), memscope_model::Value::primal(&output), 1e-5);
            case.assert_close(&format!("jvp.t{t}"), &output.tangent().unwrap(), 1e-5);
        }
    }
}

/// Mean over heads and queries of every cross-attention map.
#[derive(Default)]
struct MeanAttention(Vec<Tensor>);

impl AttentionObserver for MeanAttention {
    fn wants(&self, _: &CrossAttentionLayer) -> bool {
        true
    }

    fn observe(&mut self, layer: &CrossAttentionLayer, probabilities: &Tensor) -> memscope_model::Result<()> {
        assert_eq!(layer.index, self.0.len(), "layers come in forward order");
        self.0.push(probabilities.mean(2)?.mean(1)?);
        Ok(())
    }
}

#[test]
fn attention_maps() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "attention"));
        let context = case.get("context");
        let prompts = context.dim(0).unwrap();
        let mut observer = MeanAttention::default();
        model.predict(&repeat(case.get("x_T"), prompts), &vec![981; prompts], context, Some(&mut observer)).unwrap();
        let layers = model.unet().cross_attention_layers();
        assert_eq!(layers.len(), observer.0.len());
        let heads: Vec<u32> = layers.iter().map(|layer| layer.heads as u32).collect();
        assert_eq!(heads, case.get("heads").to_dtype(DType::U32).unwrap().to_vec1::<u32>().unwrap());
        case.assert_close("pbar", &Tensor::stack(&observer.0, 1).unwrap(), 1e-4);
    }
}

/// The score of Jeon's metric: its factor on the output, docs/spec/protocol.md §5.
fn jeon_factor(model: &LatentDiffusion) -> f64 {
    let Scales { a, s } = model.schedule().scales(981).unwrap();
    match model.schedule().parameterization() {
        Parameterization::Epsilon => -1.0 / s,
        Parameterization::V => a / (s * s),
    }
}

#[test]
fn sharpness_of_jeon() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "jacobian"));
        let factor = jeon_factor(&model);
        let tangents = case.get("jeon.tangent");
        let prompts = tangents.dim(0).unwrap();
        let x = repeat(case.get("x_T"), prompts);
        let product = |context: &Tensor| {
            let dual = Dual::variable(x.clone(), tangents.clone()).unwrap();
            let output: Dual = model
                .predict(&dual, &vec![981; prompts], &<Dual as memscope_model::Value>::constant(context), None)
                .unwrap();
            (output.tangent().unwrap() * factor).unwrap()
        };
        case.assert_close("jeon.product.conditional", &product(case.get("context")), 1e-4);
        case.assert_close("jeon.product.unconditional", &product(&repeat(case.get("empty"), prompts)), 1e-4);
    }
}
