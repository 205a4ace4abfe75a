use std::{path::Path, sync::Arc};

use memscope_eval::{
    prompts::{self, PromptFile},
    run::{Observer, execute},
    score::{DetectionResult, DetectionRow},
    shard::{ShardPlan, SingleTask},
    spec::{DetectorEntry, DetectorName, NoiseSharing, noise_precision},
    task::{ModelIdentity, NoisePlan},
    tasks::Detection,
    write_columns,
};
use memscope_frames::{FrameColumn, MOST_BYTES, OutputFormat, Table, column_of};
use memscope_metric::{Protocol, ResolvedProtocol};
use memscope_model::{Blueprint, LatentDiffusion, WeightsOrigin};
use memscope_results::{
    ResultTable, Results, Settings,
    shards::ShardChoice,
    table::{Cell, Column, ColumnKind},
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{run::policy, shard};
use crate::{
    args::Detect,
    cached, costs,
    exit_code::UserError,
    input, loading,
    messages::note,
    output::{print_json, print_table},
    progress::Progress,
    targets,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    model: &'a MeasuredModel,
    protocol: ResolvedProtocol,
    generator: String,
    generations: u16,
    #[serde(serialize_with = "json_rows")]
    results: &'a DetectionResult<'a>,
}

/// What the output says of the model, which is not needed any more then.
#[derive(Serialize)]
struct MeasuredModel {
    model: String,
    fingerprint: String,
    #[serde(skip_serializing_if = "WeightsOrigin::is_unmarked")]
    weights: WeightsOrigin,
    parameterization: String,
    dtype: String,
    device: String,
}

impl MeasuredModel {
    fn of(model: &LatentDiffusion) -> Self {
        Self {
            model: model.source().to_string(),
            fingerprint: model.fingerprint().to_owned(),
            weights: model.weights_origin(),
            parameterization: model.schedule().parameterization().to_string(),
            dtype: model.dtype().to_string(),
            device: model.device_name(),
        }
    }
}

/// `memscope detect`.
pub(crate) fn run(args: &Detect) -> anyhow::Result<()> {
    if let Some(path) = &args.out {
        OutputFormat::of(path)?;
        targets::check_writable(path)?;
    }
    let PromptFile { list, table: input, rows } = read_prompts(args)?;
    // Only the output needs the other columns.
    let input = args.out.as_deref().map(|path| (path, input, rows));
    let mut progress = Progress::install()?;
    list.warnings.iter().for_each(|warning| progress.warn(warning));
    let texts = list.into_texts();

    let (source, policy) = (args.model.source()?, policy(args.fresh));
    let store_folder = cached::folder(args.results.as_deref())?;
    let plan_of = |blueprint: &Blueprint| {
        let detection = detection(args, blueprint)?.0;
        let stored = (&*store_folder, policy);
        cached::plan(&args.model, blueprint, stored, |model| detection.task(model, &texts))
    };
    if let Some(choice) = args.part.shard {
        return run_shard(args, choice, &texts, &mut progress);
    }
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, || plan_of(&loading::blueprint(&args.model, &progress)?));
    }
    progress.model(&source);
    let blueprint = loading::blueprint(&args.model, &progress)?;
    let (detection, protocol) = detection(args, &blueprint)?;
    let model = loading::open(&args.model, &plan_of(&blueprint)?)?;
    let mut store = cached::open(&model, &store_folder)?;
    execute(&detection.task(ModelIdentity::of(&model), &texts), &model, &mut store, policy, &mut progress)?;
    let result = DetectionResult::read(&detection, &model, &texts, &store)?;
    result.warnings.iter().for_each(|warning| progress.warn(warning));
    let measured = MeasuredModel::of(&model);
    // What the output of many prompts takes comes in the place of the networks' memory, not on top.
    drop((model, store));

    if let Some((path, table, rows)) = &input {
        write_scores(path, table, rows, &result)?;
        note(&format!("written to {}", path.display()));
    }
    if args.json {
        print_json(&Report {
            model: &measured,
            protocol,
            generator: args.generator.to_string(),
            generations: args.generations,
            results: &result,
        })
    } else if args.out.is_none() {
        print_table(&table(args, &measured, &result)?)
    } else {
        Ok(())
    }
}

/// Runs a part of it into the shards of the results folder.
fn run_shard(args: &Detect, choice: ShardChoice, texts: &[Arc<str>], progress: &mut Progress) -> anyhow::Result<()> {
    let Some(results) = &args.results else {
        return Err(UserError::input("--shard needs a folder for the shards: give --results DIR").into());
    };
    let (shard, results) = (shard::resolve(choice)?, Results::new(results));
    let blueprint = loading::blueprint(&args.model, progress)?;
    let (detection, _) = detection(args, &blueprint)?;
    let execution = args.model.options().execution;
    let work = SingleTask { blueprint, execution, task: |model| detection.task(model, texts) };
    let plan = ShardPlan::new(vec![Box::new(work)], Settings::new())?;
    if args.model.costs.dry_run {
        return shard::show_costs(&plan, shard, &results, ("detect", args.json, args.model.costs));
    }
    costs::check(&plan.costs(shard, &results)?, args.model.costs)?;
    let place = shard::Place { results: &results, name: "detect", command: &shard::own_command() };
    shard::run(&plan, &place, shard, args.json, progress)
}

