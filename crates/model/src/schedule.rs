//! The noise schedule and the timesteps of DDIM sampling (docs/spec/protocol.md §1).

use crate::{
    config::Config,
    error::{Error, Result},
    files::ModelFiles,
    pipeline::Pipeline,
};

/// What the network's output means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameterization {
    /// The noise ε (SD 1.x).
    Epsilon,
    /// v = a ε − s x₀ (SD 2.x at 768).
    V,
}

impl Parameterization {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Epsilon, Self::V];
}

impl std::fmt::Display for Parameterization {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Epsilon => "epsilon",
            Self::V => "v_prediction",
        })
    }
}

impl std::str::FromStr for Parameterization {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        match given {
            "epsilon" | "eps" => Ok(Self::Epsilon),
            "v_prediction" | "v" => Ok(Self::V),
            _ => Err(Error::Argument(format!("prediction type '{given}' must be epsilon or v_prediction"))),
        }
    }
}

/// What is done about a scheduler whose timesteps are not the protocol's (981, 961, …, 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScheduleCheck {
    /// The model is refused: its numbers would not be comparable.
    #[default]
    Protocol,
    /// The user has accepted it.
    Accept,
}

impl ScheduleCheck {
    /// By whether the user has accepted any schedule.
    pub fn accepting(accepted: bool) -> Self {
        if accepted { Self::Accept } else { Self::Protocol }
    }
}

/// How sampling spreads its timesteps, in diffusers' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    Leading,
    Linspace,
    Trailing,
}

/// ᾱ_t of every training step, and how sampling walks through them.
#[derive(Clone, Debug)]
pub struct Schedule {
    alphas_cumprod: Vec<f32>,
    spacing: Spacing,
    steps_offset: usize,
    final_alpha: f32,
    /// Estimates of x₀ are kept within ± this while sampling.
    clip: Option<f32>,
    parameterization: Parameterization,
}

/// How β grows over the training steps, in diffusers' words.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Betas {
    /// Evenly from the first to the second.
    Linear(f64, f64),
    /// The square of what grows evenly from one root to the other.
    ScaledLinear(f64, f64),
    /// From a squared cosine, Nichol and Dhariwal 2021, Eq. 17.
    SquaredCosine,
}

/// Signal and noise scale at one timestep: x_t = a x₀ + s ε.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// √ᾱ_t.
    pub a: f64,
    /// √(1 − ᾱ_t).
    pub s: f64,
}

/// The file, relative to the model.
const SCHEDULER: &str = "scheduler/scheduler_config.json";

/// More training steps than any real model has.
const MOST_STEPS: usize = 10_000;

/// Where the file gives any offset, `StableDiffusionPipeline` sets it to 1 when it is loaded (diffusers 0.42,
/// pipelines/stable_diffusion/pipeline_stable_diffusion.py, `__init__`). Where it gives none, rebuilding the scheduler
/// drops that correction, and DDIM's default stays. `StableDiffusionXLPipeline` corrects nothing.
fn steps_offset(config: &Config, pipeline: Pipeline) -> Result<usize> {
    match config.get("steps_offset").map(|value| (value, value.as_u64())) {
        Some((_, Some(offset @ 0..=MOST_OFFSET))) => match pipeline {
            Pipeline::StableDiffusion => Ok(1),
            Pipeline::StableDiffusionXl => Ok(offset as usize),
        },
        None if pipeline == Pipeline::StableDiffusionXl && config.is_null("steps_offset") => {
            Err(config.unsupported("steps_offset", &serde_json::Value::Null, "a whole number from 0 to 1000"))
        }
        Some((value, _)) => Err(config.unsupported("steps_offset", value, "a whole number from 0 to 1000")),
        None => Ok(usize::from(config.mentions("steps_offset"))),
    }
}

/// More than any real model has.
const MOST_OFFSET: u64 = 1000;

/// As the offset: where the file says `clip_sample: true`, the pipeline says false; where it says nothing, DDIM's
/// default, true, stays.
fn clips(config: &Config, pipeline: Pipeline) -> Result<bool> {
    let said = config.flag("clip_sample", true)?;
    match pipeline {
        Pipeline::StableDiffusion => Ok(!config.mentions("clip_sample")),
        Pipeline::StableDiffusionXl => Ok(said),
    }
}

/// Classes that sample models distilled for a few steps. So does trailing spacing, which has other timesteps.
const DISTILLED: [&str; 2] = ["LCMScheduler", "TCDScheduler"];

