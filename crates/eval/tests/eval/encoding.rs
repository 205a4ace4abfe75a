//! The latent and the losses of a training picture against diffusers and torch.

use memscope_eval::{
    MeasurementStore,
    run::execute,
    task::{CachePolicy, ModelIdentity, Watch},
    tasks::{CaptionedPicture, LossNoise, LossPicture, PictureLosses, TrainingPicture},
};
use memscope_model::{LatentDiffusion, ModelSource, NoiseGenerator};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    caption: String,
    image: String,
    timesteps: Vec<usize>,
    seed: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    model: String,
    latent: Vec<f64>,
    losses: Vec<f64>,
}

struct Quiet;

impl Watch for Quiet {
    fn progress(&mut self, _: usize, _: usize) {}

    fn stop_requested(&self) -> bool {
        false
    }
}

#[test]
fn latents_and_losses_are_those_of_diffusers() {
    let golden: Golden = serde_json::from_str(include_str!("../fixtures/encoding.json")).unwrap();
    for case in &golden.cases {
        let model = LatentDiffusion::load(&ModelSource::Embedded(case.model.clone())).unwrap();
        let picture = TrainingPicture::of_program(&golden.image).unwrap();
        let pixels = picture.open().unwrap();
        let (side, data) = (pixels.width(), pixels.data());
        let channel = |c: usize| data.iter().skip(c).step_by(3).map(|value| f32::from(*value) / 127.5 - 1.0);
        let latent = model.encode_image((0..3).flat_map(channel).collect()).unwrap();
        assert_eq!((side, latent.len()), (model.picture_size().unwrap(), case.latent.len()));
        // f32 through a dozen convolutions.
        for (found, expected) in latent.iter().zip(&case.latent) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
        }
        let task = PictureLosses {
            model: ModelIdentity::of(&model),
            pictures: vec![CaptionedPicture {
                prompt: golden.caption.as_str().into(),
                picture: LossPicture::Given(picture),
            }],
            noise: LossNoise {
                generator: NoiseGenerator::TorchCpu,
                seed: golden.seed,
                timesteps: golden.timesteps.clone(),
                noises: 1,
            },
            batch: 2,
        };
        let mut store = MeasurementStore::in_memory();
        execute(&task, &model, &mut store, CachePolicy::Reuse, &mut Quiet).unwrap();
        let losses = task.losses(0, &store).unwrap();
        for (found, expected) in losses.iter().zip(&case.losses) {
            assert!((found / expected - 1.0).abs() < 1e-4, "{}: {found} {expected}", case.model);
        }
    }
}
