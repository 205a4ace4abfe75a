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

use memscope_text::excerpt;

use self::{
    delta::Change,
    keys::{Component, Module},
};
use crate::{
    bytes::Bytes,
    error::{Error, Result},
    numbers::read_tensor,
    tensor_file::Header,
};

/// A LoRA file and how strongly it is applied.
#[derive(Clone, Debug)]
pub struct Lora {
    /// The file: `.safetensors`, or one of PyTorch.
    pub file: PathBuf,
    /// Factor of its changes, 1 as it was trained.
    pub scale: f64,
}

impl PartialEq for Lora {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.scale.to_bits() == other.scale.to_bits()
    }
}

impl Eq for Lora {}

impl FromStr for Lora {
    type Err = Error;

    /// `FILE` or `FILE:SCALE`.
    fn from_str(given: &str) -> Result<Self> {
        let (file, scale) = match given.rsplit_once(':') {
            Some((file, scale)) if !Path::new(given).exists() && !scale.contains(['/', '\\']) => (file, scale),
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

/// Tensors of a network by name.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// Keys named in a message; the others are counted.
const NAMED: usize = 5;

impl Changes {
    /// Finds the tensors that each file changes; `networks` are the shapes of those of the base, by folder.
    ///
    /// # Errors
    ///
    /// Where a file has keys that the base has no tensor for, or that are not understood.
    pub(crate) fn resolve(loras: &[Lora], networks: &[(&'static str, Shapes)]) -> Result<Self> {
        let mut resolved = Self { files: vec![], changes: BTreeMap::new() };
        let names: Vec<(&'static str, keys::Names)> = networks
            .iter()
            .map(|(folder, shapes)| (*folder, keys::Names::of(folder, shapes.keys().map(String::as_str))))
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
        for (folder, shapes) in networks {
            resolved.check(folder, shapes)?;
        }
        Ok(resolved)
    }

    /// Refuses changes whose shapes do not fit the tensors.
    fn check(&self, folder: &str, shapes: &Shapes) -> Result<()> {
        for ((of, tensor), modules) in &self.changes {
            let Some(shape) = shapes.get(tensor).filter(|_| *of == folder) else { continue };
            for (file, module) in modules {
                if !delta::fits(module, shape) {
                    return Err(Error::LoraShape {
                        file: self.files[*file].0.file.display().to_string(),
                        module: excerpt(&module.name),
                        tensor: tensor.clone(),
                        shape: shape.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds to a tensor of a network what the files say.
    pub(crate) fn apply(&self, folder: &str, tensor: &str, shape: &[usize], numbers: Vec<f32>) -> Result<Vec<f32>> {
        let Some(((_, _), modules)) = self.changes.iter().find(|((of, name), _)| *of == folder && name == tensor)
        else {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fixtures() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
    }

    fn read_all(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        let bytes = Bytes::on_disk(path.to_owned()).unwrap();
        let header = Header::read("test", &bytes).unwrap();
        let read = |(name, stored): (String, crate::tensor_file::Stored)| {
            let numbers = read_tensor("test", &name, &bytes, &stored).unwrap();
            (name, (stored.shape, numbers))
        };
        header.tensors.into_iter().map(read).collect()
    }

    /// The merged weights that `scripts/fixtures/make_single_file.py` made by the libraries' formulas, or by PEFT.
    #[test]
    fn every_kind_merges_as_its_library_does() {
        let unet = fixtures().join("parity/models/tiny-sd1/unet");
        let mut base = BTreeMap::new();
        for part in ["diffusion_pytorch_model-00001-of-00002", "diffusion_pytorch_model-00002-of-00002"] {
            base.extend(read_all(&unet.join(format!("{part}.safetensors"))));
        }
        let shapes: Shapes = base.iter().map(|(name, (shape, _))| (name.clone(), shape.clone())).collect();
        let expected = read_all(&fixtures().join("formats/lora-expected.safetensors"));
        assert_eq!(expected.len(), 12);
        for (name, (_, expected)) in expected {
            let (kind, tensor) = name.split_once('/').unwrap();
            let lora = Lora { file: fixtures().join(format!("formats/lora-{kind}.safetensors")), scale: 0.75 };
            let changes = Changes::resolve(&[lora], &[("unet", shapes.clone())]).unwrap();
            let (shape, numbers) = base[tensor].clone();
            let merged = changes.apply("unet", tensor, &shape, numbers).unwrap();
            let largest = expected.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            for (got, expected) in merged.iter().zip(&expected) {
                assert!((got - expected).abs() <= 1e-6 * largest, "{name}: {got} {expected}");
            }
            assert_eq!(changes.apply("unet", "conv_in.weight", &[1], vec![2.0]).unwrap(), [2.0]);
        }
    }

    #[test]
    fn a_lora_of_another_base_is_refused_with_its_keys() {
        let file = fixtures().join("formats/lora-kohya.safetensors");
        let lora = [Lora { file, scale: 1.0 }];
        let other = [("unet", Shapes::from([("conv_in.weight".to_owned(), vec![8, 4, 3, 3])]))];
        let message = Changes::resolve(&lora, &other).unwrap_err().to_string();
        assert!(message.contains("lora_unet_down_blocks_0_resnets_0_conv1"), "{message}");
        let tensors = ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "down_blocks.0.resnets.0.conv1"];
        let wide = tensors.map(|name| (format!("{name}.weight"), vec![320, 320]));
        let error = Changes::resolve(&lora, &[("unet", Shapes::from(wide))]).unwrap_err();
        assert!(matches!(error, Error::LoraShape { .. }), "{error}");
    }

    #[test]
    fn scales_stand_behind_the_file() {
        let parse = |given: &str| given.parse::<Lora>().unwrap();
        assert_eq!(parse("a.safetensors"), Lora { file: "a.safetensors".into(), scale: 1.0 });
        assert_eq!(parse("C:/a.safetensors:0.8"), Lora { file: "C:/a.safetensors".into(), scale: 0.8 });
        assert_eq!(parse("a.safetensors:-1"), Lora { file: "a.safetensors".into(), scale: -1.0 });
        for wrong in ["a.safetensors:nan", "a.safetensors:x", ":1"] {
            assert!(wrong.parse::<Lora>().is_err(), "{wrong}");
        }
    }
}