impl Betas {
    fn from_config(config: &Config) -> Result<Self> {
        let (start, end) = (config.positive("beta_start", 0.0001, 1.0)?, config.positive("beta_end", 0.02, 1.0)?);
        if start > end || end >= 1.0 {
            let reason = format!("= {start} and 'beta_end' = {end} must be increasing and below 1");
            return Err(config.invalid("beta_start", reason));
        }
        match config.text("beta_schedule", "linear")? {
            "linear" => Ok(Self::Linear(start, end)),
            "scaled_linear" => Ok(Self::ScaledLinear(start, end)),
            "squaredcos_cap_v2" => Ok(Self::SquaredCosine),
            other => {
                let supported = "linear, scaled_linear, squaredcos_cap_v2";
                Err(config.unsupported("beta_schedule", &other.into(), supported))
            }
        }
    }

    /// β of training step `k` of `steps`, in f32 like torch.
    fn at(self, k: usize, steps: usize) -> f32 {
        match self {
            Self::Linear(start, end) => linspace(start as f32, end as f32, k, steps),
            Self::ScaledLinear(start, end) => linspace(start.sqrt() as f32, end.sqrt() as f32, k, steps).powi(2),
            Self::SquaredCosine => {
                let bar = |k: usize| {
                    let t = k as f64 / steps as f64;
                    ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2)
                };
                (1.0 - bar(k + 1) / bar(k)).min(0.999) as f32
            }
        }
    }
}

/// `torch.linspace(first, last, steps)[k]` in f32: it walks from both ends to the middle.
fn linspace(first: f32, last: f32, k: usize, steps: usize) -> f32 {
    let step = (last - first) / (steps.max(2) - 1) as f32;
    if k < steps / 2 { first + step * k as f32 } else { last - step * (steps - 1 - k) as f32 }
}

/// ᾱ of the betas, in f32 like torch.
fn alphas_cumprod(steps: usize, betas: Betas) -> Vec<f32> {
    product((0..steps).map(|k| 1.0 - betas.at(k, steps)))
}

/// torch accumulates the product of f32 factors in f64 and rounds each element.
fn product(factors: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut product = 1.0f64;
    let next = |factor| {
        product *= f64::from(factor);
        product as f32
    };
    factors.map(next).collect()
}

/// ᾱ shifted and scaled so that the last training step has no signal at all (Lin et al. 2023, Algorithm 1), in f32 as
/// diffusers' `rescale_zero_terminal_snr` computes it.
fn rescaled(alphas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = alphas.iter().map(|alpha| alpha.sqrt()).collect();
    let (Some(first), Some(last)) = (roots.first().copied(), roots.last().copied()) else { return vec![] };
    let scale = first / (first - last);
    let bars: Vec<f32> = roots.iter().map(|root| ((root - last) * scale).powi(2)).collect();
    // Through the betas and back.
    let beta = |i: usize| 1.0 - if i == 0 { bars[0] } else { bars[i] / bars[i - 1] };
    product((0..bars.len()).map(|i| 1.0 - beta(i)))
}

impl Schedule {
    /// Reads `scheduler/scheduler_config.json`, logs what it leads to, and checks it. Whatever class the file names,
    /// its schedule is run as DDIM, as the reference code rebuilds it (`DDIMScheduler.from_config(scheduler.config)`);
    /// fields that are absent have the defaults of that class.
    pub(crate) fn load(files: &ModelFiles, pipeline: Pipeline, check: ScheduleCheck) -> Result<Self> {
        let config = Config::read(files, SCHEDULER)?;
        let schedule = Self::from_config(&config, pipeline)?;
        let found = schedule.described();
        let spacing = config.text("timestep_spacing", "leading")?;
        let (steps, steps_offset) = (schedule.train_steps(), schedule.steps_offset);
        tracing::info!(
            "{}: class {}, {steps} training steps, {:?}, {}, spacing {spacing}, steps_offset {steps_offset}, \
             final alpha {}, clip {:?}; run as DDIM, 50 steps visit {found}",
            files.label(SCHEDULER),
            config.text("_class_name", "not named")?,
            Betas::from_config(&config)?,
            schedule.parameterization,
            schedule.final_alpha,
            schedule.clip,
        );
        let class = config.text("_class_name", "")?;
        let said = DISTILLED.iter().find(|distilled| **distilled == class).map(|class| (*class).to_owned());
        let distilled = said.or_else(|| files.checkpoint()?.distilled.clone());
        if check == ScheduleCheck::Protocol
            && let Some(what) = distilled
        {
            return Err(Error::Distilled { file: files.label(SCHEDULER), what });
        }
        if check == ScheduleCheck::Protocol && !schedule.follows_protocol() {
            return Err(Error::Schedule {
                file: files.label(SCHEDULER),
                found,
                settings: format!(
                    "timestep_spacing {spacing}, steps_offset {steps_offset}, num_train_timesteps {steps} in place of \
                     leading, 1, 1000{}",
                    if schedule.spacing == Spacing::Trailing {
                        "; trailing is for models distilled for few steps, such as Turbo and Lightning"
                    } else {
                        ""
                    }
                ),
            });
        }
        Ok(schedule)
    }

