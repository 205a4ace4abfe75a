//! Pictures: RGB, eight bits.

use std::{io::Cursor, path::Path};

use crate::error::{Error, Result};

/// Most pixels of a picture.
const MAX_PIXELS: usize = 1 << 28;

/// A picture: `height` × `width` pixels, three bytes each (red, green, blue), rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Picture {
    /// A picture from its pixels.
    ///
    /// # Errors
    /// When it has no pixels, or `data` has not three bytes for each.
    pub fn from_rgb(width: usize, height: usize, data: Vec<u8>) -> Result<Self> {
        let wrong = |reason| Err(Error::PictureSize { width, height, bytes: data.len(), reason });
        match width.checked_mul(height).filter(|pixels| *pixels <= MAX_PIXELS) {
            None => wrong("it has too many pixels"),
            Some(0) => wrong("it has no pixels"),
            Some(pixels) if data.len() != 3 * pixels => wrong("three bytes for each pixel are expected"),
            Some(_) => Ok(Self { width, height, data }),
        }
    }

    /// Decodes a PNG file. Transparency is dropped, as Pillow's `convert("RGB")` does.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::Picture { path: path.to_owned(), reason: e.to_string() })?;
        Self::decode(path, &bytes)
    }

    /// The same for the bytes of a PNG file; `path` names it in messages.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
        let refuse = |reason: String| Error::Picture { path: path.to_owned(), reason };
        let mut reader =
            image::ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| refuse(e.to_string()))?;
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(8 * MAX_PIXELS as u64);
        reader.limits(limits);
        let image = reader.decode().map_err(|e| refuse(e.to_string()))?.into_rgb8();
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self::from_rgb(width, height, image.into_raw())
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, three bytes each.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}
