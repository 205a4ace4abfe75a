//! Every kind of task: the dry run's network calls are those that an execution makes, counted by the model itself; a second
//! execution finds everything.

use std::path::Path;

use memscope_eval::{
    MeasurementStore,
    plan::{
        CachePolicy, KnownRecords, ModelIdentity, NoisePlan, NoiseSharing, PlannedRecords, Planner, Price, Task, price,
    },
    run::{Observer, Watch, execute},
    spec::{DetectorEntry, DetectorName, ExperimentFile},
    tasks::{Detection, Generate, TokenGradients, TokenNorm},
};
use memscope_metric::Protocol;
use memscope_model::{LatentDiffusion, ModelSource, NoiseGenerator, NoisePrecision, Sampling};

struct Quiet {
    /// Units after which the user asks to stop.
    stop_after: usize,
    seen: usize,
}

impl Quiet {
    fn new() -> Self {
        Self { stop_after: usize::MAX, seen: 0 }
    }
}

impl Watch for Quiet {
    fn progress(&mut self, _: usize, _: usize) {
        self.seen += 1;
    }

    fn stop_requested(&self) -> bool {
        self.seen > self.stop_after
    }
}

impl Observer for Quiet {
    fn model(&mut self, _: &ModelSource) {}

    fn warn(&mut self, _: &memscope_eval::Warning) {}
}

fn model() -> LatentDiffusion {
    LatentDiffusion::load(&ModelSource::Embedded("emoji-eps".into())).unwrap()
}

fn noise(seeds: &[u64], generations: usize, sharing: NoiseSharing) -> NoisePlan {
    NoisePlan {
        generator: NoiseGenerator::A6000,
        precision: NoisePrecision::F32,
        seeds: seeds.to_vec(),
        generations,
        sharing,
    }
}

fn dry_run(task: &dyn Task, store: &MeasurementStore) -> Price {
    price(task, &mut KnownRecords::new(store, &mut PlannedRecords::default()), CachePolicy::Reuse)
}

/// The price of what a store lacks equals what the model then counts.
#[track_caller]
fn assert_dry_run_is_run(model: &LatentDiffusion, task: &dyn Task, store: &mut MeasurementStore) {
    let price = dry_run(task, store);
    assert_eq!(price.calls.total(), price.work.calls(), "calls and passes are the same thing");
    let before = model.predicted_samples();
    let calls = execute(task, model, store, CachePolicy::Reuse, &mut Quiet::new()).unwrap();
    assert_eq!(model.predicted_samples() - before, price.calls.total(), "the model's own count");
    let parts = |calls: &memscope_eval::plan::Calls| {
        let own: usize = calls.measuring.measures.values().map(|measure| measure.own_calls).sum();
        let shared = (calls.measuring.conditional_calls, calls.measuring.unconditional_calls);
        (shared, own, calls.measuring.measurements(), calls.timing, calls.drawing)
    };
    assert_eq!(parts(&calls), parts(&price.calls));
}

/// The same for everything, for nothing once more, and for what a stopped run leaves.
#[track_caller]
fn assert_task(model: &LatentDiffusion, task: &dyn Task, stop_after: usize) {
    let mut store = MeasurementStore::in_memory();
    let mut watch = Quiet { stop_after, seen: 0 };
    let whole = dry_run(task, &store);
    assert!(whole.calls.total() > 0);
    let stopped = execute(task, model, &mut store, CachePolicy::Reuse, &mut watch);
    assert!(stopped.is_err(), "the run was stopped");
    assert!(dry_run(task, &store).calls.total() < whole.calls.total() || task.units() == 1, "something was kept");
    assert_dry_run_is_run(model, task, &mut store);
    assert_eq!(dry_run(task, &store).calls.total(), 0);
    assert_dry_run_is_run(model, task, &mut store);
}

fn detection(model: &LatentDiffusion, names: &[DetectorName], sharing: NoiseSharing) -> Detection {
    let protocol = Protocol::default().resolve(model.schedule().parameterization()).unwrap();
    let build = |name: &DetectorName| (*name, DetectorEntry::from(*name).build(protocol, model.blueprint()).unwrap());
    Detection { detectors: names.iter().map(build).collect(), noise: noise(&[42, 7], 2, sharing), batch: 2 }
}

fn prompts() -> Vec<String> {
    ["red heart", "blue car", "moon", "tree", "fish"].map(str::to_owned).to_vec()
}

#[test]
fn measurements_of_all_detectors() {
    let model = model();
    let detection = detection(&model, DetectorName::ALL, NoiseSharing::Shared);
    assert_task(&model, &detection.task(ModelIdentity::of(&model), &prompts()), 3);
}

#[test]
fn measurements_with_noise_of_its_own_for_each_prompt() {
    let model = model();
    let detection = detection(&model, &[DetectorName::Anisotropy, DetectorName::Jeon], NoiseSharing::PerPrompt);
    assert_task(&model, &detection.task(ModelIdentity::of(&model), &prompts()), 3);
}

