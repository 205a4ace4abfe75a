//! What an audit asks of a model, as tasks: the same for the fine-tune and for its base where both are asked.

use std::{path::Path, rc::Rc};

use memscope_metric::{Detector, Protocol};
use memscope_model::{Blueprint, NoiseGenerator, NoisePrecision, Sampling};
use memscope_results::Settings;

use super::{StatisticName, SubjectItem};
use crate::{
    error::Result,
    prompts::KnownPrompt,
    spec::{DetectorEntry, DetectorName, MitigationEntry, MitigationName, NoiseSharing},
    task::{ModelIdentity, NoisePlan, Task},
    tasks::{
        CaptionedPicture, Detection, JudgeFiles, Judging, LossNoise, LossPicture, Mitigations, PictureLosses,
        PictureNames, PlannedMethod, TokenGradients, TokenNorm, TrainingPictures,
    },
};

/// What the numbers of an audit depend on beside models and prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditSettings {
    /// What decides.
    pub statistic: StatisticName,
    /// Generator of all noises.
    pub generator: NoiseGenerator,
    /// Seeds of the noises of a detector, whose scores are averaged; the first is that of losses and draws.
    pub seeds: Vec<u64>,
    /// Noises of a detector under each seed.
    pub generations: usize,
    /// Draws of a prompt.
    pub draws: usize,
    /// How they are drawn.
    pub sampling: Sampling,
    /// Samples per network call.
    pub batch: usize,
}

/// An audit of some prompts.
pub struct AuditPlan {
    /// Settings.
    pub settings: AuditSettings,
    /// The prompts that are audited, then those that calibrate.
    pub items: Vec<SubjectItem>,
    /// How many of them are audited.
    pub audited: usize,
}

/// What is drawn, and what is seen on it.
pub struct Drawing {
    /// The items by their positions in the plan.
    pub items: Vec<usize>,
    /// Draws.
    pub draws: Rc<Mitigations>,
    /// What is said about them.
    pub judging: Judging,
}

impl AuditSettings {
    /// The seed of losses and draws.
    pub fn seed(&self) -> u64 {
        self.seeds.first().copied().unwrap_or_default()
    }

    /// The timesteps and noises of losses.
    pub fn loss_noise(&self) -> LossNoise {
        match self.statistic {
            StatisticName::SelfLossRatio => LossNoise::of_drawn_pictures(self.generator, self.seed()),
            _ => LossNoise::of_training_pictures(self.generator, self.seed()),
        }
    }

    /// What a score depends on, by name: scores are comparable where all of this is the same.
    pub fn of_scores(&self) -> Settings {
        let mut settings = Settings::new();
        let mut put = |key: &str, value: String| settings.insert(key.to_owned(), value);
        put("generator", self.generator.to_string());
        match self.statistic {
            StatisticName::Detector(_) => {
                let seeds: Vec<String> = self.seeds.iter().map(ToString::to_string).collect();
                put("seeds", seeds.join(" "));
                put("generations", self.generations.to_string());
            }
            _ => {
                let noise = self.loss_noise();
                let timesteps: Vec<String> = noise.timesteps.iter().map(ToString::to_string).collect();
                put("seed", noise.seed.to_string());
                put("timesteps", timesteps.join(" "));
                put("noises", noise.noises.to_string());
            }
        }
        if self.statistic.draws_all() {
            put("draws", self.draws.to_string());
            put("steps", self.sampling.steps.to_string());
            put("guidance", self.sampling.guidance.to_string());
        }
        settings
    }
}

impl AuditPlan {
    /// The detection behind a detector's scores; `None` for other statistics.
    ///
    /// # Errors
    /// When the detector does not fit the model.
    pub fn detection(&self, blueprint: &Blueprint) -> Result<Option<Detection>> {
        let StatisticName::Detector(name) = self.settings.statistic else { return Ok(None) };
        Ok(Some(Detection {
            detectors: vec![(name, detector(name, blueprint)?)],
            noise: self.noise(self.settings.seeds.clone(), self.settings.generations),
            batch: self.settings.batch,
        }))
    }

    fn noise(&self, seeds: Vec<u64>, generations: usize) -> NoisePlan {
        let generator = self.settings.generator;
        NoisePlan { generator, precision: NoisePrecision::F32, seeds, generations, sharing: NoiseSharing::Shared }
    }

    /// The prompts, each once.
    pub fn prompts(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let texts = self.items.iter().map(|item| item.prompt.to_string());
        texts.filter(|text| seen.insert(text.clone())).collect()
    }

