use std::{fs, path::PathBuf, rc::Rc};

use memscope_eval::{
    Error as EvalError, MeasurementStore,
    plan::{ModelPlan, StoredMeasurements},
    prompts::{KnownPrompt, PromptSource},
    run::execute,
    spec::{MitigationEntry, MitigationName, NoiseSharing},
    task::{CachePolicy, ModelIdentity, NoisePlan, Task},
    tasks::{Judging, Looks, Mitigations, PictureNames, PlannedMethod, TrainingPictures, UnitRecord},
};
use memscope_metric::Protocol;
use memscope_mitigation::Ending;
use memscope_model::{Blueprint, LatentDiffusion, NoisePrecision, Sampling, memory::size};
use memscope_plots::{
    AxisSpec, Figure, Meta, Theme,
    figures::{LinesFigure, LinesPanel, Series},
};
use memscope_results::{
    ResultTable,
    export::{ExportSet, Format},
    table::{Cell, Column, ColumnKind},
};
use serde::Serialize;

use crate::{
    args::Mitigate,
    commands::pictures,
    costs,
    exit_code::UserError,
    loading,
    messages::note,
    output::{print_json, print_table},
    progress::Progress,
};

/// One method on one prompt.
#[derive(Serialize)]
struct Report {
    prompt: String,
    method: String,
    ending: Ending,
    losses: Vec<f64>,
    network_calls: usize,
    seconds_mitigating: f64,
    seconds_drawing: f64,
    distance_to_training_picture: Option<Vec<f64>>,
    diversity: Option<f64>,
    similarity: Option<Vec<f64>>,
    alignment: Option<Vec<f64>>,
    quality: Option<Vec<f64>>,
    pictures: Vec<PathBuf>,
}

/// `memscope mitigate`.
pub(crate) fn run(args: &Mitigate) -> anyhow::Result<()> {
    if !args.guidance.is_finite() {
        return Err(UserError::input(format!("--guidance {} is not a number", args.guidance)).into());
    }
    let prompts = read_prompts(args)?;
    let training = TrainingPictures::find(&prompts, args.training_pictures.as_deref())?;
    let judges = match &args.judges {
        Some(given) => pictures::find(Some(given))?,
        None => None,
    };
    let mut progress = Progress::install()?;
    let mut store = MeasurementStore::in_memory();
    let plan = || -> anyhow::Result<ModelPlan> {
        let (blueprint, execution) = (loading::blueprint(&args.model, &progress)?, args.model.options().execution);
        let model = ModelIdentity::planned(&blueprint, execution, String::new());
        let (task, stored) = (task(args, &blueprint, prompts.clone(), model)?, (&store, StoredMeasurements::Known));
        Ok(ModelPlan::of_task(&blueprint, execution, &task, stored, CachePolicy::Replace))
    };
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, plan);
    }
    let planned = plan()?;
    say_costs(&planned)?;
    let model = loading::open(&args.model, &planned)?;
    let task = Rc::new(task(args, model.blueprint(), prompts, ModelIdentity::of(&model))?);
    check_free(args, &task)?;
    for known in &task.prompts {
        if let Some(cut) = model.tokenizer().encode(&known.text).cut {
            tracing::warn!("the model does not read the end of the prompt: '{cut}'");
        }
    }
    let judging = Judging::new(task.clone(), training, judges);
    execute(&*task, &model, &mut store, CachePolicy::Reuse, &mut progress)?;
    execute(&judging, &model, &mut store, CachePolicy::Reuse, &mut progress)?;
    let reports = reports(&task, &judging, &store);
    reports.iter().for_each(warn);
    write_losses(args, &model, &reports)?;
    let summary = summary(args, &model, &reports, &judging.judges()?)?;
    ExportSet::open(&args.out, "summary", &[Format::Csv, Format::Markdown])?.write(&summary)?;
    note(&format!("written to {}", args.out.display()));
    if args.json { print_json(&reports) } else { print_table(&summary) }
}

/// The prompts that are named and those of a list.
fn read_prompts(args: &Mitigate) -> anyhow::Result<Vec<KnownPrompt>> {
    let plain = |text: &String| KnownPrompt {
        text: text.as_str().into(),
        set: "command line".into(),
        weight: None,
        verified: None,
        reproduction: None,
        image: None,
    };
    let source = args.model.source()?;
    let mut all: Vec<KnownPrompt> = args.prompts.iter().map(plain).collect();
    if let Some(list) = &args.prompt_list {
        let named = PromptSource::of_argument(list)
            .map_err(|reason| UserError::input(format!("--prompts {list}: {reason}")))?;
        let list = named.load(&source)?;
        list.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        all.extend(list.prompts);
    }
    // A prompt of the program's own lists has its training picture.
    let known = PromptSource::Embedded(memscope_eval::prompts::EmbeddedSet::Verbatim).load(&source)?.prompts;
    for prompt in &mut all {
        if let Some(planted) = known.iter().find(|planted| planted.text == prompt.text) {
            prompt.image = prompt.image.take().or_else(|| planted.image.clone());
        }
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|prompt| seen.insert(prompt.text.clone()));
    all.truncate(args.limit.map_or(usize::MAX, usize::from));
    Ok(all)
}

