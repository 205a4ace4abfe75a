//! Costs from configurations alone, against published numbers and against the embedded models' own weights.

use candle_core::DType;
use memscope_model::{
    Blueprint, LatentDiffusion, ModelSource, ScheduleCheck,
    cost::{Flops, Pass, SamplesPerCall, Workload},
    memory::{AvailableMemory, MemoryBound},
};

fn blueprint(name: &str) -> Blueprint {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/configs");
    let source = ModelSource::folder(format!("{folder}/{name}"));
    Blueprint::read(&source, ScheduleCheck::Protocol).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Multiply-adds in thousand millions.
fn gmac(flops: f64) -> f64 {
    flops / 2e9
}

/// Work for batches of one kind of pass.
fn work(pass: Pass, batch: usize) -> Workload {
    let mut work = Workload { batch, prompts: batch, ..Workload::default() };
    work.add(pass, 1000, SamplesPerCall::PerPrompt(1));
    work
}

#[test]
fn parameters_are_the_published_ones() {
    let (sd14, sd20) = (blueprint("sd14").parameters(), blueprint("sd20").parameters());
    assert_eq!((sd14.unet, sd20.unet), (859_520_964, 865_910_724));
    assert_eq!((sd14.text_encoder, sd20.text_encoder), (123_060_480, 340_387_840));
    assert_eq!((sd14.vae, sd20.vae), (83_653_863, 83_653_863));
}

#[test]
fn operations_of_a_prediction_are_the_published_ones() {
    let Flops { convolution, dense, attention } = blueprint("sd14").prediction_flops();
    assert_eq!([convolution, dense, attention].map(|flops| gmac(flops).round()), [209.0, 129.0, 63.0]);
    assert_eq!(gmac(convolution + dense + attention).round(), 402.0);
    let sd20 = blueprint("sd20").prediction_flops().total();
    assert_eq!((sd20 / 1e10).round(), 215.0, "2.15 TFLOP at 96x96");
}

#[test]
fn the_text_encoder_and_the_vae_are_counted_too() {
    let sd14 = blueprint("sd14");
    // 85 million weights of the layers, 77 tokens, and attention among these.
    let layers = f64::from(123_060_480 - (49408 + 77) * 768);
    assert!((gmac(sd14.prompt_flops().total()) / (77.0 * layers / 1e9) - 1.0).abs() < 0.03);
    // The published count for one 512x512 picture is 1.24 TMAC of convolutions.
    assert!((gmac(sd14.image_flops().convolution) / 1240.0 - 1.0).abs() < 0.02, "{:?}", sd14.image_flops());
}

#[test]
fn parameters_are_those_of_the_weights() {
    for name in ModelSource::embedded_names() {
        let model = LatentDiffusion::load(&ModelSource::Embedded(name)).unwrap();
        let parameters = model.blueprint().parameters();
        let source = model.source().to_string();
        let numbers = |part: &str, stem: &str| -> u64 {
            let folder = source.strip_prefix("embedded:").unwrap();
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/embedded");
            let path = format!("{root}/{folder}/{part}/{stem}.safetensors");
            let bytes = std::fs::read(path).unwrap();
            let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            file.tensors().iter().map(|(_, t)| t.shape().iter().product::<usize>() as u64).sum()
        };
        assert_eq!(parameters.unet, numbers("unet", "diffusion_pytorch_model"), "{source}");
        assert_eq!(parameters.text_encoder, numbers("text_encoder", "model"), "{source}");
        assert_eq!(parameters.vae, numbers("vae", "diffusion_pytorch_model"), "{source}");
    }
}

#[test]
fn cross_attention_layers_are_named_without_weights() {
    let layers = blueprint("sd14").cross_attention_layers();
    assert_eq!(layers.len(), 16);
    assert_eq!(layers[3].path, "down_blocks.1.attentions.1.transformer_blocks.0.attn2");
    assert_eq!(layers[15].path, "up_blocks.3.attentions.2.transformer_blocks.0.attn2");
    assert!(layers.iter().enumerate().all(|(i, layer)| layer.index == i && layer.heads == 8));
}

#[test]
fn memory_grows_with_storage_batch_and_derivatives() {
    const UNET: u64 = 4 * 859_520_964;
    const TEXT_ENCODER: u64 = 4 * 123_060_480;
    let sd14 = blueprint("sd14");
    let need = |pass, batch, storage| sd14.memory(&work(pass, batch), storage);
    let one = need(Pass::Prediction, 1, DType::F32);
    assert_eq!(one.weights, UNET + TEXT_ENCODER);
    assert_eq!(need(Pass::Prediction, 1, DType::F16).weights, one.weights / 2);
    // What a prediction holds finds room where the text encoder was.
    assert!(one.working < TEXT_ENCODER / 10, "{one:?}");
    // A large network takes one sample after the other; only the text encoder, not large, takes a batch of prompts.
    let many = need(Pass::Prediction, 32, DType::F32).working;
    assert!(many >= one.working && many < TEXT_ENCODER, "{many} {one:?}");
    let beside_unet = |pass| {
        let need = need(pass, 1, DType::F32);
        need.weights + need.working - UNET
    };
    let gradient = beside_unet(Pass::Vjp);
    assert!(gradient > TEXT_ENCODER && gradient < UNET, "{gradient}");

    let emoji = Blueprint::read(&ModelSource::Embedded("emoji-eps".into()), ScheduleCheck::Protocol).unwrap();
    let small = |pass, batch| emoji.memory(&work(pass, batch), DType::F32).working;
    assert!(small(Pass::Prediction, 32) > small(Pass::Prediction, 1));
    assert!(small(Pass::Jvp, 32) > small(Pass::Prediction, 32));
}

/// Gradients that may keep more compute less again.
#[test]
fn traces_are_priced_by_what_they_may_keep() {
    let sd14 = blueprint("sd14");
    let one = sd14.prediction_flops();
    let costs = sd14.step_costs(1, (64, 64), 77, DType::F32);
    assert_eq!(costs.len(), 30);
    let all: u64 = costs.iter().map(|step| step.bytes).sum();
    let of_steps = costs.iter().map(|step| step.flops.total()).sum::<f64>() / one.total();
    // The embedding of the timestep stands before the steps.
    assert!((0.999..=1.0).contains(&of_steps), "{of_steps}");
    let work = |trace_memory| {
        let mut work = Workload { batch: 1, prompts: 1, trace_memory, ..Workload::default() };
        work.add(Pass::Vjp, 1, SamplesPerCall::PerPrompt(1));
        work
    };
    // In predictions, and in bytes.
    let price = |trace_memory| {
        let work = work(trace_memory);
        let flops = sd14.flops(&work).total() - sd14.prompt_flops().total();
        (flops / one.total(), sd14.memory(&work, DType::F32).total())
    };
    let (nothing, half, everything) = (price(0), price(all / 2), price(u64::MAX));
    let attention = one.attention / one.total();
    assert!((everything.0 - 2.0 - 1.5 * attention).abs() < 1e-9, "{everything:?}");
    // A convolution alone needs nothing for its way back.
    let keeping = costs.iter().filter(|step| step.bytes > 0).map(|step| step.flops.total()).sum::<f64>() / one.total();
    assert!((nothing.0 - everything.0 - keeping).abs() < 1e-9, "{nothing:?}");
    // What is worth the most comes first.
    assert!(everything.0 < half.0 && half.0 < everything.0 + 0.5 * keeping, "{half:?}");
    assert!(nothing.1 <= half.1 && half.1 < everything.1 && everything.1 <= nothing.1 + all);

    // Half of what is left beside a gradient that keeps nothing.
    let available = |bytes| AvailableMemory { bytes, bound: MemoryBound::Machine };
    let least = nothing.1;
    assert_eq!(sd14.trace_memory(DType::F32, available(least)), 0);
    assert_eq!(sd14.trace_memory(DType::F32, available(least + 1000)), 500);
    assert_eq!(sd14.trace_memory(DType::F32, available(0)), 0);
    // What may be kept is not needed.
    sd14.check_memory(&work(u64::MAX), DType::F32, available(least)).unwrap();
    assert!(sd14.check_memory(&work(u64::MAX), DType::F32, available(least - 1)).is_err());
}

#[test]
fn pictures_need_the_vae() {
    let sd14 = blueprint("sd14");
    let mut work = work(Pass::Prediction, 1);
    let without = sd14.memory(&work, DType::F32).total();
    work.images = 1;
    assert!(sd14.memory(&work, DType::F32).total() > without);
}

#[test]
fn a_workload_is_priced_by_its_passes() {
    let sd14 = blueprint("sd14");
    let one = sd14.prediction_flops();
    let mut work = Workload { batch: 1, ..Workload::default() };
    work.add(Pass::Prediction, 3, SamplesPerCall::PerPrompt(1));
    work.add(Pass::Jvp, 1, SamplesPerCall::PerPrompt(1));
    assert_eq!(sd14.flops(&work).convolution, 5.0 * one.convolution);
    assert_eq!(sd14.flops(&work).attention, 6.5 * one.attention);
    work.images = 1;
    assert!(sd14.flops(&work).total() > 6.0 * one.total());
}

#[test]
fn too_little_memory_is_an_error_that_says_what_to_do() {
    let sd14 = blueprint("sd14");
    let available = |gb: u64| AvailableMemory { bytes: gb * 1_000_000_000, bound: MemoryBound::ControlGroup };
    let work = work(Pass::Prediction, 32);
    sd14.check_memory(&work, DType::F32, available(5)).unwrap();
    sd14.check_memory(&work, DType::F16, available(3)).unwrap();
    let message = sd14.check_memory(&work, DType::F32, available(3)).unwrap_err().to_string();
    for word in ["3.0 GB", "container", "--dtype f16", "--ignore-memory"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    let message = sd14.check_memory(&work, DType::F16, available(2)).unwrap_err().to_string();
    assert!(!message.contains("--dtype"), "{message}");
}

#[test]
fn a_calibration_gives_seconds() {
    let model = Blueprint::read(&ModelSource::Embedded("emoji-eps".into()), ScheduleCheck::Protocol).unwrap();
    let clock = std::time::Instant::now();
    let speed = model.calibrate().unwrap();
    assert!(clock.elapsed().as_secs_f64() < 30.0, "it must stay a small part of any run");
    let seconds = |pass, calls| {
        let mut work = Workload { batch: 32, ..Workload::default() };
        work.add(pass, calls, SamplesPerCall::PerPrompt(1));
        model.seconds(&work, &speed)
    };
    let hundred = seconds(Pass::Prediction, 3200);
    assert!(hundred.is_finite() && hundred > 0.0);
    assert!((seconds(Pass::Prediction, 6400) / hundred - 2.0).abs() < 1e-9);
    assert!(seconds(Pass::Jvp, 3200) > 1.9 * hundred);
    assert!(speed.overall(&model) > 0.0);
    assert_eq!(model.seconds(&Workload::default(), &speed), 0.0);
}
