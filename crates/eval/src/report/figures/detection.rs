//! ROC curves, score histograms, dose and response, and the plane of weights.

use memscope_results::{
    figures::{
        AxisSpec, Band, FigureData, Guide, LinesFigure, LinesPanel, MarkedPoint, PlaneFigure, RocCurve, RocFigure,
        ScatterFigure, ScatterPoint, ScoreHistogram, Series,
    },
    paper::paper,
    scores::{ClassValues, score_sets},
    stats::{Bootstrap, CollinearPoints, Roc, ScoreSet, Statistic, TprRule},
};

use super::Subject;
use crate::{error::Result, prompts::KnownPrompt, score::DetectorScores, spec::DetectorName};

/// Points of a band on either scale, and bootstrap resamples behind each.
const BAND_POINTS: usize = 12;
const BAND_RESAMPLES: usize = 400;
const BINS: usize = 30;
/// The list of prompts whose pictures share a template.
const TEMPLATE: &str = "template";

fn scores<'a>(subject: &'a Subject) -> impl Iterator<Item = &'a DetectorScores> {
    let n = subject.generations();
    subject.model.detectors.iter().filter(move |scores| scores.generations == n)
}

/// The scores of all seeds, one after the other.
pub(super) fn pooled(runs: &[ClassValues]) -> (Vec<f64>, Vec<f64>) {
    let of = |class: fn(&ClassValues) -> &Vec<f64>| runs.iter().flat_map(|run| class(run).iter().copied()).collect();
    (of(|run| &run.memorized), of(|run| &run.non_memorized))
}

/// Which scores [`pooled`] holds.
pub(super) fn seeds_pooled(runs: &[ClassValues]) -> String {
    let seeds: Vec<String> = runs.iter().map(|run| run.seed.to_string()).collect();
    if seeds.len() == 1 { format!("seed {}", seeds[0]) } else { format!("seeds {} together", seeds.join(", ")) }
}

/// Positions of some prompts.
fn rows(prompts: &[KnownPrompt], wanted: impl Fn(&KnownPrompt) -> bool) -> Vec<usize> {
    (0..prompts.len()).filter(|row| wanted(&prompts[*row])).collect()
}

pub(super) fn roc(subject: &Subject) -> Result<RocFigure> {
    let fpr = subject.file.report.target_fpr;
    let others = subject.model.non_memorized.len().max(1) as f64;
    // The power of ten below the smallest rate that the prompts can show, and below the target.
    let floor = 10f64.powf((1.0 / others).min(fpr.max(1e-6)).log10().ceil() - 1.0).max(1e-7);
    let mut curves = vec![];
    for scores in scores(subject) {
        let runs = scores.all();
        if runs.is_empty() {
            continue;
        }
        let sets = score_sets(&runs)?;
        let aucs = sets.iter().map(|set| Statistic::Auc.of(*set)).collect::<std::result::Result<Vec<f64>, _>>()?;
        curves.push(RocCurve {
            name: scores.detector.label(),
            points: mean_curve(&sets),
            band: Some(band(&sets, floor)?),
            auc: aucs.iter().sum::<f64>() / aucs.len() as f64,
        });
    }
    let own = format!(
        "n = {}. Lines: mean TPR over the detector's seeds at each FPR, as the tables average. Bands: 95 % stratified bootstrap intervals of that mean over prompts ({BAND_RESAMPLES} resamples). The dotted line marks {} % FPR; on the logarithmic axis an FPR of zero stands at the left end.",
        subject.generations(),
        fpr * 100.0
    );
    let alt = format!("ROC curves of {} detectors on {}.", curves.len(), subject.model.model);
    Ok(RocFigure { meta: subject.meta("roc", alt, &[own]), curves, target_fpr: fpr, floor })
}

/// Mean over runs of the highest TPR at each FPR that the number of negatives allows.
fn mean_curve(sets: &[ScoreSet]) -> Vec<(f64, f64)> {
    let negatives = sets.first().map_or(0, |set| set.negatives().len());
    let mut sums = vec![0.0; negatives + 1];
    for set in sets {
        let curve = Roc::new(*set, CollinearPoints::Keep);
        let positives = set.positives().len() as f64;
        let mut reached = vec![0.0_f64; negatives + 1];
        for (false_positives, true_positives) in curve.false_positives.iter().zip(&curve.true_positives) {
            reached[*false_positives] = *true_positives as f64 / positives;
        }
        let mut best = 0.0_f64;
        for (sum, reached) in sums.iter_mut().zip(reached) {
            best = best.max(reached);
            *sum += best;
        }
    }
    let point = |(count, sum): (usize, f64)| (count as f64 / negatives.max(1) as f64, sum / sets.len() as f64);
    std::iter::once((0.0, 0.0)).chain(sums.into_iter().enumerate().map(point)).collect()
}