    fn from_config(config: &Config, pipeline: Pipeline) -> Result<Self> {
        config.only("thresholding", &["false", "null"])?;
        config.only("trained_betas", &["null"])?;
        let parameterization = match config.text("prediction_type", "epsilon")? {
            "epsilon" => Parameterization::Epsilon,
            "v_prediction" => Parameterization::V,
            other => return Err(config.unsupported("prediction_type", &other.into(), "epsilon, v_prediction")),
        };
        let spacing = match config.text("timestep_spacing", "leading")? {
            "leading" => Spacing::Leading,
            "linspace" => Spacing::Linspace,
            "trailing" => Spacing::Trailing,
            other => {
                return Err(config.unsupported("timestep_spacing", &other.into(), "leading, linspace, trailing"));
            }
        };
        let betas = Betas::from_config(config)?;
        let steps = config.size("num_train_timesteps", Some(1000), MOST_STEPS)?;
        let clip_range = config.positive("clip_sample_range", 1.0, 1e6)? as f32;
        let alphas = match config.flag("rescale_betas_zero_snr", false)? {
            true => rescaled(&alphas_cumprod(steps, betas)),
            false => alphas_cumprod(steps, betas),
        };
        Ok(Self {
            spacing,
            steps_offset: steps_offset(config, pipeline)?,
            clip: clips(config, pipeline)?.then_some(clip_range),
            ..Self::new(alphas, config.flag("set_alpha_to_one", true)?, parameterization)
        })
    }

    /// Whether 50 steps visit 981, 961, …, 1.
    pub(crate) fn follows_protocol(&self) -> bool {
        self.timesteps(50).is_ok_and(|timesteps| timesteps.into_iter().eq((0..50).map(|i| 981 - 20 * i)))
    }

    /// The timesteps of 50 steps, in short.
    pub(crate) fn described(&self) -> String {
        match self.timesteps(50).as_deref() {
            Ok([first, second, .., last]) => format!("{first}, {second}, ..., {last}"),
            Ok(_) => "nothing".into(),
            Err(error) => format!("no timesteps ({error})"),
        }
    }

    /// Leading spacing, offset 1 and no clipping.
    fn new(alphas_cumprod: Vec<f32>, set_alpha_to_one: bool, parameterization: Parameterization) -> Self {
        let final_alpha = if set_alpha_to_one { 1.0 } else { alphas_cumprod.first().copied().unwrap_or(1.0) };
        Self { alphas_cumprod, spacing: Spacing::Leading, steps_offset: 1, final_alpha, clip: None, parameterization }
    }

    /// What the network's output means.
    pub fn parameterization(&self) -> Parameterization {
        self.parameterization
    }

