//! SSCD, a descriptor of pictures for copy detection (Pizzi et al., CVPR 2022, arXiv 2202.10261).

mod config;
mod head;
mod names;
mod trunk;

use candle_core::{Device, Tensor};

pub use self::config::{Block, SscdConfig, Stem};
use self::{
    head::{Features, Head},
    names::Names,
    trunk::Trunk,
};
use crate::{
    embedding::Embedding,
    error::{Error, Result},
    files::Files,
    judge::Judge,
    location::LocationMap,
    picture::Picture,
    preprocess::Preprocessing,
    similarity::Similarity,
    weights::Weights,
};

/// Pictures per pass.
const BATCH: usize = 4;

type Architecture = fn() -> SscdConfig;

/// Where published files may be, with their architectures.
const PUBLISHED: [([&str; 2], Architecture); 2] = [
    (["sscd/sscd_disc_large.torchscript.pt", "sscd_disc_large.torchscript.pt"], SscdConfig::disc_large),
    (["sscd/sscd_disc_mixup.torchscript.pt", "sscd_disc_mixup.torchscript.pt"], SscdConfig::disc_mixup),
];

/// A copy descriptor.
#[derive(Debug)]
pub struct Sscd {
    name: String,
    trunk: Trunk,
    head: Head,
    preprocessing: Preprocessing,
    copy_threshold: f64,
    device: Device,
}

impl Sscd {
    /// Opens `sscd/config.json` with `sscd/model.safetensors`, or one of the published TorchScript archives in the
    /// folder or in `sscd/`; `None` where there is neither.
    ///
    /// # Errors
    /// When a file is damaged or does not fit the configuration.
    pub fn open(files: &Files, device: &Device) -> Result<Option<Self>> {
        let found = Self::find(files)?;
        found.map(|(config, weights)| Self::load(files, weights, &config, device)).transpose()
    }

    /// Similarity above which the descriptor that [`Self::open`] would open counts a picture as a copy.
    ///
    /// # Errors
    /// When its configuration is damaged.
    pub fn threshold_of(files: &Files) -> Result<Option<f64>> {
        Ok(Self::find(files)?.map(|(config, _)| config.copy_threshold))
    }

    /// The configuration and the name of the file with the weights.
    fn find(files: &Files) -> Result<Option<(SscdConfig, &'static str)>> {
        const WEIGHTS: [&str; 3] = ["sscd/model.safetensors", "sscd/model.pt", "sscd/model.bin"];
        if let Some(json) = files.text("sscd/config.json")? {
            let file = files.file_label("sscd/config.json");
            let config: SscdConfig = serde_json::from_slice(&json)
                .map_err(|e| Error::Config { file: file.clone(), reason: e.to_string() })?;
            config.check().map_err(|reason| Error::Config { file, reason })?;
            let weights = files.first(&WEIGHTS).ok_or_else(|| files.missing(WEIGHTS[0]))?;
            return Ok(Some((config, weights)));
        }
        let published = PUBLISHED.iter().find_map(|(name, config)| Some((config(), files.first(name)?)));
        Ok(published)
    }

    /// Loads the weights in one file: safetensors, state dict or TorchScript; torchvision's or Classy Vision's names.
    ///
    /// # Errors
    /// When the file is damaged or does not fit the configuration.
    pub fn load(files: &Files, file: &str, config: &SscdConfig, device: &Device) -> Result<Self> {
        let weights = Weights::open(files, file, device)?;
        let refuse = |reason| Error::Config { file: weights.label().to_owned(), reason };
        config.check().map_err(refuse)?;
        let names = Names::of(&weights);
        let (head, exponent) = names.head();
        if let Some(p) = weights.number(exponent).filter(|p| *p != config.gem_p) {
            return Err(refuse(format!("its pooling has the exponent {p}, the configuration says {}", config.gem_p)));
        }
        let trunk = Trunk::load(&weights, config, names)?;
        let channels = config.channels_out(config.layers.len() - 1);
        let head = Head::load(&weights, head, channels, config.dims, config.gem_p)?;
        let name = file.rsplit('/').next().and_then(|file| file.split_once(".torchscript"));
        let name = name.map_or("sscd", |(name, _)| name).to_owned();
        let (preprocessing, copy_threshold) = (config.preprocessing.clone(), config.copy_threshold);
        Ok(Self { name, trunk, head, preprocessing, copy_threshold, device: device.clone() })
    }

    /// The same network with another preprocessing. Values of different preprocessings cannot be compared.
    #[must_use]
    pub fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = preprocessing;
        self
    }

    /// How pictures become its input.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Similarity above which a picture counts as a copy.
    pub fn copy_threshold(&self) -> f64 {
        self.copy_threshold
    }

    /// Descriptors of inputs (B, 3, size, size) that are preprocessed already.
    ///
    /// # Errors
    /// When the network cannot be computed.
    pub fn describe_inputs(&self, inputs: &Tensor) -> Result<Vec<Embedding>> {
        let features = self.features(inputs)?;
        features.iter().map(|features| Embedding::new(self.head.describe(features), &self.name)).collect()
    }

    /// [`Similarity::locate`] for inputs (1, 3, size, size) that are preprocessed already.
    ///
    /// # Errors
    /// When the network cannot be computed.
    pub fn locate_inputs(&self, input: &Tensor, other: &Tensor) -> Result<LocationMap> {
        let (first, second) = (self.features(input)?, self.features(other)?);
        match (first.as_slice(), second.as_slice()) {
            ([first], [second]) => Ok(self.head.locate(first, second)),
            _ => Err(Error::Incomparable { first: first.len(), second: second.len() }),
        }
    }

    fn features(&self, inputs: &Tensor) -> Result<Vec<Features>> {
        let features = self.trunk.forward(inputs)?;
        let (count, _, rows, columns) = features.dims4()?;
        let one = |i| Ok(Features { values: features.get(i)?.flatten_all()?.to_vec1()?, rows, columns });
        (0..count).map(one).collect()
    }

    fn inputs(&self, pictures: &[Picture]) -> Result<Tensor> {
        let size = self.preprocessing.size;
        let numbers: Vec<f32> = pictures.iter().flat_map(|picture| self.preprocessing.apply(picture)).collect();
        Ok(Tensor::from_vec(numbers, (pictures.len(), 3, size, size), &self.device)?)
    }
}

impl Judge for Sscd {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Similarity for Sscd {
    fn describe(&self, pictures: &[Picture]) -> Result<Vec<Embedding>> {
        let mut all = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(BATCH) {
            all.extend(self.describe_inputs(&self.inputs(batch)?)?);
        }
        Ok(all)
    }

    fn locate(&self, picture: &Picture, other: &Picture) -> Result<LocationMap> {
        self.locate_inputs(&self.inputs(std::slice::from_ref(picture))?, &self.inputs(std::slice::from_ref(other))?)
    }
}