/// Half of the points are even on a linear axis, half on a logarithmic one.
fn band(sets: &[ScoreSet], floor: f64) -> Result<Band> {
    let linear = (0..=BAND_POINTS).map(|i| i as f64 / BAND_POINTS as f64);
    let log = (0..BAND_POINTS).map(|i| floor.powf(1.0 - i as f64 / BAND_POINTS as f64));
    let mut grid: Vec<f64> = linear.chain(log).collect();
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    let bootstrap = Bootstrap { resamples: BAND_RESAMPLES, ..Bootstrap::default() };
    let (mut low, mut high) = (vec![], vec![]);
    for &fpr in &grid {
        let tpr = Statistic::TprAtFpr { fpr, rule: TprRule::MaxTprFprLe };
        let interval = bootstrap.estimate(sets, tpr)?.interval;
        low.push(interval.low);
        high.push(interval.high);
    }
    Ok(Band { fpr: grid, low, high })
}

/// A figure for each detector.
pub(super) fn histograms(subject: &Subject) -> Vec<FigureData> {
    let figure = |(i, scores): (usize, &DetectorScores)| {
        let runs = scores.all();
        let (memorized, non_memorized) = pooled(&runs);
        let label = scores.detector.label();
        let alt = format!("Histogram of {label} for memorized and non-memorized prompts on {}.", subject.model.model);
        let own = format!("{label}, n = {}, {}.", scores.generations, seeds_pooled(&runs));
        FigureData::Histogram(ScoreHistogram {
            meta: subject.meta(&format!("scores-{}", i + 1), alt, &[own]),
            score: label,
            memorized,
            non_memorized,
            bins: BINS,
        })
    };
    scores(subject).enumerate().map(figure).collect()
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
            generations: None,
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

/// AUC by dose, mean over seeds with the bootstrap interval: by duplication weight where one picture was all that was
/// shown with a prompt, and by the share of the planted picture where others were shown too.
pub(super) fn dose_response(subject: &Subject) -> Result<LinesFigure> {
    let mut panels =
        vec![dose_panel(subject, "one picture per prompt", AxisSpec::log2("Duplication weight"), |prompt| {
            prompt.weight.filter(|_| prompt.is_plain())
        })?];
    if subject.model.memorized.iter().any(|prompt| !prompt.is_plain()) {
        panels.push(dose_panel(subject, "among other pictures", AxisSpec::linear("Share of the picture"), |prompt| {
            prompt.share.filter(|_| !prompt.is_plain())
        })?);
    } else {
        panels[0].title = String::new();
    }
    let own = format!(
        "n = {}, mean over seeds; bands: 95 % stratified bootstrap over prompts. The weight is how often a planted picture was drawn in training relative to one ordinary picture; 1 is the control. The share is that of the planted picture among all training pictures of its prompt.",
        subject.generations()
    );
    let alt = format!("AUC of every detector by dose of the planted picture on {}.", subject.model.model);
    Ok(LinesFigure { meta: subject.meta("dose-response", alt, &[own]), panels })
}

/// AUC of every detector by `dose`, and the share of draws that are the planted picture.
fn dose_panel(
    subject: &Subject,
    title: &str,
    x: AxisSpec,
    dose: impl Fn(&KnownPrompt) -> Option<f64>,
) -> Result<LinesPanel> {
    let memorized = &subject.model.memorized;
    let dose = |prompt: &KnownPrompt| dose(prompt).filter(|_| &*prompt.set != TEMPLATE);
    let mut doses: Vec<f64> = memorized.iter().filter_map(&dose).collect();
    doses.sort_by(f64::total_cmp);
    doses.dedup();
    let planted: Vec<Vec<usize>> = doses.iter().map(|at| rows(memorized, |prompt| dose(prompt) == Some(*at))).collect();
    let others: Vec<usize> = (0..subject.model.non_memorized.len()).collect();
    let bootstrap = Bootstrap { resamples: BAND_RESAMPLES, ..Bootstrap::default() };
    let mut series = vec![];
    for scores in scores(subject) {
        let (mut y, mut low, mut high) = (vec![], vec![], vec![]);
        for rows in &planted {
            let estimate = bootstrap.estimate(&score_sets(&scores.of(rows, &others))?, Statistic::Auc)?;
            y.push(estimate.value);
            low.push(estimate.interval.low);
            high.push(estimate.interval.high);
        }
        series.push(Series { name: scores.detector.label(), x: doses.clone(), y, band: Some((low, high)) });
    }
    let drawn = |prompt: &KnownPrompt| match (&prompt.reproduction, prompt.verified) {
        (Some(known), _) => known.rate,
        (None, verified) => f64::from(u8::from(verified == Some(true))),
    };
    let response =
        planted.iter().map(|rows| rows.iter().map(|row| drawn(&memorized[*row])).sum::<f64>() / rows.len() as f64);
    series.push(Series { name: "share of draws verbatim".into(), y: response.collect(), x: doses, band: None });
    Ok(LinesPanel { title: title.into(), x, y: AxisSpec::linear("AUC; share of draws"), series })
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
