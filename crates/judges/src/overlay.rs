//! Location maps as pictures.

use crate::{
    error::Result,
    location::LocationMap,
    picture::Picture,
    preprocess::{Fit, Preprocessing},
};

/// Small pictures are enlarged so that a side has at least this many pixels.
const LEAST: usize = 192;
/// Large ones are reduced to at most this many.
const MOST: usize = 1024;

impl LocationMap {
    /// The picture, reddened by each place's share of the similarity: fully where the share is largest, not at all where it
    /// is zero or negative; the rest is grey. What the preprocessing cuts off counts as zero. `height` pixels high, nearest
    /// neighbour.
    ///
    /// # Errors
    /// Never for a picture with pixels.
    pub fn overlay(&self, picture: &Picture, preprocessing: &Preprocessing, height: usize) -> Result<Picture> {
        let (w, h) = (picture.width(), picture.height());
        let width = (w * height).div_ceil(h).clamp(1, 8 * MOST);
        let most = self.shares.iter().copied().fold(0.0, f64::max);
        let window = preprocessing.window(w, h);
        let mut data = Vec::with_capacity(3 * width * height);
        for y in 0..height {
            for x in 0..width {
                // The middle of the pixel, in the picture's own pixels.
                let (px, py) =
                    ((x as f64 + 0.5) * w as f64 / width as f64, (y as f64 + 0.5) * h as f64 / height as f64);
                let at = 3 * ((py as usize).min(h - 1) * w + (px as usize).min(w - 1));
                let rgb = &picture.data()[at..at + 3];
                let heat = if most > 0.0 { self.share_at(window, px, py).max(0.0) / most } else { 0.0 };
                let grey = 0.6 * rgb.iter().map(|value| f64::from(*value)).sum::<f64>() / 3.0 + 60.0;
                let mix = |own: u8, red: f64| {
                    let lit = 0.5 * f64::from(own) + 0.5 * red;
                    (heat * lit + (1.0 - heat) * grey).round().clamp(0.0, 255.0) as u8
                };
                data.extend([mix(rgb[0], 255.0), mix(rgb[1], 30.0), mix(rgb[2], 30.0)]);
            }
        }
        Picture::from_rgb(width, height, data)
    }

    fn share_at(&self, [left, top, width, height]: [f64; 4], x: f64, y: f64) -> f64 {
        let (column, row) = ((x - left) / width * self.columns as f64, (y - top) / height * self.rows as f64);
        if !(0.0..self.columns as f64).contains(&column) || !(0.0..self.rows as f64).contains(&row) {
            return 0.0;
        }
        self.shares.get(row as usize * self.columns + column as usize).copied().unwrap_or(0.0)
    }
}

impl Preprocessing {
    /// Which part of a picture the network sees: left, top, width and height in the picture's pixels.
    fn window(&self, width: usize, height: usize) -> [f64; 4] {
        let (w, h) = (width as f64, height as f64);
        match self.fit {
            Fit::Exact => [0.0, 0.0, w, h],
            Fit::CropFrom(short) => {
                let side = self.size as f64 / short as f64 * w.min(h);
                [(w - side) / 2.0, (h - side) / 2.0, side, side]
            }
        }
    }
}

/// A picture and the one it is similar to, each with the map of what makes it similar to the other, side by side.
///
/// # Errors
/// Never for pictures with pixels.
pub fn side_by_side(
    first: (&Picture, &LocationMap),
    second: (&Picture, &LocationMap),
    preprocessing: &Preprocessing,
) -> Result<Picture> {
    let enlarge = LEAST.div_ceil(first.0.height().max(1)).max(1);
    let height = (first.0.height() * enlarge).min(MOST);
    let left = first.1.overlay(first.0, preprocessing, height)?;
    let right = second.1.overlay(second.0, preprocessing, height)?;
    let gap = height / 24 + 1;
    let mut data = Vec::with_capacity(3 * height * (left.width() + gap + right.width()));
    let rows = left.data().chunks_exact(3 * left.width()).zip(right.data().chunks_exact(3 * right.width()));
    for (left, right) in rows {
        data.extend(left);
        data.extend(std::iter::repeat_n(255, 3 * gap));
        data.extend(right);
    }
    Picture::from_rgb(left.width() + gap + right.width(), height, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::NamedPreprocessing;

    fn map() -> LocationMap {
        LocationMap { rows: 2, columns: 2, shares: vec![0.0, 0.4, -0.1, 0.2], bias: 0.1, cosine: 0.6 }
    }

    #[test]
    fn the_largest_share_is_reddest_and_what_is_cut_off_is_grey() {
        let picture = Picture::from_rgb(4, 4, vec![100; 48]).unwrap();
        let exact = NamedPreprocessing::Membench288.preprocessing();
        let red = |overlay: &Picture, x: usize, y: usize| {
            let at = 3 * (y * overlay.width() + x);
            i32::from(overlay.data()[at]) - i32::from(overlay.data()[at + 1])
        };
        let overlay = map().overlay(&picture, &exact, 8).unwrap();
        assert_eq!((overlay.width(), overlay.height()), (8, 8));
        let corners = [(0, 0), (7, 0), (0, 7), (7, 7)].map(|(x, y)| red(&overlay, x, y));
        assert!(corners[0] == 0 && corners[2] == 0 && corners[1] > corners[3] && corners[3] > 0, "{corners:?}");
        // 224 of 256: a sixteenth of each side is cut off.
        let cut = NamedPreprocessing::Wen224.preprocessing();
        let overlay = map().overlay(&picture, &cut, 64).unwrap();
        assert_eq!(red(&overlay, 62, 2), 0);
        assert!(red(&overlay, 58, 6) > 0);
        let both = side_by_side((&picture, &map()), (&picture, &map()), &exact).unwrap();
        assert_eq!((both.width(), both.height()), (192 + 9 + 192, 192));
    }
}
