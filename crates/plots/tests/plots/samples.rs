//! Figures over made-up but plausible numbers, the same on every run.

use memscope_plots::figures::{
    Band, BoundFigure, FieldClass, FieldFigure, FieldPanel, Guide, KdeFigure, KdePanel, LinesFigure, LinesPanel,
    MarkedPoint, Overlay, PlaneFigure, RocCurve, RocFigure, ScatterFigure, ScatterPoint, ScoreHistogram, Series,
    Spectrum, SpectrumFigure, Token, TokenRow, TokenStrip,
};
use memscope_plots::{AxisSpec, Figure, Meta};

/// A small multiplicative congruential generator (Park and Miller).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0 * 48271 % 2_147_483_647;
        self.0 as f64 / 2_147_483_647.0
    }

    /// Normal (Box and Muller).
    pub(crate) fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        mean + deviation * radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(crate) fn normals(&mut self, count: usize, mean: f64, deviation: f64) -> Vec<f64> {
        (0..count).map(|_| self.normal(mean, deviation)).collect()
    }
}

pub(crate) fn meta(name: &str) -> Meta {
    Meta {
        name: name.into(),
        alt: format!("Sample figure {name} with \"made-up\" numbers & <no> meaning."),
        caption: vec![
            "n = 500 memorized and 500 ordinary prompts; emoji-eps and emoji-v; preset table1; run 3f9a1c7e.".into(),
            "Bands: 95 % stratified bootstrap, 1000 resamples. Rule: nearest FPR; ties kept together.".into(),
        ],
    }
}

/// One of each figure.
pub(crate) fn all() -> Vec<Box<dyn Figure>> {
    vec![
        Box::new(roc()),
        Box::new(histogram()),
        Box::new(kde()),
        Box::new(variance()),
        Box::new(dose()),
        Box::new(spectrum()),
        Box::new(field()),
        Box::new(scatter()),
        Box::new(plane()),
        Box::new(tokens()),
        Box::new(bound()),
        Box::new(overlay()),
        Box::new(overlaid_scatter()),
    ]
}

/// The ROC curves of two runs.
pub(crate) fn overlay() -> Overlay {
    let mut second = roc();
    second.curves.remove(0);
    for curve in &mut second.curves {
        curve.points.iter_mut().for_each(|point| point.1 *= 0.9);
    }
    Overlay::new(roc().into(), second.into(), ("before", "after")).unwrap()
}

/// The points of two runs.
pub(crate) fn overlaid_scatter() -> Overlay {
    let mut second = scatter();
    second.meta.name = "other".into();
    second.points.iter_mut().for_each(|point| (point.y, point.interval) = (point.y - 0.01, None));
    Overlay::new(scatter().into(), second.into(), ("before", "after")).unwrap()
}

pub(crate) fn roc() -> RocFigure {
    let mut random = Random::new(7);
    let mut curve = |name: &str, shift: f64| {
        let positive = random.normals(300, shift, 1.0);
        let negative = random.normals(300, 0.0, 1.0);
        let mut thresholds: Vec<f64> = positive.iter().chain(&negative).copied().collect();
        thresholds.sort_by(|a, b| b.total_cmp(a));
        let rate = |values: &[f64], threshold: f64| {
            values.iter().filter(|value| **value >= threshold).count() as f64 / values.len() as f64
        };
        let rates = thresholds.iter().map(|threshold| (rate(&negative, *threshold), rate(&positive, *threshold)));
        let points: Vec<(f64, f64)> = [(0.0, 0.0)].into_iter().chain(rates).collect();
        let auc = points.windows(2).map(|p| (p[1].0 - p[0].0) * (p[0].1 + p[1].1) / 2.0).sum();
        let fpr: Vec<f64> = (0..=200).map(|index| f64::from(index) / 200.0).collect();
        let tpr = |at: f64| points.iter().filter(|point| point.0 <= at).map(|point| point.1).fold(0.0, f64::max);
        let low = fpr.iter().map(|at| (tpr(*at) - 0.04).max(0.0)).collect();
        let high = fpr.iter().map(|at| (tpr(*at) + 0.03).min(1.0)).collect();
        RocCurve { name: name.into(), points, band: Some(Band { fpr, low, high }), auc }
    };
    let curves = vec![
        curve("anisotropy + alignment (ours)", 3.2),
        curve("Wen et al.", 2.3),
        curve("Jeon et al.", 2.0),
        curve("Ren et al. <D>", 1.3),
    ];
    RocFigure { meta: meta("roc"), curves, target_fpr: 0.01, floor: 0.001 }
}

