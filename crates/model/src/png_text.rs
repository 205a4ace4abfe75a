//! PNG files that say what is on them.

use std::io;

use crate::{
    error::{Error, Result},
    sampler::RgbImage,
};

impl RgbImage {
    /// The bytes of a PNG file with these texts (keyword of at most 79 Latin letters, text) as `iTXt` chunks. The same picture
    /// and texts give the same bytes.
    ///
    /// # Errors
    ///
    /// When `data` is not width · height · 3 bytes, or a keyword is none.
    pub fn png(&self, texts: &[(&str, String)]) -> Result<Vec<u8>> {
        let fail = |source: png::EncodingError| Error::Image(image::ImageError::IoError(io::Error::other(source)));
        let mut bytes = vec![];
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        for (keyword, text) in texts {
            encoder.add_itxt_chunk((*keyword).to_owned(), text.clone()).map_err(fail)?;
        }
        let mut writer = encoder.write_header().map_err(fail)?;
        writer.write_image_data(&self.data).map_err(fail)?;
        writer.finish().map_err(fail)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_pixels_are_read_back() {
        let image = RgbImage { width: 2, height: 1, data: vec![1, 2, 3, 4, 5, 6] };
        let bytes = image.png(&[("Prompt", "ein Bär, 東京".to_owned()), ("Seed", "42".to_owned())]).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(&bytes)).read_info().unwrap();
        let texts: Vec<(String, String)> =
            reader.info().utf8_text.iter().map(|chunk| (chunk.keyword.clone(), chunk.get_text().unwrap())).collect();
        assert_eq!(texts[0], ("Prompt".to_owned(), "ein Bär, 東京".to_owned()));
        assert_eq!(texts[1].1, "42");
        let mut data = vec![0; 6];
        reader.next_frame(&mut data).unwrap();
        assert_eq!(data, image.data);
        assert!(RgbImage { width: 3, ..image }.png(&[]).is_err());
    }
}
