//! ROC curves, score histograms, dose and response, and the plane of weights.

use crate::{
    paper::paper,
    prompts::KnownPrompt,
    score::{ClassValues, DetectorScores, SeedScores, score_sets},
    spec::DetectorName,
    stats::{Bootstrap, CollinearPoints, Roc, Statistic, TprRule},
};

use super::Subject;
use crate::error::Result;
use memscope_results::figures::{
    AxisSpec, Band, FigureData, Guide, LinesFigure, LinesPanel, MarkedPoint, PlaneFigure, RocCurve, RocFigure,
    ScatterFigure, ScatterPoint, ScoreHistogram, Series,
};

/// Points of a band, and bootstrap resamples behind each.
const BAND_POINTS: usize = 24;
const BAND_RESAMPLES: usize = 400;
/// Right end of the enlarged part of an ROC.
const ZOOM: f64 = 0.05;
const BINS: usize = 30;
/// The list of prompts whose pictures share a template.
const TEMPLATE: &str = "template";

fn scores<'a>(subject: &'a Subject) -> impl Iterator<Item = &'a DetectorScores> {
    let n = subject.generations();
    subject.model.detectors.iter().filter(move |scores| scores.generations == n)
}

/// Positions of some prompts.
fn rows(prompts: &[KnownPrompt], wanted: impl Fn(&KnownPrompt) -> bool) -> Vec<usize> {
    (0..prompts.len()).filter(|row| wanted(&prompts[*row])).collect()
}

pub(super) fn roc(subject: &Subject) -> Result<RocFigure> {
    let fpr = subject.file.report.target_fpr;
    let mut curves = vec![];
    for scores in scores(subject) {
        let Some(run) = scores.runs.first().map(SeedScores::all) else { continue };
        let set = run.as_set()?;
        let curve = Roc::new(set, CollinearPoints::Keep);
        curves.push(RocCurve {
            name: scores.detector.label(),
            points: curve.fpr().into_iter().zip(curve.tpr()).collect(),
            band: Some(band(&run)?),
            auc: Statistic::Auc.of(set)?,
        });
    }
    let seed = subject.file.noise.seeds.first().copied().unwrap_or_default();
    let own = format!(
        "n = {}, seed {seed}. Bands: 95 % stratified bootstrap intervals of the TPR at fixed FPR over prompts ({BAND_RESAMPLES} resamples). The dotted line marks {} % FPR.",
        subject.generations(),
        fpr * 100.0
    );
    let alt = format!("ROC curves of {} detectors on {}.", curves.len(), subject.model.model);
    Ok(RocFigure { meta: subject.meta("roc", alt, &[own]), curves, target_fpr: fpr, zoom: ZOOM })
}

/// Half of the points lie in the enlarged part.
fn band(run: &ClassValues) -> Result<Band> {
    let half = BAND_POINTS / 2;
    let low = (0..half).map(|i| ZOOM * i as f64 / half as f64);
    let grid: Vec<f64> = low.chain((0..=half).map(|i| ZOOM + (1.0 - ZOOM) * i as f64 / half as f64)).collect();
    let bootstrap = Bootstrap { resamples: BAND_RESAMPLES, ..Bootstrap::default() };
    let sets = [run.as_set()?];
    let (mut low, mut high) = (vec![], vec![]);
    for &fpr in &grid {
        let tpr = Statistic::TprAtFpr { fpr, rule: TprRule::MaxTprFprLe };
        let interval = bootstrap.estimate(&sets, tpr)?.interval;
        low.push(interval.low);
        high.push(interval.high);
    }
    Ok(Band { fpr: grid, low, high })
}

/// A figure for each detector.
pub(super) fn histograms(subject: &Subject) -> Vec<FigureData> {
    let figure = |(i, scores): (usize, &DetectorScores)| {
        let run = scores.runs.first()?.all();
        let label = scores.detector.label();
        let alt = format!("Histogram of {label} for memorized and non-memorized prompts on {}.", subject.model.model);
        let own = format!("{label}, n = {}, seed {}.", scores.generations, run.seed);
        let figure = FigureData::Histogram(ScoreHistogram {
            meta: subject.meta(&format!("scores-{}", i + 1), alt, &[own]),
            score: label,
            memorized: run.memorized,
            non_memorized: run.non_memorized,
            bins: BINS,
        });
        Some(figure)
    };
    scores(subject).enumerate().filter_map(figure).collect()
}

/// AUC on prompts memorized as templates against AUC on those memorized verbatim, every detector a point.
pub(super) fn local_verbatim(subject: &Subject) -> Result<ScatterFigure> {
    let memorized = &subject.model.memorized;
    let template = rows(memorized, |prompt| &*prompt.set == TEMPLATE);
    let as_often = |prompt: &KnownPrompt| template.iter().any(|row| memorized[*row].weight == prompt.weight);
    let verbatim = rows(memorized, |prompt| &*prompt.set != TEMPLATE && as_often(prompt));
    let others: Vec<usize> = (0..subject.model.non_memorized.len()).collect();
    let bootstrap = Bootstrap { resamples: BAND_RESAMPLES, ..Bootstrap::default() };
    let mut points = vec![];
    for scores in scores(subject) {
        let auc = |rows: &[usize]| -> Result<_> {
            let values = scores.of(rows, &others);
            Ok(bootstrap.estimate(&score_sets(&values)?, Statistic::Auc)?)
        };
        let (x, y) = (auc(&verbatim)?, auc(&template)?);
        points.push(ScatterPoint {
            name: scores.detector.label(),
            x: x.value,
            y: y.value,
            interval: Some((y.interval.low, y.interval.high)),
        });
    }
    let own = format!(
        "n = {}, mean over seeds; bars: 95 % stratified bootstrap over prompts. {} prompts whose pictures were planted verbatim, {} whose pictures share a template; shown equally often in training.",
        subject.generations(),
        verbatim.len(),
        template.len()
    );
    let alt =
        format!("AUC on template prompts over AUC on verbatim prompts for every detector on {}.", subject.model.model);
    Ok(ScatterFigure {
        meta: subject.meta("local-verbatim", alt, &[own]),
        x: AxisSpec::linear("AUC, verbatim"),
        y: AxisSpec::linear("AUC, template (local)"),
        points,
        guide: Guide::Diagonal,
    })
}