/// The detectors and noises that the arguments ask for, and the options in force.
fn detection(args: &Detect, blueprint: &Blueprint) -> anyhow::Result<(Detection, ResolvedProtocol)> {
    let protocol = Protocol { numerics: Some(args.numerics), ..args.protocol.into() }
        .resolve(blueprint.schedule().parameterization())
        .map_err(|e| UserError::input(e.to_string()))?;
    // The columns norm, cosine and score are always there; --detector adds others.
    let mut names = [args.detectors.clone(), vec![DetectorName::Anisotropy]].concat();
    names.sort_unstable_by_key(|name| name.as_str());
    names.dedup();
    let build = |name: &DetectorName| Ok((*name, DetectorEntry::from(*name).build(protocol, blueprint)?));
    let detectors = names.iter().map(build).collect::<memscope_eval::Result<_>>()?;
    let detection = Detection {
        detectors,
        noise: NoisePlan {
            generator: args.generator,
            precision: noise_precision(args.numerics),
            seeds: args.seeds.clone(),
            generations: usize::from(args.generations),
            sharing: NoiseSharing::Shared,
        },
        batch: usize::from(args.batch),
    };
    Ok((detection, protocol))
}

fn read_prompts(args: &Detect) -> anyhow::Result<PromptFile> {
    let (path, column) = (&args.prompts, args.column.as_deref());
    if path == Path::new("-") {
        if column.is_some() {
            return Err(UserError::input("--column needs a table; standard input is one prompt a line").into());
        }
        return Ok(prompts::parse("standard input", &input::read_stdin(MOST_BYTES)?)?);
    }
    match path.to_str().and_then(|text| text.strip_prefix("paper:")) {
        Some(list) => Ok(prompts::published(list.parse().map_err(|e: String| UserError::input(e))?, column)?),
        None => Ok(prompts::read_file(path, column)?),
    }
}

/// Writes every row of the input that holds anything, in its order, once for each seed: its columns, then the seed and the
/// scores. A row without a prompt has no scores.
fn write_scores(path: &Path, table: &Table, rows: &[Option<usize>], result: &DetectionResult) -> anyhow::Result<()> {
    let is_blank = |row: usize| table.columns.iter().all(|column| column.cells[row].text().is_none());
    let seeds = result.seeds.len();
    let (mut from, mut scores) = (vec![], vec![]);
    for (row, prompt) in rows.iter().enumerate().filter(|(row, _)| !is_blank(*row)) {
        match prompt {
            Some(prompt) => (0..seeds).for_each(|seed| {
                from.push(row);
                scores.push(Some(prompt * seeds + seed));
            }),
            None => {
                from.push(row);
                scores.push(None);
            }
        }
    }
    let own = result.frame(&scores);
    let mut taken: Vec<String> = own.iter().map(|column| column.name().to_string()).collect();
    let mut columns: Vec<FrameColumn> = vec![];
    for column in &table.columns {
        let name = free_name(&column.name, &taken);
        if name != column.name {
            tracing::warn!("the input's column '{}' is called '{name}' in {}", column.name, path.display());
        }
        taken.push(name.clone());
        columns.push(column_of(column, &from.iter().copied()).with_name(name.into()));
    }
    columns.extend(own);
    Ok(write_columns(path, from.len(), columns)?)
}

/// A name, or one made from it that no other column has.
pub(crate) fn free_name(name: &str, taken: &[String]) -> String {
    let is_free = |name: &String| !taken.contains(name);
    let made = (1..).map(|i| if i == 1 { format!("input_{name}") } else { format!("input_{name}_{i}") });
    std::iter::once(name.to_owned()).chain(made).find(is_free).unwrap_or_default()
}

/// A row as an object.
struct JsonRow<'a>(&'a DetectionResult<'a>, DetectionRow<'a>);

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(result, row) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("prompt", row.prompt)?;
        map.serialize_entry("seed", &row.seed)?;
        for (column, values) in result.columns.iter().zip(&result.values) {
            map.serialize_entry(column, &values[row.at])?;
        }
        map.end()
    }
}

fn json_rows<S: Serializer>(result: &DetectionResult, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(result.rows().map(|row| JsonRow(result, row)))
}

fn table(args: &Detect, model: &MeasuredModel, result: &DetectionResult) -> anyhow::Result<ResultTable> {
    let mut columns =
        vec![Column::new("prompt", "Prompt", ColumnKind::Text), Column::new("seed", "Seed", ColumnKind::Integer)];
    columns.extend(result.columns.iter().map(|name| Column::new(name.as_str(), name.as_str(), ColumnKind::Number)));
    let mut table = ResultTable::new("detection", "Scores; higher means more likely memorized", columns)?;
    for row in result.rows() {
        let mut cells = vec![Cell::text(row.prompt), Cell::integer(row.seed as i64)];
        cells.extend(result.values.iter().map(|values| match values[row.at] {
            Some(value) => Cell::number(value, 4),
            None => Cell::missing("not measured"),
        }));
        table.push_row(cells)?;
    }
    table.set_provenance("model", format!("{}, {}", model.model, model.weights.label(&model.fingerprint)));
    table.set_provenance("network", format!("{} on {}", model.dtype, model.device));
    table.set_provenance("protocol", format!("{}, {}", args.protocol, args.numerics));
    table.set_provenance("noise", format!("{}, {} generation(s)", args.generator, args.generations));
    Ok(table)
}
