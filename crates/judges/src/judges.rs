//! The judges of a folder.

use std::{path::Path, sync::Arc};

use candle_core::Device;

use crate::{
    aesthetic::{Aesthetic, AestheticHead},
    clip::Clip,
    error::{Error, Result},
    files::Files,
    sscd::Sscd,
};

/// The judges that a folder holds; each may be missing, not all of them.
pub struct Judges {
    /// Copy similarity.
    pub similarity: Option<Sscd>,
    /// Alignment of picture and text.
    pub alignment: Option<Arc<Clip>>,
    /// Quality; needs the CLIP model.
    pub quality: Option<Aesthetic>,
}

impl Judges {
    /// Opens what is there of `sscd/`, `clip/`, `quality/clip/` and `quality.safetensors`, on the CPU. The layout of the folder is in
    /// the [crate's documentation](crate).
    ///
    /// # Errors
    /// When the folder has no judge, or one that is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::from_files(&Files::from(folder), &Device::Cpu)
    }

    /// The same for files in the program, or on another device.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_files(files: &Files, device: &Device) -> Result<Self> {
        let similarity = Sscd::open(files, device)?;
        let alignment = Clip::open(files, device)?.map(Arc::new);
        let quality = match AestheticHead::open(files)? {
            Some(head) => {
                let own = Clip::open_below(files, "quality/clip", device)?.map(Arc::new);
                let clip = own.or_else(|| alignment.clone());
                let clip = clip.ok_or_else(|| Error::QualityWithoutClip { folder: files.label() })?;
                Some(Aesthetic::new(clip, head)?)
            }
            None => None,
        };
        if similarity.is_none() && alignment.is_none() && quality.is_none() {
            return Err(Error::NoJudge { folder: files.label() });
        }
        Ok(Self { similarity, alignment, quality })
    }
}
