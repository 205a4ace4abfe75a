//! A model on the command line, and what it may cost.

use std::path::PathBuf;

use clap::Args;
use memscope_model::{
    CheckpointWeights, DeviceChoice, Execution, FileOptions, LoadOptions, Lora, ModelSource, NetworkDtype,
    Parameterization, Pixels, ScheduleCheck, SizeConditions, Variant,
};

use crate::exit_code::UserError;

/// A model on the command line.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelArgs {
    /// embedded:NAME, sd14, sd20, rv51, a folder in diffusers layout, a checkpoint file (.safetensors, .ckpt) of SD 1.x,
    /// 2.x or SDXL, or a Hub id, owner/name[@revision].
    #[arg(long = "model", value_name = "SRC")]
    source: ModelSource,
    /// Variant of the weight files, e.g. fp16 for *.fp16.safetensors; by default those without one.
    #[arg(long, value_name = "NAME")]
    variant: Option<Variant>,
    /// LoRA file merged into the weights, times SCALE (1 if left out); may be repeated.
    #[arg(long = "lora", value_name = "FILE[:SCALE]")]
    loras: Vec<Lora>,
    /// How a checkpoint file is read.
    #[command(flatten)]
    file: FileArgs,
    /// What SDXL is told of a picture.
    #[command(flatten)]
    sizes: SizeArgs,
    /// Run the model even if its scheduler's timesteps are not the protocol's 981, 961, ..., 1.
    #[arg(long)]
    accept_schedule: bool,
    /// Number format of the network: f32, f16 or bf16.
    #[arg(long, default_value_t)]
    dtype: NetworkDtype,
    /// Device of the network: auto, cpu or cuda:N.
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Costs.
    #[command(flatten)]
    pub(crate) costs: CostArgs,
}

/// How a checkpoint in one file is read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FileArgs {
    /// VAE in place of the one in the checkpoint file: a .safetensors or PyTorch file.
    #[arg(long, value_name = "FILE")]
    vae: Option<PathBuf>,
    /// Folder in diffusers layout (or embedded:NAME) whose configurations and tokenizer describe the checkpoint file; by
    /// default those of Stable Diffusion.
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// What the network of the checkpoint file predicts, epsilon or v_prediction, where the file does not say it.
    #[arg(long, value_name = "TYPE")]
    prediction_type: Option<Parameterization>,
    /// Read the averaged weights (EMA) of the checkpoint file's UNet in place of the trained ones.
    #[arg(long)]
    ema: bool,
}

/// A model, and the scale of its LoRA file where several are asked for.
pub(crate) struct ScaledModel {
    pub(crate) lora_scale: Option<f64>,
    pub(crate) model: ModelArgs,
}

/// What SDXL is told of a picture's size.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct SizeArgs {
    /// SDXL: height and width of the picture before it was cut, e.g. 512x768; by default those of the model's pictures.
    #[arg(long, value_name = "HxW")]
    original_size: Option<Pixels>,
    /// SDXL: where the picture was cut, from the top and from the left; by default 0x0.
    #[arg(long, value_name = "TOPxLEFT")]
    crops: Option<Pixels>,
    /// SDXL: height and width of the picture after it was cut; by default those of the model's pictures.
    #[arg(long, value_name = "HxW")]
    target_size: Option<Pixels>,
}

impl SizeArgs {
    /// The sizes as the model takes them.
    pub(crate) fn conditions(self) -> SizeConditions {
        SizeConditions {
            original_size: self.original_size,
            crops_coords_top_left: self.crops,
            target_size: self.target_size,
        }
    }
}

impl FileArgs {
    /// The options as the model takes them.
    pub(crate) fn options(&self) -> FileOptions {
        let Self { vae, config, prediction_type, ema } = self.clone();
        let weights = if ema { CheckpointWeights::Averaged } else { CheckpointWeights::Trained };
        FileOptions { vae, config, prediction: prediction_type, weights }
    }
}

/// What is done about the costs of a run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct CostArgs {
    /// Print network calls, operations, seconds on this machine and memory, and stop; no weights are read.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: seconds at this many operations a second of another machine, e.g. 2e14, in place of this one's measured
    /// speed; docs/scale.md has some.
    #[arg(long, value_name = "RATE", requires = "dry_run", value_parser = rate)]
    pub(crate) assume_flops: Option<f64>,
    /// Start even if there seems to be too little memory.
    #[arg(long)]
    pub(crate) ignore_memory: bool,
}

/// Operations a second.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| format!("'{text}' is not a number"))?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err("it must be above zero".into()) }
}

impl ModelArgs {
    /// The model that is meant.
    pub(crate) fn source(&self) -> memscope_model::Result<ModelSource> {
        self.source_with(self.loras.clone())
    }

    /// The same model with other LoRA files, or with none.
    pub(crate) fn source_with(&self, loras: Vec<Lora>) -> memscope_model::Result<ModelSource> {
        let source = self.source.clone().with_variant(self.variant.clone())?;
        Ok(source.with_file_options(self.file.options())?.with_loras(loras).with_sizes(self.sizes.conditions()))
    }

    /// Its LoRA files.
    pub(crate) fn loras(&self) -> &[Lora] {
        &self.loras
    }

    /// The model at each of these scales of its one LoRA file, or as it is where there are none.
    pub(crate) fn at_scales(&self, scales: &[f64]) -> anyhow::Result<Vec<ScaledModel>> {
        if scales.is_empty() {
            return Ok(vec![ScaledModel { lora_scale: None, model: self.clone() }]);
        }
        let [lora] = self.loras() else {
            return Err(UserError::input("--lora-scale needs exactly one --lora").into());
        };
        let scaled = |scale: &f64| {
            if !scale.is_finite() {
                return Err(UserError::input(format!("--lora-scale {scale} is not a number")).into());
            }
            let loras = vec![Lora { scale: *scale, ..lora.clone() }];
            Ok(ScaledModel { lora_scale: Some(*scale), model: Self { loras, ..self.clone() } })
        };
        scales.iter().map(scaled).collect()
    }

    /// How it is loaded.
    pub(crate) fn options(&self) -> LoadOptions {
        LoadOptions {
            schedule: ScheduleCheck::accepting(self.accept_schedule),
            execution: Execution { dtype: self.dtype, device: self.device },
        }
    }
}