    /// Training steps.
    pub fn train_steps(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// ᾱ_t, in (0, 1).
    ///
    /// # Errors
    ///
    /// When `t` is not below [`Self::train_steps`].
    pub fn alpha_cumprod(&self, t: usize) -> Result<f32> {
        self.alphas_cumprod.get(t).copied().ok_or_else(|| {
            Error::Argument(format!("timestep {t} is outside 0..={}", self.train_steps().saturating_sub(1)))
        })
    }

    /// √ᾱ_t and √(1 − ᾱ_t), rounded to f32 as the reference code holds them.
    ///
    /// # Errors
    ///
    /// When `t` is not below [`Self::train_steps`].
    pub fn scales(&self, t: usize) -> Result<Scales> {
        let alpha = self.alpha_cumprod(t)?;
        Ok(Scales { a: f64::from(alpha.sqrt()), s: f64::from((1.0 - alpha).sqrt()) })
    }

    /// The timesteps of a DDIM run, noisiest first: e.g. 981, 961, …, 1 for 50 steps with leading spacing.
    ///
    /// # Errors
    ///
    /// When there are no steps, or more than the schedule has.
    pub fn timesteps(&self, steps: usize) -> Result<Vec<usize>> {
        let train = self.train_steps();
        if steps == 0 || steps > train {
            return Err(Error::Argument(format!("{steps} sampling steps; give 1 to {train}")));
        }
        let ratio = train / steps;
        // As diffusers' DDIM scheduler spreads them; numpy rounds halves to even.
        let timesteps: Vec<usize> = match self.spacing {
            Spacing::Leading => (0..steps).rev().map(|i| i * ratio + self.steps_offset).collect(),
            Spacing::Linspace => {
                let step = (train - 1) as f64 / (steps.max(2) - 1) as f64;
                (0..steps).rev().map(|i| (i as f64 * step).round_ties_even() as usize).collect()
            }
            Spacing::Trailing => {
                let step = train as f64 / steps as f64;
                (0..steps).map(|i| ((train as f64 - i as f64 * step).round_ties_even() as usize).max(1) - 1).collect()
            }
        };
        match timesteps.first() {
            Some(t) if *t >= train => Err(Error::Argument(format!(
                "{steps} sampling steps with offset {} reach timestep {t}, the schedule ends at {}",
                self.steps_offset,
                train - 1
            ))),
            _ => Ok(timesteps),
        }
    }

    /// One DDIM step (η = 0) from `t` down by `stride`; below 0 the last step lands on the final ᾱ.
    /// Elementwise on `x` and the guided output of the network, both flattened latents.
    ///
    /// # Errors
    ///
    /// When `t` is not below [`Self::train_steps`].
    pub fn ddim_step(&self, x: &mut [f32], output: &[f32], t: usize, stride: usize) -> Result<()> {
        let alpha = self.alpha_cumprod(t)?;
        let previous = match t.checked_sub(stride) {
            Some(previous) => self.alpha_cumprod(previous)?,
            None => self.final_alpha,
        };
        let (a, s) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let (a_previous, s_previous) = (previous.sqrt(), (1.0 - previous).sqrt());
        for (x, out) in x.iter_mut().zip(output) {
            let (x0, epsilon) = match self.parameterization {
                Parameterization::Epsilon => ((*x - s * out) / a, *out),
                Parameterization::V => (a * *x - s * out, a * out + s * *x),
            };
            let x0 = self.clip.map_or(x0, |range| x0.clamp(-range, range));
            *x = a_previous * x0 + s_previous * epsilon;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stable_diffusion() -> Schedule {
        Schedule::new(alphas_cumprod(1000, BETAS), false, Parameterization::Epsilon)
    }

    const BETAS: Betas = Betas::ScaledLinear(0.00085, 0.012);

    /// The table of docs/spec/protocol.md §1, to the last bit of f32.
    #[test]
    fn alphas_equal_the_published_table() {
        let table = [
            (981, 0.005775495897978544, 0.07599668204784393, 0.9971080422401428),
            (961, 0.007281722035259008, 0.08533300459384918, 0.99635249376297),
            (41, 0.9608726501464844, 0.9802411198616028, 0.19780634343624115),
            (21, 0.980380654335022, 0.990141749382019, 0.14006906747817993),
            (1, 0.9982960224151611, 0.9991476535797119, 0.04127926379442215),
            (0, 0.9991499781608582, 0.9995748996734619, 0.029155133292078972),
            (999, 0.00466009508818388, 0.06826488673686981, 0.9976672530174255),
        ];
        let schedule = stable_diffusion();
        for (t, alpha, a, s) in table {
            assert_eq!(f64::from(schedule.alpha_cumprod(t).unwrap()), alpha, "ᾱ at {t}");
            let scales = schedule.scales(t).unwrap();
            assert_eq!((scales.a, scales.s), (a, s), "scales at {t}");
        }
    }

    /// a/(1 − ᾱ) and a/s of docs/spec/protocol.md §1: f32 quotients, the divisor being s².
    #[test]
    fn score_factors_equal_the_published_table() {
        let schedule = stable_diffusion();
        for (t, x0_factor, v_factor) in [
            (981, 0.07643815875053406, 0.07621710002422333),
            (41, 25.052581787109375, 4.955559730529785),
            (1, 586.3619995117188, 24.20458984375),
        ] {
            let Scales { a, s } = schedule.scales(t).unwrap();
            let (a, s) = (a as f32, s as f32);
            assert!((f64::from(a / (s * s)) / x0_factor - 1.0).abs() < 2e-7, "{} {x0_factor}", a / (s * s));
            assert_eq!(f64::from(a / s), v_factor);
        }
    }

    fn read(json: &str) -> Result<Schedule> {
        read_for(Pipeline::StableDiffusion, json)
    }

    fn read_for(pipeline: Pipeline, json: &str) -> Result<Schedule> {
        Schedule::from_config(&Config::parse("scheduler_config.json".into(), json.as_bytes()).unwrap(), pipeline)
    }

    const STABLE_DIFFUSION: &str = r#""beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012"#;

    /// What `StableDiffusionPipeline.from_pretrained` and then `DDIMScheduler.from_config(pipe.scheduler.config)` make
    /// of a file (diffusers 0.42.1): first timestep of 50, whether it clips, final alpha.
    #[test]
    fn fields_are_treated_as_the_pipeline_treats_them() {
        for (fields, first, clips, final_alpha) in [
            (r#""steps_offset": 1, "clip_sample": false, "set_alpha_to_one": false"#, 981, false, 0.9991499781608582),
            (r#""steps_offset": 0, "clip_sample": true, "set_alpha_to_one": false"#, 981, false, 0.9991499781608582),
            (r#""steps_offset": 5, "clip_sample": null, "set_alpha_to_one": null"#, 981, false, 0.9991499781608582),
            (r#""steps_offset": null, "clip_sample": false"#, 981, false, 1.0),
            (r#""_class_name": "PNDMScheduler", "skip_prk_steps": true"#, 980, true, 1.0),
            (r#""lambda_min_clipped": -Infinity, "steps_offset": 1, "clip_sample": false"#, 981, false, 1.0),
        ] {
            let schedule = read(&format!("{{{STABLE_DIFFUSION}, {fields}}}")).unwrap();
            assert_eq!(schedule.timesteps(50).unwrap()[0], first, "{fields}");
            assert_eq!(schedule.clip, clips.then_some(1.0), "{fields}");
            assert_eq!(f64::from(schedule.final_alpha), final_alpha, "{fields}");
        }
    }

    /// ᾱ at 0, 981 and 999 of `DDIMScheduler(beta_schedule=..., beta_start=0.00085, beta_end=0.012)`, or with all
    /// defaults (diffusers 0.42.1, torch 2.15), to 9 digits.
    #[test]
    fn other_schedules_are_those_of_diffusers() {
        let betas = r#""beta_start": 0.00085, "beta_end": 0.012"#;
        for (fields, expected) in [
            (betas.to_owned(), [0.999149978, 0.00195882819, 0.00157896278]),
            (format!(r#"{betas}, "beta_schedule": "linear""#), [0.999149978, 0.00195882819, 0.00157896278]),
            (
                format!(r#"{betas}, "beta_schedule": "squaredcos_cap_v2""#),
                [0.999958694, 0.000786714605, 2.42873499e-09],
            ),
        ] {
            let schedule = read(&format!("{{{fields}}}")).unwrap();
            for (t, expected) in [0, 981, 999].into_iter().zip(expected) {
                let got = f64::from(schedule.alpha_cumprod(t).unwrap());
                assert!((got / expected - 1.0).abs() < 2e-7, "{fields} at {t}: {got} {expected}");
            }
        }
    }

    /// `DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, rescale_betas_zero_snr=True)`,
    /// `alphas_cumprod` (diffusers 0.42.1, torch 2.15).
    #[test]
    fn the_last_step_may_have_no_signal() {
        let schedule = read(&format!(r#"{{{STABLE_DIFFUSION}, "rescale_betas_zero_snr": true}}"#)).unwrap();
        for (t, expected) in [
            (0, 0.9991499781608582),
            (1, 0.9982334971427917),
            (500, 0.2410186380147934),
            (981, 6.886567280162126e-05),
            (998, 1.9679633567193378e-07),
            (999, 0.0),
        ] {
            let got = f64::from(schedule.alpha_cumprod(t).unwrap());
            assert!((got - expected).abs() <= 1e-6 * expected, "{t}: {got} {expected}");
        }
    }

    /// `StableDiffusionXLPipeline` leaves the scheduler's file as it is; the pipeline of versions 1 and 2 does not.
    #[test]
    fn sdxl_takes_the_schedulers_file_as_it_is() {
        for (fields, first, clips) in [
            (r#""steps_offset": 1, "clip_sample": false"#, 981, false),
            (r#""steps_offset": 0, "clip_sample": true"#, 980, true),
            (r#""_class_name": "EulerDiscreteScheduler""#, 980, true),
        ] {
            let schedule = read_for(Pipeline::StableDiffusionXl, &format!("{{{STABLE_DIFFUSION}, {fields}}}")).unwrap();
            assert_eq!(schedule.timesteps(50).unwrap()[0], first, "{fields}");
            assert_eq!(schedule.clip, clips.then_some(1.0), "{fields}");
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (fields, name) in [
            (r#""steps_offset": 0.5"#, "steps_offset"),
            (r#""steps_offset": -1"#, "steps_offset"),
            (r#""beta_start": 0.02, "beta_end": 0.01"#, "beta_start"),
            (r#""beta_start": NaN"#, "beta_start"),
            (r#""beta_end": Infinity"#, "beta_end"),
            (r#""beta_start": 0"#, "beta_start"),
            (r#""beta_schedule": null"#, "beta_schedule"),
            (r#""num_train_timesteps": 4611686018427387904"#, "num_train_timesteps"),
            (r#""num_train_timesteps": 1000000000"#, "num_train_timesteps"),
            (r#""trained_betas": [0.1]"#, "trained_betas"),
            (r#""rescale_betas_zero_snr": 1"#, "rescale_betas_zero_snr"),
            (r#""prediction_type": "sample""#, "prediction_type"),
        ] {
            let message = read(&format!("{{{fields}}}")).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("scheduler_config.json"), "{message}");
        }
    }

    /// `DDIMScheduler(clip_sample=True).step` clamps the estimate of x₀ and keeps ε.
    #[test]
    fn clipping_keeps_the_estimate_of_the_image_in_range() {
        let schedule = Schedule { clip: Some(1.0), ..stable_diffusion() };
        let Scales { a, s } = schedule.scales(501).unwrap();
        let mut x = [a as f32 * 3.0 + s as f32 * 0.5];
        schedule.ddim_step(&mut x, &[0.5], 501, 20).unwrap();
        let Scales { a, s } = schedule.scales(481).unwrap();
        assert!((x[0] - (a as f32 + s as f32 * 0.5)).abs() < 1e-6);
    }

    #[test]
    fn fifty_steps_run_from_981_to_1() {
        let timesteps = stable_diffusion().timesteps(50).unwrap();
        assert_eq!(timesteps, (0..50).map(|i| 981 - 20 * i).collect::<Vec<_>>());
        assert!(stable_diffusion().timesteps(0).is_err());
        assert!(stable_diffusion().timesteps(1001).is_err());
        assert!(stable_diffusion().alpha_cumprod(1000).is_err());
    }

    /// `DDIMScheduler(num_train_timesteps=1000, timestep_spacing=...)`, `set_timesteps(50)` or `(7)`.
    #[test]
    fn other_spacings_are_those_of_diffusers_and_not_the_protocol() {
        let spaced = |spacing| Schedule { spacing, ..stable_diffusion() };
        let trailing = spaced(Spacing::Trailing);
        assert_eq!(trailing.timesteps(50).unwrap()[..3], [999, 979, 959]);
        assert_eq!(trailing.timesteps(7).unwrap(), [999, 856, 713, 570, 428, 285, 142]);
        let linspace = spaced(Spacing::Linspace);
        assert_eq!(linspace.timesteps(50).unwrap()[..3], [999, 979, 958]);
        assert_eq!(linspace.timesteps(7).unwrap(), [999, 832, 666, 500, 333, 166, 0]);
        assert!(stable_diffusion().follows_protocol());
        assert!(!trailing.follows_protocol() && !linspace.follows_protocol());
        assert_eq!(trailing.described(), "999, 979, ..., 19");
    }

    #[test]
    fn the_true_noise_leads_back_to_the_image() {
        for parameterization in [Parameterization::Epsilon, Parameterization::V] {
            let schedule = Schedule::new(alphas_cumprod(1000, BETAS), false, parameterization);
            let (x0, noise) = (0.7f32, -1.3f32);
            let Scales { a, s } = schedule.scales(501).unwrap();
            let mut x = [a as f32 * x0 + s as f32 * noise];
            let output = match parameterization {
                Parameterization::Epsilon => noise,
                Parameterization::V => a as f32 * noise - s as f32 * x0,
            };
            schedule.ddim_step(&mut x, &[output], 501, 20).unwrap();
            let Scales { a, s } = schedule.scales(481).unwrap();
            assert!((x[0] - (a as f32 * x0 + s as f32 * noise)).abs() < 1e-6);
        }
    }
}
