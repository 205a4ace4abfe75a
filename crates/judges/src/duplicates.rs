//! Groups of pictures that are near duplicates.

use rayon::prelude::*;

use crate::{
    embedding::Embedding,
    picture::Picture,
    preprocess::{Filter, Fit, Preprocessing},
    watching::Watching,
};

/// What pictures are compared by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Closeness {
    /// The cosine of descriptors is at least this.
    Cosine(f64),
    /// The root mean square difference of thumbnails is at most this.
    Rms(f64),
}

/// Side of a thumbnail in pixels.
pub const THUMBNAIL: usize = 16;

/// A picture at [`THUMBNAIL`] × [`THUMBNAIL`] pixels, values 0 to 1: what is left when no descriptor is there. Crops, mirrored
/// pictures and changes of colour are not seen as the same.
pub fn thumbnail(picture: &Picture) -> Vec<f32> {
    let small =
        Preprocessing { size: THUMBNAIL, fit: Fit::Exact, filter: Filter::Bilinear, mean: [0.0; 3], std: [1.0; 3] };
    small.apply(picture)
}

/// A picture of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// Its place in the list.
    pub place: usize,
    /// The member that it is nearest to, and the cosine or difference.
    pub nearest: (usize, f64),
}

/// Cosines or differences are computed in f32 first; what lies this near to the threshold is computed in f64.
const SLACK: f32 = 1e-3;
/// Pictures that are compared with all later ones at a time.
const BLOCK: usize = 64;

/// The groups of at least two pictures that hang together by pairs as close as asked for, the largest first. A chain of
/// pairs is one group. `None` where the watcher ends it.
pub fn groups(vectors: &[Vec<f32>], by: Closeness, watching: &mut dyn Watching) -> Option<Vec<Vec<Member>>> {
    let count = vectors.len();
    let mut parents: Vec<usize> = (0..count).collect();
    let mut nearest: Vec<Option<(usize, f64)>> = vec![None; count];
    for start in (0..count).step_by(BLOCK) {
        if !watching.goes_on(start, count) {
            return None;
        }
        let block = start..(start + BLOCK).min(count);
        let pairs: Vec<(usize, usize, f64)> = (start + 1..count)
            .into_par_iter()
            .flat_map_iter(|j| {
                let near = move |i: usize| Some((i, j, by.of(&vectors[i], &vectors[j])?));
                (block.start..block.end.min(j)).filter_map(near)
            })
            .collect();
        for (i, j, value) in pairs {
            join(&mut parents, i, j);
            for (of, other) in [(i, j), (j, i)] {
                if nearest[of].is_none_or(|(_, best)| by.is_nearer(value, best)) {
                    nearest[of] = Some((other, value));
                }
            }
        }
    }
    let mut by_root: std::collections::BTreeMap<usize, Vec<Member>> = std::collections::BTreeMap::new();
    for place in 0..count {
        if let Some(nearest) = nearest[place] {
            by_root.entry(root(&mut parents, place)).or_default().push(Member { place, nearest });
        }
    }
    let mut all: Vec<Vec<Member>> = by_root.into_values().collect();
    all.sort_by_key(|group| (std::cmp::Reverse(group.len()), group.first().map(|member| member.place)));
    watching.goes_on(count, count).then_some(all)
}

impl Closeness {
    /// The cosine or difference of two vectors, where it is close enough.
    fn of(self, a: &[f32], b: &[f32]) -> Option<f64> {
        match self {
            Self::Cosine(least) => {
                let near = lanes(a, b, |sum, x, y| x.mul_add(y, sum));
                (near > least as f32 - SLACK).then(|| Embedding::cosine_of(a, b)).filter(|cosine| *cosine >= least)
            }
            Self::Rms(most) => {
                let near = lanes(a, b, |sum, x, y| (x - y).mul_add(x - y, sum)) / a.len() as f32;
                let exact = || {
                    let squares = a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2));
                    (squares.sum::<f64>() / a.len() as f64).sqrt()
                };
                (near.sqrt() < most as f32 + SLACK).then(exact).filter(|rms| *rms <= most)
            }
        }
    }

    fn is_nearer(self, value: f64, best: f64) -> bool {
        match self {
            Self::Cosine(_) => value > best,
            Self::Rms(_) => value < best,
        }
    }
}

/// A sum over two vectors in sixteen lanes, which the processor computes side by side.
fn lanes(a: &[f32], b: &[f32], add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).fold(0.0, |sum, (x, y)| add(sum, *x, *y));
    for (a, b) in a.zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum = add(*sum, *x, *y);
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b)] = a.min(b);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::watching::Always;

    #[test]
    fn chains_are_one_group_and_the_largest_comes_first() {
        let vectors = [0.0, 0.5, 1.0, 0.04, 0.08, 0.54].map(|x| vec![x; 20]);
        let groups = groups(&vectors, Closeness::Rms(0.05), &mut Always).unwrap();
        let places: Vec<Vec<usize>> = groups.iter().map(|g| g.iter().map(|m| m.place).collect()).collect();
        assert_eq!(places, [vec![0, 3, 4], vec![1, 5]]);
        assert_eq!(groups[0][0].nearest.0, 3);
        assert!((groups[0][0].nearest.1 - 0.04).abs() < 1e-6);
    }

    proptest! {
        /// Against all pairs one by one, and a search through the graph.
        #[test]
        fn groups_are_the_connected_parts(
            points in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 3), 1..150),
            least in 0.9_f64..0.999,
        ) {
            let vectors: Vec<Vec<f32>> =
                points.iter().filter_map(|p| Embedding::new(p.clone(), "test").ok()).map(|e| e.values().to_vec()).collect();
            let by = Closeness::Cosine(least);
            let found = groups(&vectors, by, &mut Always).unwrap();
            let close = |i: usize, j: usize| i != j && Embedding::cosine_of(&vectors[i], &vectors[j]) >= least;
            let mut seen = vec![false; vectors.len()];
            let mut expected = vec![];
            for start in 0..vectors.len() {
                let (mut open, mut part) = (vec![start], vec![]);
                while let Some(i) = open.pop() {
                    if !std::mem::replace(&mut seen[i], true) {
                        part.push(i);
                        open.extend((0..vectors.len()).filter(|j| close(i, *j)));
                    }
                }
                part.sort_unstable();
                if part.len() > 1 {
                    expected.push(part);
                }
            }
            let mut places: Vec<Vec<usize>> = found.iter().map(|g| g.iter().map(|m| m.place).collect()).collect();
            prop_assert!(places.is_sorted_by_key(|group| std::cmp::Reverse(group.len())));
            places.sort();
            expected.sort();
            prop_assert_eq!(places, expected);
        }
    }
}
