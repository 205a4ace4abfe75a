//! LoRA: small files of changes to a model's weights, merged when the weights are read.
//!
//! Read are the layouts of kohya's sd-scripts (`lora_unet_*`), of diffusers and PEFT, and of LyCORIS (LoCon, LoHa, LoKr,
//! full differences), with weight decomposition (DoRA). Every key of a file changes a tensor of the base, or the file is
//! refused with the keys' names.

mod delta;
mod keys;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use self::{
    delta::Change,
    keys::{Component, Module},
};
use crate::{
    error::{Error, Result},
    excerpt::excerpt,
    files::Bytes,
    safetensors_file::Header,
    weights::{Weights, read_tensor},
};

/// A LoRA file and how strongly it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// The `.safetensors` file.
    pub file: PathBuf,
    /// Factor of its changes, 1 as it was trained.
    pub scale: f64,
}

impl FromStr for Lora {
    type Err = Error;

    /// `FILE` or `FILE:SCALE`.
    fn from_str(given: &str) -> Result<Self> {
        let (file, scale) = match given.rsplit_once(':') {
            Some((file, scale)) if !Path::new(given).exists() => (file, scale),
            _ => return Ok(Self { file: given.into(), scale: 1.0 }),
        };
        match scale.parse::<f64>() {
            Ok(scale) if scale.is_finite() && !file.is_empty() => Ok(Self { file: file.into(), scale }),
            _ => Err(Error::Argument(format!(
                "'{}' is no LoRA: give FILE or FILE:SCALE, e.g. style.safetensors:0.8",
                excerpt(given)
            ))),
        }
    }
}

impl fmt::Display for Lora {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.scale)
    }
}

/// The changes of some files to the networks of one base.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    pub(crate) files: Vec<(Lora, Bytes)>,
    /// By folder and tensor of the network, in the order of the files.
    changes: BTreeMap<(&'static str, String), Vec<(usize, Module)>>,
}

/// Keys named in a message; the others are counted.
const NAMED: usize = 5;

impl Changes {
    /// Finds the tensors that each file changes; `networks` are those of the base, by folder.
    ///
    /// # Errors
    ///
    /// Where a file has keys that the base has no tensor for, or that are not understood.
    pub(crate) fn resolve(loras: &[Lora], networks: &[(&'static str, Weights)]) -> Result<Self> {
        let mut resolved = Self { files: vec![], changes: BTreeMap::new() };
        let names: Vec<(&'static str, keys::Names)> = networks
            .iter()
            .map(|(folder, weights)| (*folder, keys::Names::of(weights.names())))
            .collect();
        for lora in loras {
            let label = lora.file.display().to_string();
            let read = |source| Error::Read { path: lora.file.clone(), source };
            let bytes = Bytes::on_disk(lora.file.clone()).map_err(read)?;
            let header = Header::read(&label, &bytes)?;
            let (modules, strange) = keys::modules(&header);
            let mut unknown: Vec<String> = strange;
            for module in modules {
                match names.iter().find_map(|(folder, names)| Some((*folder, names.find(folder, &module)?))) {
                    Some((folder, tensor)) => {
                        let entry = resolved.changes.entry((folder, tensor)).or_default();
                        entry.push((resolved.files.len(), module));
                    }
                    None => unknown.push(module.name.clone()),
                }
            }
            if let Some(first) = unknown.first() {
                let named: Vec<String> = unknown.iter().take(NAMED).map(|name| excerpt(name)).collect();
                tracing::debug!("{label}: {first}");
                return Err(Error::LoraKeys { file: label, count: unknown.len(), names: named.join(", ") });
            }
            resolved.files.push((lora.clone(), bytes));
        }
        for (folder, weights) in networks {
            resolved.check(folder, weights)?;
        }
        Ok(resolved)
    }

    /// Refuses changes whose shapes do not fit the tensors.
    fn check(&self, folder: &str, weights: &Weights) -> Result<()> {
        for ((of, tensor), modules) in &self.changes {
            let Some(shape) = weights.shape(tensor).filter(|_| *of == folder) else { continue };
            for (file, module) in modules {
                if !delta::fits(module, &shape) {
                    return Err(Error::LoraShape {
                        file: self.files[*file].0.file.display().to_string(),
                        module: excerpt(&module.name),
                        tensor: tensor.clone(),
                        shape,
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds to a tensor of a network what the files say.
    pub(crate) fn apply(&self, folder: &str, tensor: &str, shape: &[usize], numbers: Vec<f32>) -> Result<Vec<f32>> {
        let Some(((_, _), modules)) = self.changes.iter().find(|((of, name), _)| *of == folder && name == tensor) else {
            return Ok(numbers);
        };
        modules.iter().try_fold(numbers, |numbers, (file, module)| {
            let (lora, bytes) = &self.files[*file];
            let read = |part: &str| {
                let Some(stored) = module.parts.get(part) else { return Ok(None) };
                read_tensor(&lora.file.display().to_string(), &module.name, bytes, stored).map(Some)
            };
            Change::read(module, read)?.apply(numbers, shape, lora.scale)
        })
    }
}

impl Component {
    /// Whether the module may lie in the network of that folder.
    fn may_be(self, folder: &str) -> bool {
        match self {
            Self::UNet => folder == "unet",
            Self::Text => folder == "text_encoder",
            Self::SecondText => folder == "text_encoder_2",
            Self::Unsaid => true,
        }
    }
}
