//! The nearest of many pictures.

use rayon::prelude::*;

use crate::{embedding::Embedding, error::Result, folder::PictureFile, picture::Picture, watching::Watching};

/// The most similar of some descriptors.
///
/// # Errors
/// When descriptors have different lengths.
pub fn most_similar(
    picture: &Embedding,
    others: &[(usize, Embedding)],
    skip: impl Fn(usize) -> bool + Sync,
) -> Result<Option<(usize, f64)>> {
    let cosines = others.par_iter().filter(|(place, _)| !skip(*place));
    let cosines = cosines.map(|(place, other)| Ok((*place, picture.cosine(other)?))).collect::<Result<Vec<_>>>()?;
    // The first of equal ones.
    Ok(cosines.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best }))
}

/// Place of the nearest picture, and the root mean square difference; `None` where none has the same size.
pub type Nearest = Option<(usize, f64)>;

/// Bytes of pixels that are held at a time.
const HELD: usize = 1 << 30;

/// For each of `pictures` the nearest of `others` by pixels, among those of its size; with the same file itself left out.
/// Pixels are held a gigabyte at a time. `None` where the watcher ends it.
///
/// # Errors
/// When a picture that could be read before cannot be read any more.
pub fn nearest_by_pixels(
    pictures: &[&PictureFile],
    others: &[&PictureFile],
    watching: &mut dyn Watching,
) -> Result<Option<Vec<Nearest>>> {
    let mut nearest: Vec<Nearest> = vec![None; pictures.len()];
    let (mut held, mut bytes): (Vec<(usize, Picture)>, usize) = (vec![], 0);
    let total = pictures.len() * others.len();
    let (mut done, mut block) = (0, 0);
    for (at, file) in pictures.iter().enumerate() {
        let picture = Picture::open(&file.path)?;
        bytes += picture.data().len();
        held.push((at, picture));
        if bytes < HELD && at + 1 < pictures.len() {
            continue;
        }
        for (place, other) in others.iter().enumerate() {
            if !watching.goes_on(done, total) {
                return Ok(None);
            }
            let picture = Picture::open(&other.path)?;
            let found: Vec<(usize, f64)> = held
                .par_iter()
                .filter(|(at, _)| !pictures[*at].is_same(other))
                .filter_map(|(at, held)| {
                    let bound = nearest[*at].map_or(f64::INFINITY, |(_, rms)| rms);
                    Some((*at, held.rms_below(&picture, bound)?))
                })
                .collect();
            found.into_iter().for_each(|(at, rms)| nearest[at] = Some((place, rms)));
            done += held.len();
        }
        block += held.len();
        done = block * others.len();
        held.clear();
        bytes = 0;
    }
    Ok(watching.goes_on(total, total).then_some(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watching::Always;

    #[test]
    fn the_nearest_of_the_same_size_is_found_and_never_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, side: u32, value: u8| {
            let path = folder.path().join(name);
            image::RgbImage::from_pixel(side, side, image::Rgb([value; 3])).save(&path).unwrap();
            PictureFile::new(name.to_owned(), path)
        };
        let all = [file("a.png", 4, 0), file("b.png", 4, 51), file("c.png", 4, 255), file("d.png", 5, 0)];
        let all: Vec<&PictureFile> = all.iter().collect();
        let nearest = nearest_by_pixels(&all, &all, &mut Always).unwrap().unwrap();
        let expected = [Some((1, 0.2)), Some((0, 0.2)), Some((1, 0.8)), None];
        for (found, expected) in nearest.into_iter().zip(expected) {
            assert_eq!(found.map(|(place, _)| place), expected.map(|(place, _)| place));
            assert!(found.is_none_or(|(_, rms)| (rms - expected.unwrap().1).abs() < 1e-12));
        }
    }

    #[test]
    fn the_most_similar_is_the_first_of_equal_ones() {
        let vector = |x: f32, y: f32| Embedding::new(vec![x, y], "test").unwrap();
        let others = [(0, vector(0.0, 1.0)), (3, vector(1.0, 1.0)), (5, vector(2.0, 2.0))];
        let found = most_similar(&vector(1.0, 0.0), &others, |_| false).unwrap().unwrap();
        assert!(found.0 == 3 && (found.1 - 0.5_f64.sqrt()).abs() < 1e-7);
        let skipped = most_similar(&vector(1.0, 0.0), &others, |place| place == 3).unwrap().unwrap();
        assert_eq!(skipped.0, 5);
        assert_eq!(most_similar(&vector(1.0, 0.0), &others, |_| true).unwrap(), None);
    }
}
