//! Pictures: RGB, eight bits.

use std::{
    fs,
    io::{Cursor, Read},
    path::Path,
};

use crate::error::{Error, Result};

/// Most pixels of a picture.
const MAX_PIXELS: usize = 1 << 28;

/// Most bytes of a picture's file.
const MAX_BYTES: u64 = 256 << 20;

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

    /// Decodes a PNG or JPEG file. Transparency is dropped, as Pillow's `convert("RGB")` does.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::decode(path, &read(path)?)
    }

    /// The same for the bytes of a PNG or JPEG file; `path` names it in messages.
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

    /// Root mean square of the differences of all values, 0 to 1; `None` for a picture of another size.
    pub fn rms(&self, other: &Self) -> Option<f64> {
        self.rms_below(other, f64::INFINITY)
    }

    /// The same, `None` also where it is not below a bound; then not all pixels need to be looked at.
    pub fn rms_below(&self, other: &Self, bound: f64) -> Option<f64> {
        const ROW: usize = 1 << 12;
        if (self.width, self.height) != (other.width, other.height) {
            return None;
        }
        let count = self.data.len() as f64;
        let most = if bound.is_finite() { (bound * 255.0).powi(2) * count } else { f64::INFINITY };
        let mut sum = 0_u64;
        for (a, b) in self.data.chunks(ROW).zip(other.data.chunks(ROW)) {
            sum += a.iter().zip(b).map(|(a, b)| u64::from(u32::from(a.abs_diff(*b)).pow(2))).sum::<u64>();
            if sum as f64 >= most {
                return None;
            }
        }
        Some((sum as f64 / count).sqrt() / 255.0)
    }
}

/// The bytes of a file, which may be no pipe and not larger than a picture is.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let refuse = |reason: String| Error::Picture { path: path.to_owned(), reason };
    let found = fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
    if !found.is_file() || found.len() > MAX_BYTES {
        return Err(refuse(format!("it is no file of at most {} MiB", MAX_BYTES >> 20)));
    }
    let mut bytes = vec![];
    let read = fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    read.map_err(|e| refuse(e.to_string()))?;
    Ok(bytes)
}
