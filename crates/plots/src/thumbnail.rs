//! Pictures small enough for a page that holds many.

use std::io::Cursor;

use image::{DynamicImage, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage, codecs::jpeg::JpegEncoder};

/// Files up to this size are shown as they are.
pub(crate) const SMALL: usize = 8 << 10;
/// The longer side of a thumbnail at most, in pixels.
const SIDE: u32 = 160;
/// JPEG qualities, the best that is small enough is taken.
const QUALITIES: [u8; 4] = [85, 70, 50, 30];

/// A PNG file as it is if it is small, else a thumbnail as a JPEG file, on white.
///
/// # Errors
/// When a large file cannot be decoded in bounded memory.
pub(crate) fn small(png: Vec<u8>) -> Result<Vec<u8>, ImageError> {
    if png.len() <= SMALL {
        return Ok(png);
    }
    let mut reader = ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height, limits.max_alloc) = (Some(8192), Some(8192), Some(512 << 20));
    reader.limits(limits);
    let picture = on_white(&reduced(reader.decode()?));
    let mut file = vec![];
    for quality in QUALITIES {
        file.clear();
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality))?;
        if file.len() <= SMALL {
            break;
        }
    }
    Ok(file)
}

fn reduced(picture: DynamicImage) -> DynamicImage {
    if picture.width().max(picture.height()) > SIDE { picture.thumbnail(SIDE, SIDE) } else { picture }
}

fn on_white(picture: &DynamicImage) -> RgbImage {
    let picture = picture.to_rgba8();
    let mix = |channel: u8, alpha: u8| {
        let alpha = u32::from(alpha);
        ((u32::from(channel) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        Rgb([mix(red, alpha), mix(green, alpha), mix(blue, alpha)])
    })
}

/// The media type of a picture that [`small`] gives.
pub(crate) fn media_type(file: &[u8]) -> &'static str {
    if file.starts_with(b"\xff\xd8\xff") { "image/jpeg" } else { "image/png" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(side: u32) -> Vec<u8> {
        // A checkerboard with noise, which PNG cannot pack.
        let mut state = 1_u64;
        let picture = image::RgbaImage::from_fn(side, side, |x, y| {
            state = state * 48271 % 2_147_483_647;
            let noise = (state % 64) as u8;
            let level = if (x * 8 / side + y * 8 / side).is_multiple_of(2) { 190 } else { 0 };
            image::Rgba([level + noise, noise, 63 - noise, if x < side / 2 { 255 } else { 0 }])
        });
        let mut file = Cursor::new(vec![]);
        picture.write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    #[test]
    fn a_large_picture_becomes_a_small_one_on_white() {
        let file = png(512);
        assert!(file.len() > 100_000, "{}", file.len());
        let thumbnail = small(file).unwrap();
        assert!(thumbnail.len() <= SMALL, "{}", thumbnail.len());
        assert_eq!(media_type(&thumbnail), "image/jpeg");
        let shown = image::load_from_memory(&thumbnail).unwrap().to_rgb8();
        assert_eq!(shown.dimensions(), (SIDE, SIDE));
        // Transparent on the right: white. Opaque in the first square: light red.
        assert!(shown.get_pixel(140, 80).0.iter().all(|level| *level > 240), "{:?}", shown.get_pixel(140, 80));
        let [red, green, _] = shown.get_pixel(8, 8).0;
        assert!(red > 180 && green < 80, "{:?}", shown.get_pixel(8, 8));
    }

    #[test]
    fn a_small_picture_stays_as_it_is() {
        let file = png(32);
        assert_eq!(small(file.clone()).unwrap(), file);
        assert_eq!(media_type(&file), "image/png");
    }

    #[test]
    fn a_large_file_that_is_no_picture_is_an_error() {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        file.resize(SMALL + 1, 7);
        assert!(small(file).is_err());
    }
}
