//! The noise schedule and the timesteps of DDIM sampling (docs/spec/protocol.md §1).

mod betas;

use self::betas::{Betas, alphas_cumprod, rescaled};
use crate::{
    config::Config,
    error::{Error, Result},
    file_names::SCHEDULER,
    files::ModelFiles,
    parameterization::Parameterization,
    pipeline::Pipeline,
};

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

/// Signal and noise scale at one timestep: x_t = a x₀ + s ε.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// √ᾱ_t.
    pub a: f64,
    /// √(1 − ᾱ_t).
    pub s: f64,
}

/// The file, relative to the model.
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
        // Without clipping nothing is asked of its range, which may then be infinite.
        let clip = match clips(config, pipeline)? {
            true => Some(config.positive("clip_sample_range", 1.0, 1e6)? as f32),
            false => None,
        };
        let alphas = match config.flag("rescale_betas_zero_snr", false)? {
            true => rescaled(&alphas_cumprod(steps, betas)),
            false => alphas_cumprod(steps, betas),
        };
        Ok(Self {
            spacing,
            steps_offset: steps_offset(config, pipeline)?,
            clip,
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
mod tests;