pub(crate) fn histogram() -> ScoreHistogram {
    let mut random = Random::new(11);
    ScoreHistogram {
        meta: meta("histogram"),
        score: "M = γ_norm ‖δ‖ + γ_cos cos(s, δ)".into(),
        memorized: random.normals(500, 4.1, 0.9),
        non_memorized: random.normals(500, 1.2, 0.5),
        bins: 40,
    }
}

pub(crate) fn kde() -> KdeFigure {
    let mut random = Random::new(13);
    let mut panel = |title: &str, mean: f64, kl: (f64, f64)| {
        let memorized = random.normals(500, mean, 0.25);
        let non_memorized = random.normals(500, 1.0, 0.18);
        let grid: Vec<f64> = (0..1000).map(|index| 0.3 + 2.2 * f64::from(index) / 999.0).collect();
        let density = |mean: f64, deviation: f64| -> Vec<f64> {
            let pdf = |x: f64| (-0.5 * ((x - mean) / deviation).powi(2)).exp() / (deviation * 2.5066);
            grid.iter().map(|x| pdf(*x)).collect()
        };
        KdePanel {
            title: title.into(),
            quantity: "norm ‖s_δ‖ (latent units)".into(),
            memorized_density: density(mean, 0.25),
            non_memorized_density: density(1.0, 0.18),
            memorized,
            non_memorized,
            grid: grid.clone(),
            kl_memorized_non_memorized: kl.0,
            kl_non_memorized_memorized: kl.1,
        }
    };
    let panels = vec![
        panel("t ≈ T (981, isotropic)", 1.5, (2.104, 1.388)),
        panel("t ≈ 0 (1, anisotropic)", 1.06, (0.166, 0.022)),
    ];
    KdeFigure { meta: meta("kde"), panels, bins: 30 }
}

pub(crate) fn variance() -> LinesFigure {
    let mut random = Random::new(17);
    let timesteps: Vec<f64> = (0..50).map(|step| f64::from(981 - 20 * step)).collect();
    let mut series = |name: &str, factor: f64, power: f64| {
        let noise = random.normals(50, 0.0, 0.06);
        let value = |(t, noise): (&f64, &f64)| factor * (1000.0 / (t + 10.0)).powf(power) * noise.exp();
        let y: Vec<f64> = timesteps.iter().zip(&noise).map(value).collect();
        let band = (y.iter().map(|y| y * 0.7).collect(), y.iter().map(|y| y * 1.4).collect());
        Series { name: name.into(), x: timesteps.clone(), y, band: Some(band) }
    };
    let panel = |title: &str, label: &str, series| LinesPanel {
        title: title.into(),
        x: AxisSpec::linear("timestep t").reversed(),
        y: AxisSpec::log10(label),
        series,
    };
    let raw = vec![series("memorized", 2e-6, 3.0), series("ordinary", 1e-6, 2.6)];
    let scaled = vec![series("memorized", 3e-3, 0.9), series("ordinary", 2e-3, 0.5)];
    let panels = vec![
        panel("score", "eigenvalue variance of ∇s", raw),
        panel("scaled by σ²", "σ²-scaled variance (no unit)", scaled),
    ];
    LinesFigure { meta: meta("variance"), panels }
}

pub(crate) fn dose() -> LinesFigure {
    let x = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
    let series = |name: &str, half: f64| {
        let y: Vec<f64> = x.iter().map(|x| x / (x + half)).collect();
        let band = (y.iter().map(|y| y - 0.05 * y).collect(), y.iter().map(|y| y + 0.05 * (1.0 - y)).collect());
        Series { name: name.into(), x: x.clone(), y, band: Some(band) }
    };
    let panel = LinesPanel {
        title: String::new(),
        x: AxisSpec::log2("duplication weight (copies)"),
        y: AxisSpec::linear("share detected at 1 % FPR"),
        series: vec![series("ours", 3.0), series("Wen et al.", 6.0), series("reproduced", 10.0)],
    };
    LinesFigure { meta: meta("dose"), panels: vec![panel] }
}

pub(crate) fn spectrum() -> SpectrumFigure {
    let mut random = Random::new(19);
    let mut spectrum = |t: u32, mean: f64, deviation: f64| Spectrum {
        title: format!("t = {t}"),
        eigenvalues: random.normals(1000, mean, deviation),
    };
    let spectra = vec![
        spectrum(981, -1.0, 0.004),
        spectrum(781, -1.1, 0.05),
        spectrum(581, -1.4, 0.3),
        spectrum(381, -2.5, 1.1),
        spectrum(181, -9.0, 6.0),
        spectrum(1, -580.0, 120.0),
    ];
    SpectrumFigure { meta: meta("spectrum"), quantity: "eigenvalue λ".into(), spectra, bins: 30 }
}

