//! Memory for intermediate results, kept by each thread from one operation to the next.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Vec<f32>> = const { Cell::new(vec![]) };
}

/// Calls `f` with slices of the given lengths for intermediate results. They hold whatever an earlier operation has left
/// in them: clearing them takes longer than some of what is then computed. Each thread keeps the memory it once needed.
pub(crate) fn with_scratch<const N: usize, R>(lens: [usize; N], f: impl FnOnce([&mut [f32]; N]) -> R) -> R {
    // Taken, not borrowed: while `f` waits for other threads, this one may begin another operation.
    let mut memory = KEPT.take();
    let needed = lens.iter().sum();
    if memory.len() < needed {
        drop(memory);
        memory = vec![0.0; needed];
    }
    let mut rest = memory.as_mut_slice();
    let parts = lens.map(|len| rest.split_off_mut(..len).unwrap_or_default());
    let result = f(parts);
    KEPT.set(memory);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_apart_and_nested_calls_have_their_own() {
        let sum = with_scratch([3, 2], |[a, b]| {
            a.fill(1.0);
            b.fill(2.0);
            with_scratch([4], |[c]| c.fill(3.0));
            a.iter().chain(b.iter()).sum::<f32>()
        });
        assert_eq!(sum, 7.0);
        with_scratch([100, 0], |[a, b]| assert_eq!((a.len(), b.len()), (100, 0)));
    }
}