/// Every method on every prompt; none comes first.
fn task(
    args: &Mitigate,
    blueprint: &Blueprint,
    prompts: Vec<KnownPrompt>,
    model: ModelIdentity,
) -> anyhow::Result<Mitigations> {
    let protocol = Protocol::from(args.protocol);
    let mut entries: Vec<MitigationEntry> = args.methods.clone();
    if !entries.iter().any(|entry| entry.name() == MitigationName::None) {
        entries.insert(0, memscope_eval::spec::entry_of_text("none")?);
    }
    let labels: Vec<String> = entries.iter().map(MitigationEntry::label).collect();
    if let Some((_, label)) = labels.iter().enumerate().find(|(i, label)| labels[..*i].contains(label)) {
        let message = format!("--method: '{label}' is given twice; give each a label: '{{name: ..., label: ...}}'");
        return Err(UserError::input(message).into());
    }
    let method = |(entry, label): (&MitigationEntry, String)| {
        Ok(PlannedMethod { label, method: entry.build(&protocol, blueprint)? })
    };
    let methods = entries.iter().zip(labels).map(method).collect::<Result<Vec<_>, EvalError>>()?;
    Ok(Mitigations {
        model,
        noise: NoisePlan {
            generator: args.generator,
            precision: NoisePrecision::F32,
            seeds: vec![args.seed],
            generations: usize::from(args.count),
            sharing: NoiseSharing::Shared,
        },
        methods,
        prompts,
        sampling: Sampling { steps: usize::from(args.steps), guidance: args.guidance },
        detectors: vec![],
        names: PictureNames::Plain(args.out.clone()),
    })
}

/// Time and memory, before anything is loaded.
fn say_costs(plan: &ModelPlan) -> anyhow::Result<()> {
    let estimate = plan.estimate(plan.calibrate()?.as_ref());
    let seconds = estimate.seconds.map_or_else(|| "an unknown time".to_owned(), |s| format!("about {s:.0} s"));
    note(&format!(
        "at most {} network calls, {seconds} and {} of memory",
        estimate.drawing_calls,
        size(estimate.memory.total())
    ));
    Ok(())
}

/// Refuses to replace files; removes them where that is wanted, so that they are made anew.
fn check_free(args: &Mitigate, task: &Mitigations) -> anyhow::Result<()> {
    let others = ["loss.csv", "loss.svg", "summary.csv", "summary.md"].map(|name| args.out.join(name));
    let pictures = (0..task.units()).flat_map(|unit| task.pictures(unit));
    for path in pictures.chain(others) {
        if fs::symlink_metadata(&path).is_err() {
            continue;
        }
        if !args.overwrite {
            let message = format!("{} is there; give another --out, or --overwrite", path.display());
            return Err(UserError::output(message).into());
        }
        fs::remove_file(&path).map_err(|source| EvalError::Write { path, source })?;
    }
    Ok(())
}

fn reports(task: &Mitigations, judging: &Judging, store: &MeasurementStore) -> Vec<Report> {
    let report = |(unit, place): (usize, memscope_eval::tasks::Place)| {
        let UnitRecord { calls, ending, losses, seconds } = task.read(unit, store)?;
        let Looks { distance, diversity, similarity, alignment, quality } = judging.read(unit, store)?;
        Some(Report {
            prompt: task.prompts[place.prompt].text.to_string(),
            method: task.methods[place.method].label.clone(),
            ending,
            losses,
            network_calls: calls,
            seconds_mitigating: seconds.0,
            seconds_drawing: seconds.1,
            distance_to_training_picture: distance,
            diversity,
            similarity,
            alignment,
            quality,
            pictures: task.pictures(unit),
        })
    };
    task.places().filter_map(report).collect()
}

fn warn(report: &Report) {
    let Report { prompt, method, losses, .. } = report;
    match report.ending {
        Ending::NonFinite => {
            tracing::warn!("{method}, '{prompt}': NaN or infinity ended the optimisation; the last good one was drawn");
        }
        Ending::NotReached => {
            let last = losses.last().map_or_else(String::new, |loss| format!("; the loss is {loss:.4}"));
            tracing::warn!("{method}, '{prompt}': the target was not reached{last}");
        }
        Ending::Done | Ending::Reached => {}
    }
}