pub(crate) fn field() -> FieldFigure {
    let mut random = Random::new(23);
    let mut panel = |title: &str, noise: f64| {
        let side = 64;
        let (mut first, mut second, mut cosine) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..side * side {
            let (row, column) = ((index / side) as f64, (index % side) as f64);
            let angle = (row / 9.0).sin() * 2.0 + (column / 11.0).cos() * 2.0;
            let spread = noise * (0.4 + (row / 10.0).sin().abs() * (column / 13.0).cos().abs());
            let turn = random.normal(0.0, spread);
            first.push((angle.cos(), angle.sin()));
            second.push(((angle + turn).cos() * 0.3, (angle + turn).sin() * 0.3));
            cosine.push(turn.cos());
        }
        FieldPanel { title: title.into(), height: side, width: side, first, second, cosine }
    };
    let panels = vec![panel("memorized", 0.6), panel("ordinary", 2.4)];
    let class =
        |name: &str, panel: &FieldPanel| FieldClass { name: name.into(), prompts: 1, cosine: panel.cosine.clone() };
    let classes = vec![class("memorized", &panels[0]), class("non-memorized", &panels[1])];
    FieldFigure {
        classes,
        meta: meta("field"),
        panels,
        first_name: "score s".into(),
        second_name: "guidance s_δ".into(),
        cosine_label: "channel cosine".into(),
        stride: 4,
        ring_threshold: 0.9,
    }
}

pub(crate) fn scatter() -> ScatterFigure {
    let point = |name: &str, generations: Option<usize>, x: f64, y: f64, half: f64| ScatterPoint {
        name: name.into(),
        generations,
        x,
        y,
        interval: Some((y - half, (y + half).min(1.0))),
    };
    ScatterFigure {
        meta: meta("scatter"),
        x: AxisSpec::log10("network calls per prompt"),
        y: AxisSpec::linear("AUC"),
        points: vec![
            point("ours", Some(1), 3.0, 0.987, 0.006),
            point("ours", Some(4), 12.0, 0.996, 0.003),
            point("Wen, 1 step", Some(1), 2.0, 0.942, 0.012),
            point("Wen, 50 steps", Some(1), 100.0, 0.981, 0.008),
            point("Jeon", Some(1), 24.0, 0.968, 0.01),
            point("Ren", Some(1), 100.0, 0.91, 0.02),
            point("bright ending", None, 52.0, 0.953, 0.015),
        ],
        guide: Guide::Front,
    }
}

pub(crate) fn plane() -> PlaneFigure {
    let grid: Vec<f64> = (0..25).map(|index| 10_f64.powf(-2.0 + 4.0 * f64::from(index) / 24.0)).collect();
    let value = |x: f64, y: f64| 0.95 - 0.06 * (y / x / 2.0).log10().powi(2);
    let values = grid.iter().flat_map(|y| grid.iter().map(move |x| value(*x, *y))).collect();
    let marked = |name: &str, x: f64, y: f64| MarkedPoint { name: name.into(), x, y };
    PlaneFigure {
        meta: meta("plane"),
        x_label: "weight γ_norm".into(),
        y_label: "weight γ_cos".into(),
        value_label: "TPR at 1 % FPR".into(),
        x: grid.clone(),
        y: grid.clone(),
        values,
        marked: vec![marked("paper, SD 1.4", 1.0, 2.0), marked("ones", 1.0, 1.0), marked("fitted", 0.4, 3.1)],
    }
}

pub(crate) fn tokens() -> TokenStrip {
    let mut random = Random::new(29);
    let mut row = |label: &str, text: &str| TokenRow {
        label: label.into(),
        tokens: text
            .split(' ')
            .map(|token| Token { text: token.into(), significance: random.uniform().powi(3) - 0.05 })
            .collect(),
    };
    let rows = vec![
        row("memorized", "living in the light with ann graham lotz <|endoftext|>"),
        row(
            "memorized, long",
            "the no limits business woman podcast & \"friends\" with a very long caption that goes on and on until it needs a second line of boxes",
        ),
        row("ordinary", "naïve café Größe λόγος кот 猫 a&b </text> plain"),
    ];
    TokenStrip { meta: meta("tokens"), quantity: "token significance ‖∂M/∂e‖ (relative)".into(), rows }
}

pub(crate) fn bound() -> BoundFigure {
    let mut random = Random::new(31);
    let mut figure = BoundFigure { meta: meta("bound"), cosine: vec![], paper: vec![], sharp: vec![] };
    for _ in 0..2900 {
        let r: f64 = 0.98 * random.uniform();
        let sharp = (1.0 - r * r).sqrt();
        figure.paper.push((1.0 - r) / (1.0 + r));
        figure.sharp.push(sharp);
        figure.cosine.push(sharp + (1.0 - sharp) * random.uniform().sqrt());
    }
    figure
}
