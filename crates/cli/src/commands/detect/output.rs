//! What `detect` writes and prints.

use std::path::Path;

use memscope_eval::{
    TableFile,
    prompts::PromptRows,
    score::{DetectionResult, DetectionRow},
};
use memscope_frames::{FrameColumn, InputColumn, Table};
use memscope_metric::ResolvedProtocol;
use memscope_model::{LatentDiffusion, WeightsOrigin};
use memscope_results::{
    ResultTable,
    table::{Cell, Column, ColumnKind},
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    args::Detect,
    output::{print_json, print_table},
};

/// The scores under one model.
pub(super) struct Measured {
    /// The scale of its LoRA file, where several are asked for.
    pub(super) lora_scale: Option<f64>,
    pub(super) model: MeasuredModel,
    pub(super) protocol: ResolvedProtocol,
    pub(super) result: DetectionResult,
}

/// What `--json` prints of a model.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    lora_scale: Option<f64>,
    #[serde(flatten)]
    model: &'a MeasuredModel,
    protocol: ResolvedProtocol,
    generator: String,
    generations: u16,
    #[serde(serialize_with = "json_rows")]
    results: &'a DetectionResult,
}

/// What the output says of the model, which is not needed any more then.
#[derive(Serialize)]
pub(super) struct MeasuredModel {
    model: String,
    fingerprint: String,
    #[serde(skip_serializing_if = "WeightsOrigin::is_unmarked")]
    weights: WeightsOrigin,
    parameterization: String,
    dtype: String,
    device: String,
}

impl MeasuredModel {
    pub(super) fn of(model: &LatentDiffusion) -> Self {
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

/// One object, or a list of them where several scales were asked for.
pub(super) fn show_json(args: &Detect, all: &[Measured]) -> anyhow::Result<()> {
    let reports: Vec<Report> = all
        .iter()
        .map(|measured| Report {
            lora_scale: measured.lora_scale,
            model: &measured.model,
            protocol: measured.protocol,
            generator: args.generator.to_string(),
            generations: args.generations,
            results: &measured.result,
        })
        .collect();
    match reports.as_slice() {
        [report] if report.lora_scale.is_none() => print_json(report),
        reports => print_json(&reports),
    }
}

/// Writes every row of the input that holds anything, in its order, once for each seed: its columns, then the seed and the
/// scores; all of it once for each scale of a LoRA file. A row without a prompt has no scores.
pub(super) fn write_scores(path: &Path, table: &Table, rows: &PromptRows, all: &[Measured]) -> anyhow::Result<()> {
    let Some(first) = all.first() else { return Ok(()) };
    let names = names(path, table, &own_columns(first, &[]));
    let input: Vec<InputColumn> = table.columns.iter().map(InputColumn::new).collect();
    let seeds = first.result.seeds.len();
    let mut file = TableFile::create(path)?;
    for measured in all {
        let is_blank = |row: usize| table.columns.iter().all(|column| column.cells.get(row).text().is_none());
        let mut lines = (0..rows.len()).filter(|row| !is_blank(*row)).flat_map(|row| {
            let prompt = rows.get(row);
            let scores = prompt.map_or(0..1, |_| 0..seeds);
            scores.map(move |seed| (row, prompt.map(|prompt| prompt * seeds + seed)))
        });
        loop {
            let (from, scores): (Vec<usize>, Vec<Option<usize>>) = lines.by_ref().take(PIECE).unzip();
            if from.is_empty() {
                break;
            }
            let input = input.iter().zip(&names);
            let input = input.map(|(column, name)| column.take(from.iter().copied()).with_name(name.as_str().into()));
            file.push(from.len(), input.chain(own_columns(measured, &scores)).collect())?;
        }
    }
    Ok(file.finish()?)
}

/// Lines that are written at once.
const PIECE: usize = 16_384;

/// The scale, where there are several, seed and scores.
fn own_columns(measured: &Measured, rows: &[Option<usize>]) -> Vec<FrameColumn> {
    let scale = measured.lora_scale.map(|scale| FrameColumn::new("lora_scale".into(), vec![scale; rows.len()]));
    scale.into_iter().chain(measured.result.frame(rows)).collect()
}

/// What the input's columns are called beside ours.
fn names(path: &Path, table: &Table, own: &[FrameColumn]) -> Vec<String> {
    let mut taken: Vec<String> = own.iter().map(|column| column.name().to_string()).collect();
    let mut names = vec![];
    for column in &table.columns {
        let name = free_name(&column.name, &taken);
        if name != column.name {
            tracing::warn!("the input's column '{}' is called '{name}' in {}", column.name, path.display());
        }
        taken.push(name.clone());
        names.push(name);
    }
    names
}

/// A name, or one made from it that no other column has.
pub(crate) fn free_name(name: &str, taken: &[String]) -> String {
    let is_free = |name: &String| !taken.contains(name);
    let made = (1..).map(|i| if i == 1 { format!("input_{name}") } else { format!("input_{name}_{i}") });
    std::iter::once(name.to_owned()).chain(made).find(is_free).unwrap_or_default()
}

/// A row as an object.
struct JsonRow<'a>(&'a DetectionResult, DetectionRow<'a>);

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

/// The scores as a table.
pub(super) fn show_table(args: &Detect, all: &[Measured]) -> anyhow::Result<()> {
    let Some(first) = all.first() else { return Ok(()) };
    let with_scale = first.lora_scale.is_some();
    let mut columns =
        vec![Column::new("prompt", "Prompt", ColumnKind::Text), Column::new("seed", "Seed", ColumnKind::Integer)];
    if with_scale {
        columns.insert(0, Column::new("lora_scale", "LoRA scale", ColumnKind::Number));
    }
    let names = first.result.columns.iter();
    columns.extend(names.map(|name| Column::new(name.as_str(), name.as_str(), ColumnKind::Number)));
    let mut table = ResultTable::new("detection", "Scores; higher means more likely memorized", columns)?;
    for Measured { lora_scale, result, .. } in all {
        for row in result.rows() {
            let mut cells: Vec<Cell> = lora_scale.iter().map(|scale| Cell::number(*scale, 3)).collect();
            cells.extend([Cell::text(row.prompt), Cell::integer(row.seed as i64)]);
            cells.extend(result.values.iter().map(|values| match values[row.at] {
                Some(value) => Cell::number(value, 4),
                None => Cell::missing("not measured"),
            }));
            table.push_row(cells)?;
        }
    }
    let model =
        |Measured { model, .. }: &Measured| format!("{}, {}", model.model, model.weights.label(&model.fingerprint));
    table.set_provenance("model", all.iter().map(model).collect::<Vec<_>>().join("; "));
    table.set_provenance("network", format!("{} on {}", first.model.dtype, first.model.device));
    table.set_provenance("protocol", format!("{}, {}", args.protocol, args.numerics));
    table.set_provenance("noise", format!("{}, {} generation(s)", args.generator, args.generations));
    print_table(&table)
}
