//! What a model is, from its headers and configurations.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    blueprint::Blueprint,
    error::{Error, Result},
    execution::{DeviceChoice, Execution, Place},
    schedule::ScheduleCheck,
    source::ModelSource,
    weights::Weights,
};

/// A model in short; reading it reads no weights.
#[derive(Clone, Debug, Serialize)]
pub struct ModelSummary {
    /// Where it comes from.
    pub source: String,
    /// How it is stored.
    pub layout: String,
    /// Of which family it is.
    pub family: String,
    /// What the network's output means: `epsilon` or `v_prediction`.
    pub prediction_type: String,
    /// Channels, height and width of its latents.
    pub latent_shape: [usize; 3],
    /// What it is told of a picture's size, where it is told: height and width, top and left, height and width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<[u32; 6]>,
    /// Training steps of its schedule.
    pub train_steps: usize,
    /// The timesteps that 50 steps of DDIM visit.
    pub timesteps: String,
    /// Whether they are those of the protocol, without which a run needs `--accept-schedule`.
    pub follows_protocol: bool,
    /// Its networks.
    pub networks: Vec<NetworkSummary>,
    /// LoRA files that are merged, with their scales.
    pub loras: Vec<String>,
    /// Tensors of a checkpoint file that are not used, by reason: how many, and the first of them.
    pub unused: Vec<UnusedTensors>,
}

/// One network.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkSummary {
    /// `unet`, `text_encoder`, `text_encoder_2` or `vae`.
    pub name: String,
    /// How many numbers its tensors hold.
    pub parameters: u64,
    /// The formats they are stored in.
    pub formats: BTreeSet<String>,
}

/// Tensors that nothing reads.
#[derive(Clone, Debug, Serialize)]
pub struct UnusedTensors {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: usize,
    /// The first.
    pub first: String,
}

impl ModelSummary {
    /// Reads the configurations and headers of a model.
    ///
    /// # Errors
    ///
    /// Where the model could not be run, for the reason why.
    pub fn of(source: &ModelSource) -> Result<Self> {
        let blueprint = Blueprint::read(source, ScheduleCheck::Accept)?;
        let files = blueprint.files();
        let schedule = blueprint.schedule();
        let place = Place::open(Execution { device: DeviceChoice::Cpu, ..Execution::default() })?;
        let mut networks = vec![];
        for (name, stem) in blueprint.pipeline().networks() {
            match Weights::open(files, name, stem, place.clone()) {
                Ok(weights) => {
                    let (parameters, formats) = weights.summary();
                    networks.push(NetworkSummary { name: (*name).to_owned(), parameters, formats });
                }
                // Detection never decodes.
                Err(Error::MissingFile { .. } | Error::Checkpoint { .. }) if *name == "vae" => {}
                Err(error) => return Err(error),
            }
        }
        let (channels, height, width) = blueprint.latent_shape();
        Ok(Self {
            source: source.to_string(),
            layout: match files.checkpoint() {
                Some(_) => "checkpoint in one file".to_owned(),
                None => "folder in diffusers layout".to_owned(),
            },
            family: files
                .checkpoint()
                .map_or_else(|| blueprint.family().to_owned(), |checkpoint| checkpoint.architecture.clone()),
            sizes: blueprint.sizes(),
            prediction_type: schedule.parameterization().to_string(),
            latent_shape: [channels, height, width],
            train_steps: schedule.train_steps(),
            timesteps: schedule.described(),
            follows_protocol: schedule.follows_protocol(),
            networks,
            loras: files
                .changes()
                .map_or(vec![], |changes| changes.files.iter().map(|(lora, _)| lora.to_string()).collect()),
            unused: files.checkpoint().map_or(vec![], |checkpoint| by_reason(&checkpoint.unused)),
        })
    }
}

fn by_reason(unused: &[(String, &'static str)]) -> Vec<UnusedTensors> {
    let mut reasons: Vec<UnusedTensors> = vec![];
    for (tensor, reason) in unused {
        match reasons.iter_mut().find(|known| known.reason == *reason) {
            Some(known) => known.count += 1,
            None => {
                reasons.push(UnusedTensors {
                    reason: (*reason).to_owned(),
                    count: 1,
                    first: memscope_text::excerpt(tensor),
                });
            }
        }
    }
    reasons
}

impl fmt::Display for ModelSummary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [channels, height, width] = self.latent_shape;
        writeln!(f, "{}: {}, {}", self.source, self.layout, self.family)?;
        writeln!(f, "prediction type  {}", self.prediction_type)?;
        writeln!(f, "latents          {channels}x{height}x{width}")?;
        if let Some([height, width, top, left, target_height, target_width]) = self.sizes {
            let cut = format!("cut at {top}, {left}");
            writeln!(f, "sizes            original {height}x{width}, {cut}, target {target_height}x{target_width}")?;
        }
        writeln!(f, "schedule         {} training steps, 50 steps visit {}", self.train_steps, self.timesteps)?;
        for NetworkSummary { name, parameters, formats } in &self.networks {
            let formats: Vec<&str> = formats.iter().map(String::as_str).collect();
            writeln!(f, "{name:16} {parameters} numbers, {}", formats.join(", "))?;
        }
        for lora in &self.loras {
            writeln!(f, "LoRA             {lora}")?;
        }
        for UnusedTensors { reason, count, first } in &self.unused {
            writeln!(f, "not used         {count} tensors, such as {first}: {reason}")?;
        }
        let detection = match self.follows_protocol {
            true => "applies",
            false => "applies with --accept-schedule: the timesteps are not the protocol's",
        };
        writeln!(f, "detection        {detection}")
    }
}
