//! The noise schedule and the timesteps of DDIM sampling (docs/spec/protocol.md §1).

use crate::{
    config::Config,
    error::{Error, Result},
    files::ModelFiles,
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

impl Schedule {
    /// Reads `scheduler/scheduler_config.json`, logs what it leads to, and checks it. Whatever class the file names,
    /// its schedule is run as DDIM, as the reference code rebuilds it.
    pub(crate) fn load(files: &ModelFiles, check: ScheduleCheck) -> Result<Self> {
        let config = Config::read(files, "scheduler/scheduler_config.json")?;
        config.only("beta_schedule", &["\"scaled_linear\""])?;
        config.only("clip_sample", &["false"])?;
        config.only("thresholding", &["false"])?;
        config.only("rescale_betas_zero_snr", &["false"])?;
        config.only("trained_betas", &[])?;
        let parameterization = match config.text("prediction_type", "epsilon")? {
            "epsilon" => Parameterization::Epsilon,
            "v_prediction" => Parameterization::V,
            other => return Err(config.unsupported("prediction_type", &other.into(), "epsilon, v_prediction")),
        };
        let steps = config.size("num_train_timesteps", Some(1000))?;
        let (start, end) = (config.number("beta_start", 0.0001)?, config.number("beta_end", 0.02)?);
        let steps_offset = config.number("steps_offset", 0.0)? as usize;
        let set_alpha_to_one = config.flag("set_alpha_to_one", true)?;
        let spacing = match config.text("timestep_spacing", "leading")? {
            "leading" => Spacing::Leading,
            "linspace" => Spacing::Linspace,
            "trailing" => Spacing::Trailing,
            other => {
                return Err(config.unsupported("timestep_spacing", &other.into(), "leading, linspace, trailing"));
            }
        };
        let schedule = Self {
            spacing,
            ..Self::scaled_linear(steps, start, end, steps_offset, set_alpha_to_one, parameterization)
        };
        let found = schedule.described();
        tracing::info!(
            "{}: class {}, {steps} training steps, beta {start} to {end} (scaled_linear), {parameterization}, \
             spacing {spacing:?}, steps_offset {steps_offset}, set_alpha_to_one {set_alpha_to_one}; \
             run as DDIM, 50 steps visit {found}",
            files.label("scheduler/scheduler_config.json"),
            config.text("_class_name", "not named")?,
        );
        if check == ScheduleCheck::Protocol && !schedule.follows_protocol() {
            let spacing = config.text("timestep_spacing", "leading")?;
            return Err(Error::Schedule {
                file: files.label("scheduler/scheduler_config.json"),
                found,
                settings: format!(
                    "timestep_spacing {spacing}, steps_offset {steps_offset}, num_train_timesteps {steps} in place of \
                     leading, 1, 1000"
                ),
            });
        }
        Ok(schedule)
    }

    /// Whether 50 steps visit 981, 961, …, 1.
    fn follows_protocol(&self) -> bool {
        self.timesteps(50).is_ok_and(|timesteps| timesteps.into_iter().eq((0..50).map(|i| 981 - 20 * i)))
    }

    /// The timesteps of 50 steps, in short.
    fn described(&self) -> String {
        match self.timesteps(50).as_deref() {
            Ok([first, second, .., last]) => format!("{first}, {second}, ..., {last}"),
            Ok(_) => "nothing".into(),
            Err(error) => format!("no timesteps ({error})"),
        }
    }

    /// β_k = (linspace(√start, √end)_k)², in f32 like torch.
    fn scaled_linear(
        steps: usize,
        start: f64,
        end: f64,
        steps_offset: usize,
        set_alpha_to_one: bool,
        parameterization: Parameterization,
    ) -> Self {
        let (first, last) = (start.sqrt() as f32, end.sqrt() as f32);
        let step = (last - first) / (steps.max(2) - 1) as f32;
        // torch.linspace walks from both ends to the middle.
        let root =
            |k: usize| if k < steps / 2 { first + step * k as f32 } else { last - step * (steps - 1 - k) as f32 };
        // torch accumulates the product of f32 factors in f64 and rounds each element.
        let mut product = 1.0f64;
        let alphas_cumprod: Vec<f32> = (0..steps)
            .map(|k| {
                product *= f64::from(1.0 - root(k) * root(k));
                product as f32
            })
            .collect();
        let final_alpha = if set_alpha_to_one { 1.0 } else { alphas_cumprod.first().copied().unwrap_or(1.0) };
        Self { alphas_cumprod, spacing: Spacing::Leading, steps_offset, final_alpha, parameterization }
    }

    /// What the network's output means.
    pub fn parameterization(&self) -> Parameterization {
        self.parameterization
    }

    /// Training steps.
    pub fn train_steps(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// ᾱ_t.
    pub fn alpha_cumprod(&self, t: usize) -> Result<f32> {
        self.alphas_cumprod.get(t).copied().ok_or_else(|| {
            Error::Argument(format!("timestep {t} is outside 0..={}", self.train_steps().saturating_sub(1)))
        })
    }

    /// √ᾱ_t and √(1 − ᾱ_t), rounded to f32 as the reference code holds them.
    pub fn scales(&self, t: usize) -> Result<Scales> {
        let alpha = self.alpha_cumprod(t)?;
        Ok(Scales { a: f64::from(alpha.sqrt()), s: f64::from((1.0 - alpha).sqrt()) })
    }

    /// The timesteps of a DDIM run, noisiest first: e.g. 981, 961, …, 1 for 50 steps with leading spacing.
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
            *x = a_previous * x0 + s_previous * epsilon;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stable_diffusion() -> Schedule {
        Schedule::scaled_linear(1000, 0.00085, 0.012, 1, false, Parameterization::Epsilon)
    }

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
            let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012, 1, false, parameterization);
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
