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
        (r#""clip_sample_range": Infinity, "steps_offset": 1, "clip_sample": false"#, 981, false, 1.0),
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
        (format!(r#"{betas}, "beta_schedule": "squaredcos_cap_v2""#), [0.999958694, 0.000786714605, 2.42873499e-09]),
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
