//! Every kind of task: the dry run's network calls are those that an execution makes, counted by the model itself; a second
//! execution finds everything.

use std::path::Path;

use memscope_eval::{
    MeasurementStore,
    plan::Planner,
    prompts::PromptTexts,
    run::{Observer, execute},
    spec::{DetectorEntry, DetectorName, ExperimentFile, MitigationEntry, MitigationName, NoiseSharing, entry_of_text},
    task::{CachePolicy, KnownRecords, ModelIdentity, NoisePlan, PlannedRecords, Price, Task, Watch, price},
    tasks::{
        CaptionedPicture, Detection, Generate, Judging, LossNoise, LossPicture, Mitigations, PictureLosses,
        PictureNames, PlannedMethod, Predictions, TokenGradients, TokenNorm, TrainingPicture, TrainingPictures,
    },
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

    fn warn(&mut self, _: &memscope_results::Warning) {}
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
    let parts = |calls: &memscope_eval::task::Calls| {
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

fn shared_prompts() -> PromptTexts {
    prompts().iter().collect()
}

#[test]
fn measurements_of_all_detectors() {
    let model = model();
    let detection = detection(&model, DetectorName::ALL, NoiseSharing::Shared);
    assert_task(&model, &detection.task(ModelIdentity::of(&model), shared_prompts()), 3);
}

#[test]
fn measurements_with_noise_of_its_own_for_each_prompt() {
    let model = model();
    let detection = detection(&model, &[DetectorName::Anisotropy, DetectorName::Jeon], NoiseSharing::PerPrompt);
    assert_task(&model, &detection.task(ModelIdentity::of(&model), shared_prompts()), 3);
}

/// More prompts than are encoded together: what is held does not grow with them, and each prompt's numbers are, to the bit,
/// those of a shorter list.
#[test]
fn a_long_list_is_encoded_in_slabs() {
    const SLAB: usize = 512;
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

/// Wen's norm of exported predictions is the detector's own score.
#[test]
fn predictions() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let task = Predictions {
        model: ModelIdentity::of(&model),
        noise: noise(&[42, 7], 2, NoiseSharing::Shared),
        timesteps: vec![981, 1],
        prompts: prompts(),
        batch: 2,
        folder: folder.path().join("predictions"),
    };
    assert_task(&model, &task, 3);
    let wen = Detection { noise: task.noise.clone(), ..detection(&model, &[DetectorName::Wen], NoiseSharing::Shared) };
    let (prompts, mut store) = (shared_prompts(), MeasurementStore::in_memory());
    execute(&wen.task(ModelIdentity::of(&model), &prompts), &model, &mut store, CachePolicy::Reuse, &mut Quiet::new())
        .unwrap();
    let scores = memscope_eval::score::DetectionResult::read(&wen, &model, &prompts, &store).unwrap();
    let mut norms = std::collections::BTreeMap::<(String, u64), Vec<f64>>::new();
    for file in task.files() {
        let bytes = std::fs::read(task.folder.join(&file.file)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let values = |name: &str| -> Vec<f64> {
            let data = tensors.tensor(name).unwrap().data().chunks(4);
            data.map(|value| f64::from(f32::from_le_bytes(value.try_into().unwrap()))).collect()
        };
        let (c, h, w) = model.latent_shape();
        assert_eq!(tensors.tensor("conditional").unwrap().shape(), [file.prompts.len(), 2, c, h, w]);
        assert_eq!(tensors.tensor("unconditional").unwrap().shape(), [2, c, h, w]);
        let (conditional, unconditional, size) = (values("conditional"), values("unconditional"), c * h * w);
        for (prompt, both) in file.prompts.iter().zip(conditional.chunks(2 * size)) {
            let squares = both[..size].iter().zip(&unconditional[..size]).map(|(c, u)| (c - u).powi(2));
            norms.entry((prompt.clone(), file.seed)).or_default().push(squares.sum::<f64>().sqrt());
        }
    }
    for row in scores.rows() {
        let norms = &norms[&(row.prompt.to_owned(), row.seed)];
        let (mean, own) = (norms.iter().sum::<f64>() / norms.len() as f64, scores.values[0][row.at].unwrap());
        assert!((mean - own).abs() <= 1e-5 * own, "{}: {mean} and {own}", row.prompt);
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

#[test]
fn losses_of_pictures() {
    let model = model();
    let list = "embedded:verbatim".parse::<memscope_eval::prompts::PromptSource>().unwrap();
    let captioned = |prompt: &memscope_eval::prompts::KnownPrompt| CaptionedPicture {
        prompt: prompt.text.clone(),
        picture: LossPicture::Given(TrainingPicture::of_program(prompt.image.as_deref().unwrap()).unwrap()),
    };
    let task = PictureLosses {
        model: ModelIdentity::of(&model),
        pictures: list.load(model.source()).unwrap().prompts[..4].iter().map(captioned).collect(),
        noise: LossNoise::of_drawn_pictures(NoiseGenerator::A6000, 42),
        batch: 2,
    };
    assert_task(&model, &task, 2);
}

/// Some mitigations of two prompts, with the scores of detectors on what is drawn.
fn mitigations(model: &LatentDiffusion, methods: &[&str], folder: &Path) -> Mitigations {
    let protocol = Protocol::default();
    let method = |text: &&str| {
        let entry: MitigationEntry = entry_of_text(text).unwrap();
        PlannedMethod { label: entry.label(), method: entry.build(&protocol, model.blueprint()).unwrap() }
    };
    let list =
        "embedded:verbatim".parse::<memscope_eval::prompts::PromptSource>().unwrap().load(model.source()).unwrap();
    let detection = detection(model, &[DetectorName::Wen, DetectorName::Jeon], NoiseSharing::Shared);
    Mitigations {
        model: ModelIdentity::of(model),
        noise: noise(&[42], 2, NoiseSharing::Shared),
        methods: methods.iter().map(method).collect(),
        prompts: list.prompts[..2].to_vec(),
        sampling: Sampling { steps: 3, guidance: 7.5 },
        detectors: detection.detectors.into_iter().map(|(_, detector)| detector).collect(),
        names: PictureNames::ByContent(folder.to_owned()),
    }
}

/// All mitigations, each with options that make it short.
const SHORT: [&str; 13] = [
    "none",
    "{name: wen, iterations: 2}",
    "{name: detector, loss: {name: anisotropy}, iterations: 2, batch: 1}",
    "{name: han, label: b, iterations: 1}",
    "ren",
    "{name: jain, label: s}",
    "{name: jain, label: d, mode: dynamic}",
    "{name: jain, label: o, mode: opposite_dynamic}",
    "{name: padding, label: e}",
    "{name: padding, label: m, mode: mask}",
    "{name: random_tokens, insertions: 2}",
    // These may end before their price is used up.
    "{name: anisotropy, iterations: 2}",
    "{name: jeon, budget: 2, steps: 2, rounds: 2, threshold: -100}",
];

#[test]
fn mitigations_and_what_is_seen_on_their_pictures() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let exact = SHORT.iter().take(SHORT.len() - 2).copied().collect::<Vec<_>>();
    assert_task(&model, &mitigations(&model, &exact, &folder.path().join("a")), 5);

    // What may end early costs no more than its price; all methods together, every kind once.
    let task = std::rc::Rc::new(mitigations(&model, &SHORT, &folder.path().join("b")));
    let named = |text: &&str| entry_of_text(text).unwrap().name();
    let mut names: Vec<MitigationName> = SHORT.iter().map(named).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, MitigationName::ALL);
    let mut store = MeasurementStore::in_memory();
    let price = dry_run(&*task, &store);
    let calls = execute(&*task, &model, &mut store, CachePolicy::Reuse, &mut Quiet::new()).unwrap();
    assert!(calls.total() <= price.calls.total());
    assert_eq!(dry_run(&*task, &store).calls.total(), 0);
    let training = TrainingPictures::find(&task.prompts, None).unwrap();
    assert_eq!(training.missing(), 0);
    let judging = Judging::new(task.clone(), training, None);
    execute(&judging, &model, &mut store, CachePolicy::Reuse, &mut Quiet::new()).unwrap();
    let mut losses = 0;
    for (unit, _) in task.places() {
        let (record, looks) = (task.read(unit, &store).unwrap(), judging.read(unit, &store).unwrap());
        assert!(record.calls >= 12, "two pictures of three steps, two predictions each");
        losses += usize::from(!record.losses.is_empty());
        assert_eq!(looks.distance.unwrap().len(), 2);
        assert!(looks.diversity.unwrap() > 0.0 && looks.similarity.is_none());
        assert_eq!(task.scores(unit, &store).unwrap().len(), 2);
    }
    assert_eq!(losses, 2 * 5, "five methods optimise");

    // A picture that is gone is drawn again, and is the same; what has been measured stays.
    let path = &task.pictures(3)[1];
    let before = std::fs::read(path).unwrap();
    std::fs::remove_file(path).unwrap();
    let calls = execute(&*task, &model, &mut store, CachePolicy::Reuse, &mut Quiet::new()).unwrap();
    assert!(calls.total() > 0 && calls.total() <= dry_run(&*task, &MeasurementStore::in_memory()).calls.total() / 20);
    assert_eq!(std::fs::read(path).unwrap(), before);
}

/// Detection, analyses, times, mitigations and a gallery, as an experiment plans and runs them.
#[test]
fn an_experiment_of_all_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "\
name: kinds
title: Every kind
tables: [detection, spectrum, alignment, mitigation, mitigation_differences, mitigation_detection]
figures: [trade_off]
models: [{source: 'embedded:emoji-eps'}]
prompts: {memorized: embedded:verified, non_memorized: embedded:general, limit: 2}
noise: {seeds: [42], generations: 1}
detectors: [{name: wen, label: w50, steps: 50}, {name: ren, mode: D}, {name: jeon}, {name: anisotropy}]
analyses: [{spectrum: {timesteps: [981], probe_vectors: 3}}, {field: {t: 1}}]
gallery: {prompts: 1, images: 2}
mitigation:
  images: 1
  steps: 3
  sheets: {prompts: 1, noises: 1}
  methods: [{name: none}, {name: wen, iterations: 1}, {name: detector, loss: {name: membench}, iterations: 1}]
report: {generations: [1], resamples: 50, timing: true}
";
    let yaml =
        yaml.replace(", spectrum, alignment,", ", spectrum,").replace("{name: wen, label: w50, steps: 50}, ", "");
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
