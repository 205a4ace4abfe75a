//! The quality head: an affine function of CLIP's picture embedding.
//!
//! The published aesthetic predictor (christophschuhmann/improved-aesthetic-predictor@6934dd8) is a chain of five linear
//! layers without activations, so that it is affine; here it is multiplied out once, in f64.

use std::sync::Arc;

use candle_core::Device;

use crate::{
    alignment::Alignment,
    clip::Clip,
    embedding::Embedding,
    error::{Error, Result},
    files::Files,
    judge::Judge,
    picture::Picture,
    quality::Quality,
    weights::Weights,
};

/// Files of the head, the preferred first; the last is the published name.
const FILES: [&str; 3] = ["quality.safetensors", "quality.pth", "sac+logos+ava1-l14-linearMSE.pth"];
/// Most layers of a chain.
const MAX_LAYERS: usize = 64;

/// direction · x + constant, for an embedding x of length one.
#[derive(Clone, Debug, PartialEq)]
pub struct AestheticHead {
    direction: Vec<f64>,
    constant: f64,
}

impl AestheticHead {
    /// Opens `quality.safetensors`, `quality.pth` or the published file; `None` where there is none.
    ///
    /// # Errors
    /// When the file is damaged or is no such head.
    pub fn open(files: &Files) -> Result<Option<Self>> {
        files.first(&FILES).map(|file| Self::load(files, file)).transpose()
    }

    /// Loads a head: `weight` (1, D) and `bias` (1), or a chain of layers `layers.N.weight`, `layers.N.bias`.
    ///
    /// # Errors
    /// When the file is damaged or is no such head.
    pub fn load(files: &Files, file: &str) -> Result<Self> {
        let weights = Weights::open(files, file, &Device::Cpu)?;
        let mut layers: Vec<(usize, String)> = weights.names().into_iter().filter_map(layer).collect();
        layers.sort();
        if layers.is_empty() {
            layers.push((0, String::new()));
        }
        let refuse = |reason: &str| Error::Config { file: weights.label().to_owned(), reason: reason.to_owned() };
        if layers.len() > MAX_LAYERS {
            return Err(refuse("a quality head of so many layers is not read"));
        }
        // From the last layer, which has one output, to the first.
        let (mut direction, mut constant) = (vec![1.0_f64], 0.0);
        for (_, prefix) in layers.iter().rev() {
            let name = format!("{prefix}weight");
            let shape = weights.shape(&name);
            let Some([outputs, inputs]) = shape.as_deref() else {
                return Err(Error::MissingTensor { file: weights.label().to_owned(), tensor: name });
            };
            if *outputs != direction.len() {
                return Err(refuse("its layers do not fit each other, or the last has more than one output"));
            }
            let matrix = weights.vector(&name, &[*outputs, *inputs])?;
            let bias = weights.vector(&format!("{prefix}bias"), &[*outputs])?;
            constant += direction.iter().zip(&bias).map(|(d, b)| d * f64::from(*b)).sum::<f64>();
            let mut before = vec![0.0; *inputs];
            for (d, row) in direction.iter().zip(matrix.chunks_exact((*inputs).max(1))) {
                before.iter_mut().zip(row).for_each(|(sum, w)| *sum += d * f64::from(*w));
            }
            direction = before;
        }
        Ok(Self { direction, constant })
    }

    /// Numbers of the embedding it is made for.
    pub fn dims(&self) -> usize {
        self.direction.len()
    }

    /// The vector that the whole head comes down to.
    pub fn direction(&self) -> &[f64] {
        &self.direction
    }

    /// The rating of a vector, which is taken as it is.
    ///
    /// # Errors
    /// When the vector has another length than the head is made for.
    pub fn rate(&self, vector: &[f32]) -> Result<f64> {
        if vector.len() != self.dims() {
            return Err(Error::Incomparable { first: self.dims(), second: vector.len() });
        }
        Ok(self.direction.iter().zip(vector).map(|(d, x)| d * f64::from(*x)).sum::<f64>() + self.constant)
    }
}

/// `layers.6.weight` → (6, `layers.6.`).
fn layer(name: &str) -> Option<(usize, String)> {
    let prefix = name.strip_suffix("weight")?;
    let number = prefix.strip_prefix("layers.")?.strip_suffix('.')?.parse().ok()?;
    Some((number, prefix.to_owned()))
}

/// The quality of a picture: CLIP's embedding, rated by the head.
pub struct Aesthetic {
    clip: Arc<Clip>,
    head: AestheticHead,
    name: String,
}

impl Aesthetic {
    /// Puts a head on the CLIP model it was made for.
    ///
    /// # Errors
    /// When the head takes another number of inputs than the model gives.
    pub fn new(clip: Arc<Clip>, head: AestheticHead) -> Result<Self> {
        let (expected, got) = (head.dims(), clip.dims());
        if expected != got {
            return Err(Error::QualityWidth { expected, got, clip: clip.name().to_owned() });
        }
        let name = format!("aesthetic on {}", clip.name());
        Ok(Self { clip, head, name })
    }

    /// Whether it looks at the embeddings of this model.
    pub fn is_on(&self, clip: &Arc<Clip>) -> bool {
        Arc::ptr_eq(&self.clip, clip)
    }

    /// The rating of a picture whose embedding is known.
    ///
    /// # Errors
    /// When the embedding comes from another model.
    pub fn rate(&self, embedding: &Embedding) -> Result<f64> {
        self.head.rate(embedding.values())
    }
}

impl Judge for Aesthetic {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Quality for Aesthetic {
    fn quality(&self, pictures: &[Picture]) -> Result<Vec<f64>> {
        self.clip.embed_pictures(pictures)?.iter().map(|embedding| self.rate(embedding)).collect()
    }
}
