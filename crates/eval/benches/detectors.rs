//! Every detector on ten prompts under one noise, as `memscope detect` runs it: text encoding included.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use memscope_bench_support::criterion;
use memscope_eval::{
    MeasurementStore,
    prompts::PromptTexts,
    run::execute,
    score::DetectionResult,
    spec::{DetectorEntry, DetectorName, NoiseSharing},
    task::{CachePolicy, ModelIdentity, NoisePlan, Watch},
    tasks::Detection,
};
use memscope_metric::Protocol;
use memscope_model::{LatentDiffusion, ModelSource, NoiseGenerator, NoisePrecision};

struct Quiet;

impl Watch for Quiet {
    fn progress(&mut self, _: usize, _: usize) {}

    fn stop_requested(&self) -> bool {
        false
    }
}

const PROMPTS: [&str; 10] =
    ["red heart", "green apple", "cat face", "blue car", "moon", "pizza", "tree", "umbrella", "fish", "ghost"];

fn detectors(c: &mut Criterion) {
    let model = LatentDiffusion::load(&ModelSource::Embedded("emoji-eps".into())).expect("an embedded model");
    let protocol = Protocol::default().resolve(model.schedule().parameterization()).expect("the default protocol");
    let prompts: PromptTexts = PROMPTS.iter().collect();
    let mut group = c.benchmark_group("detect 10 prompts");
    for &name in DetectorName::ALL {
        group.bench_function(name.to_string(), |b| {
            b.iter(|| {
                let detection = Detection {
                    detectors: vec![(
                        name,
                        DetectorEntry::from(name).build(protocol, model.blueprint()).expect("a detector"),
                    )],
                    noise: NoisePlan {
                        generator: NoiseGenerator::A6000,
                        precision: NoisePrecision::F32,
                        seeds: vec![42],
                        generations: 1,
                        sharing: NoiseSharing::Shared,
                    },
                    batch: 32,
                };
                let task = detection.task(ModelIdentity::of(&model), &prompts);
                let mut store = MeasurementStore::in_memory();
                execute(&task, &model, &mut store, CachePolicy::Reuse, &mut Quiet).expect("measurements");
                black_box(DetectionResult::read(&detection, &model, &prompts, &store).expect("scores"))
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = detectors
}
criterion_main!(benches);
