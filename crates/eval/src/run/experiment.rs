//! Runs an experiment into a results folder.

use std::time::Instant;

use memscope_model::{ModelSource, Schedule};
use memscope_results::{
    Folder, Results, RunCost, Warning,
    export::ExportSet,
    timing::{DetectorTiming, ModelTiming},
};

use super::{
    execute,
    gathered::{Gathered, Outcome, begin},
    loaded::LoadedTask,
    sheets::{sheet_rows, warn_of_mitigation},
};
use crate::{
    error::Result,
    frames,
    plan::PicturePlaces,
    report::{FORMATS, tables::ModelScores},
    score::{StoredPlan, read_mitigation, read_timings},
    spec::{Experiment, ModelEntry},
    store::MeasurementStore,
    task::{CachePolicy, KnownRecords, ModelIdentity, PlannedRecords, Watch, price},
};

/// Watches an experiment.
pub trait Observer: Watch {
    /// A model starts.
    fn model(&mut self, source: &ModelSource);
    /// Something worth knowing.
    fn warn(&mut self, warning: &Warning);
}

/// Runs an experiment: measures what is missing, then writes tables and measurements to `results/NAME`. `command` is how
/// a user repeats it. Stopped or killed, the same call goes on where it was.
///
/// # Errors
/// When an input cannot be read, the network fails, something cannot be written, or the user asked to stop.
pub fn run(
    experiment: &Experiment,
    results: impl Into<Results>,
    policy: CachePolicy,
    command: &str,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let results = results.into();
    run_into(&results.experiment(&experiment.file().name), experiment, &results, policy, command, observer)
}

/// The same into a folder of its own, with the stored measurements of `results`.
pub(super) fn run_into(
    folder: &Folder,
    experiment: &Experiment,
    results: &Results,
    policy: CachePolicy,
    command: &str,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let clock = Instant::now();
    let file = experiment.file();
    let open = begin(folder, experiment)?;
    let tables_folder = folder.tables();
    let targets = file
        .tables
        .iter()
        .map(|kind| Ok((*kind, ExportSet::open(&tables_folder, kind.name(&file.name).as_str(), FORMATS)?)));
    let targets = targets.collect::<Result<Vec<_>>>()?;

    let mut gathered = Gathered::new(experiment, open, command);
    for (source, entry) in experiment.models() {
        observer.model(source);
        measure(&mut gathered, (source, entry), (results, policy), observer)?;
    }
    gathered.finish(targets, clock)
}

/// Executes what is to be done with a model, and gathers what its numbers say.
fn measure(
    gathered: &mut Gathered,
    (source, entry): (&ModelSource, &ModelEntry),
    (results, policy): (&Results, CachePolicy),
    observer: &mut dyn Observer,
) -> Result<()> {
    let (experiment, file) = (gathered.experiment, gathered.experiment.file());
    let loaded = LoadedTask::load(experiment, source, entry)?;
    let (model, resolved) = (&loaded.model, &loaded.resolved);
    gathered.device = model.device_name();
    // No published number stands beside what random weights gave.
    let paper = entry.paper.filter(|_| model.weights_origin().is_unmarked());
    let name = source.to_string();
    let (gallery, shared) = (gathered.open.folder().gallery(), results.pictures());
    let places = PicturePlaces { gallery: &gallery, shared: &shared };
    let tasks = resolved.tasks(experiment, &ModelIdentity::of(model), places)?;
    let (mut cost, mut planned) = (RunCost::default(), RunCost::default());
    let (mut detectors, mut analyses, mut graded, mut mitigation) = (vec![], vec![], vec![], None);
    if experiment.needs_scores() {
        for warning in loaded.warnings() {
            observer.warn(&warning);
            gathered.warnings.push(warning);
        }
        let mut store = MeasurementStore::open(&results.answers(), model.fingerprint())?;
        for task in tasks.all() {
            let calls = execute(task, model, &mut store, policy, observer)?;
            cost.add(calls.measuring.clone());
            gathered.calls.add(calls);
        }
        let nothing = MeasurementStore::in_memory();
        for (_, plan) in &tasks.measurements {
            let mut records = PlannedRecords::default();
            let whole = price(plan, &mut KnownRecords::new(&nothing, &mut records), CachePolicy::Reuse);
            planned.add(whole.calls.measuring);
        }
        detectors = loaded.scores(&tasks, &store)?;
        analyses = loaded.analyses(&tasks, &store)?;
        graded = loaded.graded(&tasks, &store)?;
        let classes = (&*resolved.memorized.texts(), &*resolved.non_memorized.texts());
        let frames = match &mut gathered.frames {
            Some(frames) => frames,
            None => gathered.frames.insert(frames::Collector::create(
                &gathered.open.folder().measurements(),
                &gathered.open.folder().scores(),
            )?),
        };
        for (_, plan) in &tasks.measurements {
            frames.add_measurements(&name, &StoredPlan::new(plan, &store), classes)?;
        }
        let (memorized, non_memorized) = resolved.compared.texts();
        let compared = (&*memorized, &*non_memorized);
        detectors.iter().try_for_each(|scores| frames.add_scores(&name, scores, compared))?;
        if let Some((settings, (task, judging))) = file.mitigation.as_ref().zip(tasks.mitigation.as_ref()) {
            let built = resolved.detectors.iter().filter(|_| !task.detectors.is_empty());
            let entries: Vec<_> = built.map(|built| built.entry.clone()).collect();
            let mut result = read_mitigation(settings, (&**task, judging), &entries, &store);
            result.judges = judging.judges()?;
            warn_of_mitigation(&name, &result);
            if let Some(sheets) = settings.sheets {
                gathered.pictures.extend(sheet_rows(source, sheets, (&**task, judging), &mut gathered.open)?);
            }
            mitigation = Some(result);
        }
        if let Some(gallery) = &tasks.gallery {
            gathered.pictures.extend(gallery.rows(source)?);
        }
        if let Some(timing) = &tasks.timing {
            let detectors: Vec<DetectorTiming> = read_timings(timing, &store);
            let timing = ModelTiming { model: name.clone(), paper, detectors };
            gathered.timings.push((model.fingerprint().to_owned(), timing));
        }
    }
    gathered.records.push(loaded.record(&name, (cost, planned)));
    gathered.scores.push(ModelScores {
        model: name,
        paper,
        hyperparameters: loaded.hyperparameters(&file.noise.seeds),
        memorized: resolved.compared.memorized.clone(),
        non_memorized: resolved.compared.non_memorized.clone(),
        graded_prompts: resolved.graded.prompts.clone(),
        detectors,
        graded,
        analyses,
        mitigation,
        latent_shape: model.latent_shape(),
        sigmas: sigmas(model.schedule())?,
    });
    Ok(())
}

fn sigmas(schedule: &Schedule) -> Result<Vec<f64>> {
    (0..schedule.train_steps()).map(|t| Ok(schedule.scales(t)?.s)).collect()
}
