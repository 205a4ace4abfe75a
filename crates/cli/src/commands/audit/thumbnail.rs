//! Small versions of pictures, so that a page with many of them can be mailed and printed.

use memscope_judges::Picture;
use memscope_model::RgbImage;

/// Most pixels of a picture's longer side on the page.
const MOST: usize = 400;

/// A picture reduced by a whole number to at most 400 pixels a side, as PNG; each pixel is the mean of those that it stands
/// for. `None` for pictures that are small already.
pub(crate) fn small(picture: &Picture) -> anyhow::Result<Option<Vec<u8>>> {
    let factor = picture.width().max(picture.height()).div_ceil(MOST);
    if factor <= 1 {
        return Ok(None);
    }
    let (width, height) = (picture.width().div_ceil(factor), picture.height().div_ceil(factor));
    let mut data = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let rows = y * factor..((y + 1) * factor).min(picture.height());
            let columns = x * factor..((x + 1) * factor).min(picture.width());
            let count = (rows.len() * columns.len()) as f64;
            for channel in 0..3 {
                let of_row = |row: usize| {
                    let value = move |column| f64::from(picture.data()[3 * (row * picture.width() + column) + channel]);
                    columns.clone().map(value).sum::<f64>()
                };
                data.push((rows.clone().map(of_row).sum::<f64>() / count).round() as u8);
            }
        }
    }
    Ok(Some(RgbImage { width, height, data }.png(&[])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_picture_is_averaged_and_a_small_one_left_alone() {
        // Columns of 0 and 90, two of which become one.
        let row: Vec<u8> = (0..500).flat_map(|x| [if x % 2 == 0 { 0 } else { 90 }; 3]).collect();
        let picture = Picture::from_rgb(500, 2, row.repeat(2)).unwrap();
        let reduced = Picture::decode(std::path::Path::new("small.png"), &small(&picture).unwrap().unwrap()).unwrap();
        assert_eq!((reduced.width(), reduced.height()), (250, 1));
        assert!(reduced.data().iter().all(|value| *value == 45), "{:?}", reduced.data());
        assert_eq!(small(&Picture::from_rgb(400, 1, vec![7; 1200]).unwrap()).unwrap(), None);
    }
}
