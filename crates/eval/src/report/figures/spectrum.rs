//! Figure 1: the eigenvalue variance along the trajectory, and spectra.

use crate::{
    error::Result,
    score::{AnalysisResult, AnalysisValues},
    spec::AnalysisEntry,
};
use memscope_metric::{HessianSpectrum, ScoreKind};

use super::Subject;
use memscope_results::figures::{AxisSpec, FigureData, LinesFigure, LinesPanel, Series, Spectrum, SpectrumFigure};

const BINS: usize = 40;

pub(super) fn figures(subject: &Subject) -> Result<Vec<FigureData>> {
    let mut figures: Vec<FigureData> = vec![];
    for result in &subject.model.analyses {
        match &result.entry {
            AnalysisEntry::Spectrum { timesteps, probe_vectors: Some(count) } => {
                figures.push(curves(subject, result, timesteps, *count)?.into());
            }
            AnalysisEntry::Spectrum { timesteps, probe_vectors: None } => {
                figures.extend(spectra(subject, result, timesteps))
            }
            AnalysisEntry::Alignment { .. } | AnalysisEntry::Field { .. } => {}
        }
    }
    Ok(figures)
}

/// Raw and σ²-scaled variance side by side, a line per class and kind of score; the band is the interval of the mean.
fn curves(subject: &Subject, result: &AnalysisResult, timesteps: &[usize], probes: usize) -> Result<LinesFigure> {
    let bootstrap = subject.file.report.bootstrap();
    let panel = |title: &str, label: &str, scale: &dyn Fn(usize) -> f64| -> Result<LinesPanel> {
        let mut series = vec![];
        for (class, memorized) in [("memorized", true), ("non-memorized", false)] {
            for kind in ScoreKind::ALL {
                let (mut x, mut y, mut low, mut high) = (vec![], vec![], vec![], vec![]);
                for &t in timesteps {
                    let name = HessianSpectrum::name_of(t, kind, "symmetrized");
                    let of_class =
                        result.prompts.iter().filter(|prompt: &&AnalysisValues| prompt.memorized == memorized);
                    // Estimates may fall below zero where the variance is small; a logarithmic axis cannot show them.
                    let values: Vec<f64> = of_class
                        .filter_map(|prompt| prompt.values.get(&name).map(|v| v * scale(t)))
                        .filter(|v| *v > 0.0)
                        .collect();
                    if values.is_empty() {
                        continue;
                    }
                    let mean = bootstrap.mean(&values)?;
                    x.push(t as f64);
                    y.push(mean.value);
                    low.push(mean.interval.low);
                    high.push(mean.interval.high);
                }
                if !x.is_empty() {
                    series.push(Series { name: format!("{class}, {kind}"), x, y, band: Some((low, high)) });
                }
            }
        }
        Ok(LinesPanel {
            title: title.to_owned(),
            x: AxisSpec::linear("Timestep t").reversed(),
            y: AxisSpec::log10(label),
            series,
        })
    };
    let sigma = |t: usize| subject.model.sigma(t).unwrap_or(1.0);
    let panels = vec![
        panel("∇² log p", "Variance of eigenvalues", &|_| 1.0)?,
        panel("σ ∇² log p", "σ² × variance", &|t| sigma(t) * sigma(t))?,
    ];
    let own = format!(
        "Eigenvalues of the symmetrized Jacobian of the score at x_t of each prompt's guided trajectory; {probes} Rademacher probes, trace bias removed. Lines: mean over prompts; bands: 95 % bootstrap intervals of the mean. Estimates at or below zero are left out."
    );
    let alt = format!(
        "Variance of the Hessian's eigenvalues from t = 981 to t = 1 on {}, raw and scaled by the noise variance.",
        subject.model.model
    );
    Ok(LinesFigure { meta: subject.meta("spectrum", alt, &[own]), panels })
}

/// The whole spectrum of the first prompt of each class at each timestep.
fn spectra(subject: &Subject, result: &AnalysisResult, timesteps: &[usize]) -> Option<FigureData> {
    let (channels, height, width) = subject.model.latent_shape;
    let mut spectra = vec![];
    for memorized in [true, false] {
        let Some(prompt) = result.prompts.iter().find(|prompt| prompt.memorized == memorized) else { continue };
        let class = if memorized { "memorized" } else { "non-memorized" };
        for &t in timesteps {
            let value = |i| prompt.values.get(&HessianSpectrum::eigenvalue_name(t, i)).copied();
            let eigenvalues: Option<Vec<f64>> = (0..channels * height * width).map(value).collect();
            spectra.push(Spectrum { title: format!("{class}, t = {t}"), eigenvalues: eigenvalues? });
        }
    }
    let prompts: Vec<String> = [true, false]
        .iter()
        .filter_map(|memorized| result.prompts.iter().find(|prompt| prompt.memorized == *memorized))
        .map(|prompt| format!("'{}'", prompt.prompt))
        .collect();
    let own = format!(
        "All eigenvalues of the symmetrized Jacobian of the conditional score; prompts {}.",
        prompts.join(" and ")
    );
    let alt = format!("Histograms of the Hessian's eigenvalues at three timesteps on {}.", subject.model.model);
    Some(FigureData::Spectrum(SpectrumFigure {
        meta: subject.meta("eigenvalues", alt, &[own]),
        quantity: "Eigenvalue".into(),
        spectra,
        bins: BINS,
    }))
}
