//! The UNet of an embedded model: forward, forward with J·v, forward with backward. A batch counts its samples.

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memscope_bench_support::criterion;
use memscope_model::{Dual, LatentDiffusion, ModelSource, Value};

fn unet(c: &mut Criterion) {
    let model = LatentDiffusion::load(&ModelSource::Embedded("emoji-eps".into())).expect("an embedded model");
    let (channels, height, width) = model.latent_shape();
    let prompt = model.encode_prompts(&["red heart"]).expect("a prompt").remove(0).embedding;
    for batch in [1, 32] {
        let shape = (batch, channels, height, width);
        let x = Tensor::randn(0f32, 1.0, shape, &Device::Cpu).expect("noise");
        let tangent = Tensor::randn(0f32, 1.0, shape, &Device::Cpu).expect("a tangent");
        let prompts = Tensor::stack(&vec![&prompt; batch], 0).expect("prompts");
        let timesteps = vec![981; batch];
        let mut group = c.benchmark_group(format!("unet/batch={batch}"));
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function("forward", |b| {
            b.iter(|| black_box(model.predict(&x, &timesteps, &prompts, None).expect("a prediction")));
        });
        group.bench_function("forward with J·v", |b| {
            let prompts: Dual = Value::constant(&prompts);
            b.iter(|| {
                let x = Dual::variable(x.clone(), tangent.clone()).expect("a dual number");
                black_box(model.predict(&x, &timesteps, &prompts, None).expect("a prediction"))
            });
        });
        group.bench_function("forward and backward", |b| {
            b.iter(|| {
                let x = Var::from_tensor(&x).expect("a variable");
                let output = model.predict(x.as_tensor(), &timesteps, &prompts, None).expect("a prediction");
                let loss = output.sqr().and_then(|squares| squares.sum_all()).expect("a loss");
                black_box(loss.backward().expect("gradients"))
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = unet
}
criterion_main!(benches);