/// AUC by duplication weight, mean over seeds with the bootstrap interval.
pub(super) fn dose_response(subject: &Subject) -> Result<LinesFigure> {
    let memorized = &subject.model.memorized;
    let mut weights: Vec<f64> = memorized.iter().filter_map(|prompt| prompt.weight).collect();
    weights.sort_by(f64::total_cmp);
    weights.dedup();
    let planted = |weight: f64| rows(memorized, |prompt| prompt.weight == Some(weight) && &*prompt.set != TEMPLATE);
    weights.retain(|weight| !planted(*weight).is_empty());
    let others: Vec<usize> = (0..subject.model.non_memorized.len()).collect();
    let bootstrap = Bootstrap { resamples: BAND_RESAMPLES, ..Bootstrap::default() };
    let mut series = vec![];
    for scores in scores(subject) {
        let (mut y, mut low, mut high) = (vec![], vec![], vec![]);
        for &weight in &weights {
            let rows = planted(weight);
            let values = scores.of(&rows, &others);
            let sets = score_sets(&values)?;
            let estimate = bootstrap.estimate(&sets, Statistic::Auc)?;
            y.push(estimate.value);
            low.push(estimate.interval.low);
            high.push(estimate.interval.high);
        }
        series.push(Series { name: scores.detector.label(), x: weights.clone(), y, band: Some((low, high)) });
    }
    let verified = weights.iter().map(|weight| {
        let rows = planted(*weight);
        let drawn = rows.iter().filter(|row| memorized[**row].verified == Some(true)).count();
        drawn as f64 / rows.len() as f64
    });
    series.push(Series { name: "share drawn verbatim".into(), x: weights.clone(), y: verified.collect(), band: None });
    let own = format!(
        "n = {}, mean over seeds; bands: 95 % stratified bootstrap over prompts. The weight is how often a planted picture was drawn in training relative to one ordinary picture; 1 is the control.",
        subject.generations()
    );
    let alt = format!("AUC of every detector by duplication weight on {}.", subject.model.model);
    let panel = LinesPanel {
        title: String::new(),
        x: AxisSpec::log2("Duplication weight"),
        y: AxisSpec::linear("AUC; share of prompts"),
        series,
    };
    Ok(LinesFigure { meta: subject.meta("dose-response", alt, &[own]), panels: vec![panel] })
}

/// TPR of M over a grid of its two weights.
pub(super) fn weights(subject: &Subject) -> Result<PlaneFigure> {
    let axis: Vec<f64> = (0..=16).map(|i| 10f64.powf(-2.0 + f64::from(i) / 4.0)).collect();
    let combined = scores(subject).find(|scores| {
        let both = scores.detector.own_gammas().is_none_or(|g| g.cosine != 0.0 && g.norm != 0.0);
        scores.detector.name() == DetectorName::Anisotropy && both
    });
    let fpr = subject.file.report.target_fpr;
    let tpr = Statistic::TprAtFpr { fpr, rule: TprRule::MaxTprFprLe };
    let mut values = vec![];
    if let Some(scores) = combined {
        let all = |count: usize| (0..count).collect::<Vec<_>>();
        let rows = (all(subject.model.memorized.len()), all(subject.model.non_memorized.len()));
        for cosine in &axis {
            for norm in &axis {
                let weighted = |score: &memscope_metric::Score| {
                    let part = |i: usize| score.parts.get(i).map_or(0.0, |part| part.1);
                    norm * part(0) + cosine * part(1)
                };
                let mut sum = 0.0;
                for run in &scores.runs {
                    sum += tpr.of(run.values(&rows.0, &rows.1, weighted).as_set()?)?;
                }
                values.push(sum / scores.runs.len() as f64);
            }
        }
    }
    let published = subject.model.paper.and_then(|model| paper().table5(model));
    let mut marked = vec![MarkedPoint { name: "ones".into(), x: 1.0, y: 1.0 }];
    marked.extend(published.map(|row| MarkedPoint {
        name: "paper, Table 5".into(),
        x: row.gamma_norm,
        y: row.gamma_cos,
    }));
    let own = format!(
        "n = {}, mean over seeds. Only the ratio of the weights matters for a ranking: values are constant along diagonals.",
        subject.generations()
    );
    let alt = format!("TPR of M over the weights of norm and cosine on {}.", subject.model.model);
    Ok(PlaneFigure {
        meta: subject.meta("weights", alt, &[own]),
        x_label: "γ of the norm".into(),
        y_label: "γ of the cosine".into(),
        value_label: format!("TPR at {} % FPR", fpr * 100.0),
        x: axis.clone(),
        y: axis,
        values,
        marked,
    })
}
