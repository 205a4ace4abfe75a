//! Where records stand, by key: sixteen bytes for each, so that a list of many prompts takes little memory.

use super::Key;

/// Where a record stands, in 64 bits: eight for the file, 40 for the position of its line, 16 for how many numbers it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

/// Of a record with that many numbers or more the place does not say how many.
const MANY: usize = 0xffff;

/// The file of a record that is nowhere but in memory.
pub(super) const NO_FILE: usize = 0xff;

impl Place {
    /// A line at `start` of the `file`-th file.
    pub(super) fn new(file: usize, start: u64, count: usize) -> Self {
        Self((file.min(NO_FILE) as u64) << 56 | (start & 0xff_ffff_ffff) << 16 | count.min(MANY) as u64)
    }

    pub(super) fn file(self) -> usize {
        (self.0 >> 56) as usize
    }

    pub(super) fn start(self) -> u64 {
        self.0 >> 16 & 0xff_ffff_ffff
    }

    pub(super) fn count(self) -> Option<usize> {
        Some((self.0 & 0xffff) as usize).filter(|count| *count < MANY)
    }
}

/// Places by key. Of a key it holds ten bits as the number of a shelf and 64 as a tag: among 10⁸ records two are mistaken for
/// each other with a probability of 3·10⁻⁷. Whoever reads a record compares its whole key.
pub(super) struct Index {
    /// In ascending order of their tags.
    shelves: Vec<Vec<(u64, Place)>>,
}

/// Shelves: what an insertion moves is a 1024th of the records, half of them on average.
const SHELVES: usize = 1 << 10;

impl Default for Index {
    fn default() -> Self {
        Self { shelves: vec![vec![]; SHELVES] }
    }
}

impl Index {
    pub(super) fn get(&self, key: &Key) -> Option<Place> {
        let (shelf, tag) = split(key);
        let shelf = &self.shelves[shelf];
        let at = shelf.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        Some(shelf[at].1)
    }

    /// Adds a place, in that of another one of the same key.
    pub(super) fn insert(&mut self, key: &Key, place: Place) {
        let (shelf, tag) = split(key);
        let shelf = &mut self.shelves[shelf];
        match shelf.binary_search_by_key(&tag, |(tag, _)| *tag) {
            Ok(at) => shelf[at].1 = place,
            Err(at) => {
                if shelf.len() == shelf.capacity() {
                    // Doubling would leave a third of the memory unused.
                    shelf.reserve_exact((shelf.len() / 8).max(4));
                }
                shelf.insert(at, (tag, place));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        let (shelf, tag) = split(key);
        let shelf = &mut self.shelves[shelf];
        if let Ok(at) = shelf.binary_search_by_key(&tag, |(tag, _)| *tag) {
            shelf.remove(at);
        }
    }
}

fn split(key: &Key) -> (usize, u64) {
    let [a, b, .., c, d, e, f, g, h, i, j] = *key.bytes();
    (usize::from(u16::from_be_bytes([a, b])) % SHELVES, u64::from_be_bytes([c, d, e, f, g, h, i, j]))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn places_are_packed_without_loss() {
        for (file, start, count) in [(0, 0, 0), (254, 0xff_ffff_ffff, 0xfffe), (7, 123_456_789_012, 34)] {
            let place = Place::new(file, start, count);
            assert_eq!((place.file(), place.start(), place.count()), (file, start, Some(count)));
        }
        assert_eq!(Place::new(0, 0, 1 << 20).count(), None);
    }

    #[test]
    fn places_are_found_as_in_a_map() {
        let (mut index, mut map) = (Index::default(), HashMap::new());
        let key = |i: u64| Key::new(&[&(i % 3_000).to_string()]);
        let mut state = 42_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (key, start) = (key(state >> 33), state >> 30);
            if state >> 62 == 0 {
                index.remove(&key);
                map.remove(&key);
            } else {
                index.insert(&key, Place::new(1, start, 2));
                map.insert(key, Place::new(1, start, 2));
            }
        }
        for i in 0..3_000 {
            assert_eq!(index.get(&key(i)), map.get(&key(i)).copied());
        }
    }

    /// Two records a prompt, as one seed of `detect` makes them, take less than forty bytes.
    #[test]
    fn a_record_takes_less_than_twenty_bytes() {
        let (mut index, count) = (Index::default(), 200_000);
        (0..count).for_each(|i: u64| index.insert(&Key::new(&[&i.to_string()]), Place::new(0, i, 34)));
        let held: usize = index.shelves.iter().map(|shelf| shelf.capacity() * size_of::<(u64, Place)>()).sum();
        let held = held + index.shelves.capacity() * size_of::<Vec<(u64, Place)>>();
        assert!(held < 20 * count as usize, "{held}");
    }
}
