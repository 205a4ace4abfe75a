//! Parts of a batch that run in parallel, one core each.

use std::{
    ops::Range,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Most samples of one part. A small network spends more on handing work to other cores than on the work, so each core
/// takes whole samples.
pub const SAMPLES: usize = 8;

/// Parts that a small batch is cut into, where its samples allow: what is drawn for one prompt keeps several cores busy.
const PARTS: usize = 4;

/// Samples of each part but the last of a batch. It depends on the batch alone, so that results do not depend on how many
/// cores there are.
pub fn size(samples: usize) -> usize {
    samples.div_ceil(PARTS).clamp(1, SAMPLES)
}

/// Pools of one thread each, so that the operations of a part stay on its thread.
fn workers() -> &'static [ThreadPool] {
    static WORKERS: OnceLock<Vec<ThreadPool>> = OnceLock::new();
    WORKERS.get_or_init(|| {
        let worker = |i| ThreadPoolBuilder::new().num_threads(1).thread_name(move |_| format!("part-{i}")).build();
        // A machine that gives no thread still has this one.
        (0..rayon::current_num_threads()).filter_map(|i| worker(i).ok()).collect()
    })
}

/// The smallest batch that gives every core parts of [`SAMPLES`] and nothing else.
pub fn full_batch() -> usize {
    rayon::current_num_threads().max(PARTS) * SAMPLES
}

/// How many parts of `samples` run at the same time.
pub fn parallel(samples: usize) -> usize {
    samples.div_ceil(size(samples)).min(rayon::current_num_threads()).max(1)
}

/// How much longer `samples` take than if all cores were busy all the time, at least 1.
pub fn idle_factor(samples: usize) -> f64 {
    let samples = samples.max(1);
    let cores = rayon::current_num_threads().max(1);
    let rounds = samples.div_ceil(size(samples)).div_ceil(cores);
    (rounds * size(samples) * cores) as f64 / samples as f64
}

/// Splits `samples` into parts of [`size`], calls `f` with the range of each in parallel, and returns the results in order.
///
/// # Errors
///
/// The first error of `f`, by the order of the parts.
pub fn map<R: Send, E: Send>(samples: usize, f: impl Fn(Range<usize>) -> Result<R, E> + Sync) -> Result<Vec<R>, E> {
    let part = size(samples);
    let ranges: Vec<Range<usize>> = (0..samples).step_by(part).map(|start| start..samples.min(start + part)).collect();
    let workers = &workers()[..workers().len().min(ranges.len())];
    if workers.len() < 2 {
        return ranges.into_iter().map(f).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<R, E>>>> = Mutex::new(ranges.iter().map(|_| None).collect());
    let work = || {
        while let Some((i, range)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, ranges.get(i)?)))
        {
            let result = f(range.clone());
            results.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| worker.install(work));
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_batch_keeps_all_cores_busy() {
        let cores = rayon::current_num_threads();
        assert_eq!(idle_factor(PARTS * SAMPLES * cores), 1.0);
        assert_eq!(idle_factor(1), cores as f64);
        assert_eq!((parallel(1), parallel(PARTS * SAMPLES * cores)), (1, cores));
    }

    #[test]
    fn a_small_batch_makes_four_parts_and_a_large_one_parts_of_eight() {
        let lengths = |samples| map(samples, |range| Ok::<_, ()>(range.len())).unwrap();
        assert_eq!((lengths(1), lengths(3), lengths(8)), (vec![1], vec![1; 3], vec![2; 4]));
        assert_eq!((lengths(10), lengths(32), lengths(40)), (vec![3, 3, 3, 1], vec![8; 4], vec![8; 5]));
    }

    #[test]
    fn results_stand_in_order_and_an_error_is_passed_on() {
        let parts = map(2 * SAMPLES + 3, |range| Ok::<_, ()>(range.collect::<Vec<_>>())).unwrap();
        assert_eq!(parts.concat(), (0..2 * SAMPLES + 3).collect::<Vec<_>>());
        assert!(parts.iter().all(|part| part.len() <= SAMPLES));
        let second = |range: Range<usize>| if range.contains(&SAMPLES) { Err(range.start) } else { Ok(()) };
        assert_eq!(map(PARTS * SAMPLES, second), Err(SAMPLES));
        assert_eq!(map(0, |_| Ok::<_, ()>(())), Ok(vec![]));
    }
}