/// A figure with more lines than can be told apart helps nobody.
const MOST: usize = 12;

/// loss.csv and loss.svg, where something was optimised.
fn write_losses(args: &Mitigate, model: &LatentDiffusion, reports: &[Report]) -> anyhow::Result<()> {
    let curves: Vec<&Report> = reports.iter().filter(|report| !report.losses.is_empty()).collect();
    if curves.is_empty() {
        return Ok(());
    }
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut csv = "prompt,method,step,loss\n".to_owned();
    let mut methods: Vec<&str> = vec![];
    for report in &curves {
        if !methods.contains(&report.method.as_str()) {
            methods.push(&report.method);
        }
        for (step, loss) in report.losses.iter().enumerate() {
            csv.push_str(&format!("{},{},{step},{loss}\n", quoted(&report.prompt), quoted(&report.method)));
        }
    }
    memscope_results::files::write_file(&args.out.join("loss.csv"), csv.as_bytes())?;
    let panel = |method: &&str| LinesPanel {
        title: (*method).to_owned(),
        x: AxisSpec::linear("Step"),
        y: AxisSpec::linear("Loss"),
        series: curves
            .iter()
            .filter(|report| report.method == *method)
            .take(MOST)
            .map(|report| Series {
                name: report.prompt.chars().take(40).collect(),
                x: (0..report.losses.len()).map(|step| step as f64).collect(),
                y: report.losses.clone(),
                band: None,
            })
            .collect(),
    };
    let caption = format!(
        "{}, {}. Noise {}, seed {}. The loss before each step and after the last one; at most {MOST} prompts.",
        model.source(),
        model.weights_label(),
        args.generator,
        args.seed
    );
    let alt = "Loss of each prompt over the steps of its optimisation.".to_owned();
    let meta = Meta { name: "loss".into(), alt, caption: vec![caption] };
    let figure = LinesFigure { meta, panels: methods.iter().map(panel).collect() };
    memscope_results::files::write_file(&args.out.join("loss.svg"), figure.svg(Theme::Light)?.as_bytes())?;
    Ok(())
}

fn summary(
    args: &Mitigate,
    model: &LatentDiffusion,
    reports: &[Report],
    judges: &[String],
) -> anyhow::Result<ResultTable> {
    let number = |key: &str, header: &str| Column::new(key, header, ColumnKind::Number);
    let columns = vec![
        Column::new("prompt", "Prompt", ColumnKind::Text),
        Column::new("method", "Method", ColumnKind::Text),
        number("distance", "RMS to training"),
        number("diversity", "Diversity"),
        number("similarity", "Similarity"),
        number("alignment", "Alignment"),
        number("quality", "Quality"),
        number("first_loss", "Loss before"),
        number("last_loss", "Loss after"),
        Column::new("ending", "Ending", ColumnKind::Text),
        Column::new("calls", "Calls", ColumnKind::Integer),
        number("seconds", "Time").with_unit("s"),
    ];
    let mut table = ResultTable::new("summary", "Before and after", columns)?;
    let mean = |values: &Option<Vec<f64>>, absent: &str| match values {
        Some(values) if !values.is_empty() => Cell::number(values.iter().sum::<f64>() / values.len() as f64, 3),
        _ => Cell::missing(absent),
    };
    for report in reports {
        let loss = |loss: Option<&f64>| loss.map_or_else(|| Cell::missing("no loss"), |loss| Cell::number(*loss, 4));
        table.push_row(vec![
            Cell::text(&report.prompt),
            Cell::text(&report.method),
            mean(&report.distance_to_training_picture, "no training picture"),
            report.diversity.map_or_else(|| Cell::missing("one picture"), |value| Cell::number(value, 3)),
            mean(&report.similarity, "no judge or training picture"),
            mean(&report.alignment, "no judge"),
            mean(&report.quality, "no judge"),
            loss(report.losses.first()),
            loss(report.losses.last()),
            Cell::text(match report.ending {
                Ending::Done => "done",
                Ending::Reached => "target reached",
                Ending::NotReached => "target not reached",
                Ending::NonFinite => "NaN",
            }),
            Cell::integer(report.network_calls as i64),
            Cell::number(report.seconds_mitigating + report.seconds_drawing, 2),
        ])?;
    }
    table.set_provenance("model", format!("{}, {}", model.source(), model.weights_label()));
    table.set_provenance("noise", format!("{}, seed {}, {} pictures a prompt", args.generator, args.seed, args.count));
    table.set_provenance("sampling", format!("{} DDIM steps, guidance {}", args.steps, args.guidance));
    table.set_provenance("judges", if judges.is_empty() { "none".to_owned() } else { judges.join("; ") });
    Ok(table)
}