/// More prompts than are encoded together: what is held does not grow with them, and each prompt's numbers are, to the bit,
/// those of a shorter list.
#[test]
fn a_long_list_is_encoded_in_slabs() {
    const SLAB: usize = 1024;
    let model = model();
    let prompts: Vec<String> = (0..SLAB + 40).map(|i| format!("prompt number {i}")).collect();
    let wen = Detection { batch: 32, ..detection(&model, &[DetectorName::Wen], NoiseSharing::Shared) };
    let wen = Detection { noise: noise(&[42], 1, NoiseSharing::Shared), ..wen };
    let (mut long, mut short) = (MeasurementStore::in_memory(), MeasurementStore::in_memory());
    let task = wen.task(ModelIdentity::of(&model), &prompts);
    assert_eq!(dry_run(&task, &long).work.prompts, prompts.len() + 1, "each once, and the empty one");
    assert_dry_run_is_run(&model, &task, &mut long);
    let few = wen.task(ModelIdentity::of(&model), &prompts[..64]);
    execute(&few, &model, &mut short, CachePolicy::Reuse, &mut Quiet::new()).unwrap();
    let scores = |store, of: &[String]| {
        let values = memscope_eval::score::DetectionResult::read(&wen, &model, of, store).unwrap().values;
        values[0].iter().map(|value| value.unwrap().to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(scores(&long, &prompts)[..64], scores(&short, &prompts[..64]));
    // Under two noises the second slab's prompts come again.
    let two = Detection { noise: noise(&[42, 7], 1, NoiseSharing::Shared), ..wen };
    let task = two.task(ModelIdentity::of(&model), &prompts);
    let nothing = MeasurementStore::in_memory();
    assert_eq!(dry_run(&task, &nothing).work.prompts, 2 * prompts.len() + 1);
}

#[test]
fn token_gradients() {
    let model = model();
    let noise = noise(&[42], 2, NoiseSharing::Shared);
    for norm in [TokenNorm::OfEachNoise, TokenNorm::OverAllNoises] {
        assert_task(&model, &TokenGradients::new(ModelIdentity::of(&model), prompts(), noise.clone(), norm), 2);
    }
}

#[test]
fn images() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let task = Generate {
        prompt: "moon".into(),
        generator: NoiseGenerator::A6000,
        seed: 42,
        count: 2,
        sampling: Sampling { steps: 5, guidance: 7.5 },
        model: "emoji-eps".into(),
        folder: folder.path().join("images"),
        existing: memscope_results::files::Existing::Replace,
    };
    assert_task(&model, &task, 2);
    // An empty picture does not count.
    std::fs::write(&task.paths()[0], b"").unwrap();
    assert_dry_run_is_run(&model, &task, &mut MeasurementStore::in_memory());
}

/// Detection, analyses, times and a gallery, as an experiment plans and runs them.
#[test]
fn an_experiment_of_all_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "\
name: kinds
title: Every kind
tables: [detection, spectrum, alignment]
models: [{source: 'embedded:emoji-eps'}]
prompts: {memorized: embedded:verified, non_memorized: embedded:general, limit: 2}
noise: {seeds: [42], generations: 1}
detectors: [{name: wen, label: w50, steps: 50}, {name: ren, mode: D}, {name: jeon}, {name: anisotropy}]
analyses: [{spectrum: {timesteps: [981], probe_vectors: 3}}, {field: {t: 1}}]
gallery: {prompts: 1, images: 2}
report: {generations: [1], resamples: 50, timing: true}
";
    let yaml =
        yaml.replace(", spectrum, alignment]", ", spectrum]").replace("{name: wen, label: w50, steps: 50}, ", "");
    let experiment = ExperimentFile::parse("kinds.yaml", &yaml).unwrap().check("kinds.yaml").unwrap();
    let results = folder.path();
    let planned = |policy| {
        let mut planner = Planner::new(results);
        let model = experiment.models().next().unwrap();
        let plan = planner.plan(&experiment, &results.join("kinds"), policy, model).unwrap();
        let again = planner.plan(&experiment, &results.join("kinds"), CachePolicy::Reuse, model).unwrap();
        assert_eq!(again.calls().total(), 0, "a later plan finds what an earlier one measures");
        plan.calls()
    };
    let run = |policy| memscope_eval::run::run(&experiment, results, policy, "test", &mut Quiet::new()).unwrap();
    let whole = planned(CachePolicy::Reuse);
    assert!(!Path::new(&results.join("answers")).exists(), "a plan writes nothing");
    assert!(whole.timing > 0 && whole.drawing > 0 && whole.measuring.network_calls() > 0);
    assert_eq!(run(CachePolicy::Reuse).calls, whole.total());
    assert_eq!((planned(CachePolicy::Reuse).total(), run(CachePolicy::Reuse).calls), (0, 0));
    assert_eq!(planned(CachePolicy::Replace).total(), whole.total());
}