    /// Draws of some items by the audited model, into `folder`.
    ///
    /// # Errors
    /// When the plain sampler cannot be built.
    pub fn drawing(
        &self,
        items: Vec<usize>,
        model: (&Blueprint, ModelIdentity),
        folder: &Path,
        judges: Option<JudgeFiles>,
    ) -> Result<Drawing> {
        self.mitigated((items, &MitigationEntry::none()), model, folder, judges)
    }

    /// The same by a mitigation, from the same noises; a detector that decides looks at what is drawn instead.
    ///
    /// # Errors
    /// When the mitigation does not fit the model.
    pub fn mitigated(
        &self,
        (items, entry): (Vec<usize>, &MitigationEntry),
        (blueprint, model): (&Blueprint, ModelIdentity),
        folder: &Path,
        judges: Option<JudgeFiles>,
    ) -> Result<Drawing> {
        let method = PlannedMethod { label: entry.label(), method: entry.build(&Protocol::default(), blueprint)? };
        let known = |at: &usize| KnownPrompt::new(self.items[*at].prompt.clone(), "audit");
        let detectors = match (self.settings.statistic, entry.name()) {
            (StatisticName::Detector(name), entry) if entry != MitigationName::None => {
                vec![detector(name, blueprint)?]
            }
            _ => vec![],
        };
        let draws = Rc::new(Mitigations {
            model,
            noise: self.noise(vec![self.settings.seed()], self.settings.draws),
            methods: vec![method],
            prompts: items.iter().map(known).collect(),
            sampling: self.settings.sampling,
            detectors,
            names: PictureNames::ByContent(folder.to_owned()),
        });
        let training = TrainingPictures::of_prompts(items.iter().map(|at| self.items[*at].picture.clone()));
        Ok(Drawing { judging: Judging::new(draws.clone(), training, judges), items, draws })
    }

    /// What each word of some items does, on `noises` noises of the first seed.
    pub fn words(&self, items: &[usize], model: ModelIdentity, noises: usize) -> TokenGradients {
        let prompts = items.iter().map(|at| self.items[*at].prompt.to_string()).collect();
        let noise = self.noise(vec![self.settings.seed()], noises);
        TokenGradients::new(model, prompts, noise, TokenNorm::OfEachNoise)
    }

    /// The losses that a model is asked for: of training pictures, or of what is drawn. `None` where a detector decides.
    pub fn losses(&self, model: ModelIdentity, drawing: Option<&Drawing>) -> Option<PictureLosses> {
        let statistic = self.settings.statistic;
        let pictures = match (statistic, drawing) {
            (StatisticName::Detector(_), _) => return None,
            (StatisticName::SelfLossRatio, Some(drawing)) => {
                let of_unit = |unit: usize| {
                    let prompt = drawing.draws.prompts[unit].text.clone();
                    let id = drawing.draws.pictures_id(unit);
                    let pictures = drawing.draws.pictures(unit).into_iter().enumerate();
                    pictures.map(move |(i, path)| CaptionedPicture {
                        prompt: prompt.clone(),
                        picture: LossPicture::Drawn(path, format!("{id}/{i}")),
                    })
                };
                (0..drawing.draws.units()).flat_map(of_unit).collect()
            }
            _ => return Some(self.picture_losses(model)),
        };
        Some(PictureLosses { model, pictures, noise: self.settings.loss_noise(), batch: self.settings.batch })
    }

    /// The losses of the training pictures.
    pub fn picture_losses(&self, model: ModelIdentity) -> PictureLosses {
        let captioned = |item: &SubjectItem| {
            let picture = LossPicture::Given(item.picture.clone()?);
            Some(CaptionedPicture { prompt: item.prompt.clone(), picture })
        };
        let pictures = self.items.iter().filter_map(captioned).collect();
        PictureLosses { model, pictures, noise: self.settings.loss_noise(), batch: self.settings.batch }
    }

    /// The items that are drawn for the statistic itself.
    pub fn drawn_for_scores(&self) -> Vec<usize> {
        if self.settings.statistic.draws_all() { (0..self.items.len()).collect() } else { vec![] }
    }
}

/// A detector with the options it has by default.
fn detector(name: DetectorName, blueprint: &Blueprint) -> Result<Box<dyn Detector>> {
    let protocol = Protocol::default().resolve(blueprint.schedule().parameterization())?;
    DetectorEntry::from(name).build(protocol, blueprint)
}
