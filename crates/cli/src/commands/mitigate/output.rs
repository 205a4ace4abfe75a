//! What `mitigate` writes: before and after, and how losses fell.

use std::path::PathBuf;

use memscope_eval::{
    MeasurementStore,
    tasks::{Judging, Mitigations, PictureMetrics, PictureNames, UnitRecord},
};
use memscope_mitigation::Ending;
use memscope_model::LatentDiffusion;
use memscope_plots::{
    AxisSpec, Figure, Meta, Theme,
    figures::{LinesFigure, LinesPanel, Series},
};
use memscope_results::{
    ResultTable,
    table::{Cell, Column, ColumnKind},
};
use serde::Serialize;

use crate::args::Mitigate;

/// One method on one prompt.
#[derive(Serialize)]
pub(super) struct Report {
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
    copies: Option<Vec<bool>>,
    alignment: Option<Vec<f64>>,
    quality: Option<Vec<f64>>,
    pictures: Vec<PathBuf>,
}

/// What is stored of every unit; pictures under the names that they have for people.
pub(super) fn reports(
    task: &Mitigations,
    judging: &Judging,
    names: &PictureNames,
    store: &MeasurementStore,
) -> Vec<Report> {
    let report = |(unit, place): (usize, memscope_eval::tasks::Place)| {
        let UnitRecord { calls, ending, losses, seconds } = task.read(unit, store)?;
        let PictureMetrics { distance, diversity, similarity, copies, alignment, quality } =
            judging.read(unit, store)?;
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
            copies,
            alignment,
            quality,
            pictures: task.pictures_as(unit, names),
        })
    };
    task.places().filter_map(report).collect()
}

pub(super) fn warn(report: &Report) {
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
pub(super) fn write_losses(args: &Mitigate, model: &LatentDiffusion, reports: &[Report]) -> anyhow::Result<()> {
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

/// The table.
pub(super) fn summary(
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
    table
        .set_provenance("sampling", format!("{} DDIM steps, guidance {}", args.sampling.steps, args.sampling.guidance));
    table.set_provenance("judges", if judges.is_empty() { "none".to_owned() } else { judges.join("; ") });
    Ok(table)
}
