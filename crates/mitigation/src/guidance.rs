//! Guidance that changes along a trajectory.

/// The guidance scale of each step and picture; "the usual one" is the sampling's.
#[derive(Clone, Debug, PartialEq)]
pub enum Guidance {
    /// The usual one at every step.
    Constant,
    /// Another one while t lies above a timestep.
    AboveTimestep {
        /// Until then.
        before: f64,
        /// The timestep t*.
        timestep: usize,
    },
    /// Another one before a step, counted from 0, for each picture.
    BeforeStep {
        /// Until then.
        before: f64,
        /// The step of each picture.
        steps: Vec<usize>,
    },
    /// Another one until ‖c − u‖ of a picture has had its first strict local minimum.
    UntilMinimum {
        /// Until then.
        before: f64,
    },
}

impl Guidance {
    /// The scale for picture `image` at step `step` and timestep `t`; `norms` are its ‖c − u‖ of all steps up to this one.
    pub fn scale(&self, usual: f64, (image, step, t): (usize, usize, usize), norms: &[f64]) -> f64 {
        match self {
            Self::AboveTimestep { before, timestep } if t > *timestep => *before,
            Self::BeforeStep { before, steps } if steps.get(image).is_some_and(|from| step < *from) => *before,
            Self::UntilMinimum { before } if local_minimum(norms).is_none() => *before,
            _ => usual,
        }
    }
}

/// The position of the first value that lies below both its neighbours.
pub fn local_minimum(values: &[f64]) -> Option<usize> {
    local_minima(values).next()
}

/// The positions of all of them.
pub(crate) fn local_minima(values: &[f64]) -> impl Iterator<Item = usize> {
    values.windows(3).enumerate().filter(|(_, w)| w[0] > w[1] && w[1] < w[2]).map(|(i, _)| i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_minimum_is_strict_and_has_two_neighbours() {
        // scipy.signal.argrelextrema(x, numpy.less)
        assert_eq!(local_minima(&[3.0, 1.0, 2.0, 0.5, 0.5, 4.0, 1.0]).collect::<Vec<_>>(), [1]);
        assert_eq!(local_minima(&[3.0, 2.0, 2.5, 0.5, 4.0]).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(local_minimum(&[1.0, 2.0]), None);
    }

    #[test]
    fn each_rule_ends_where_it_says() {
        let at =
            |guidance: &Guidance, step: usize, norms: &[f64]| guidance.scale(7.5, (1, step, 981 - 20 * step), norms);
        let above = Guidance::AboveTimestep { before: 0.0, timestep: 500 };
        assert_eq!([24, 25].map(|step| at(&above, step, &[])), [0.0, 7.5]);
        let steps = Guidance::BeforeStep { before: -7.5, steps: vec![0, 3] };
        assert_eq!([2, 3].map(|step| at(&steps, step, &[])), [-7.5, 7.5]);
        let minimum = Guidance::UntilMinimum { before: 1.0 };
        assert_eq!(at(&minimum, 2, &[3.0, 2.0, 1.0]), 1.0);
        assert_eq!(at(&minimum, 3, &[3.0, 2.0, 1.0, 1.5]), 7.5);
        assert_eq!(at(&Guidance::Constant, 0, &[]), 7.5);
    }
}
