//! Which numbers of a stored tensor a tensor of the network consists of.

/// How a tensor of the network lies in one of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The same numbers in the same order; a 1x1 convolution and a dense layer are the same numbers.
    Whole,
    /// One of equal parts of its rows, counted from 0: query, key and value in one matrix.
    Rows {
        /// Which part.
        part: usize,
        /// Of how many.
        of: usize,
    },
    /// The transpose of a matrix.
    Transposed,
}

/// The shape without trailing ones.
fn trimmed(shape: &[usize]) -> &[usize] {
    let end = shape.iter().rposition(|dim| *dim != 1).map_or(0, |last| last + 1);
    &shape[..end]
}

impl View {
    /// The shape that is seen of a stored one.
    pub(crate) fn shape(self, stored: &[usize]) -> Vec<usize> {
        let mut shape = stored.to_vec();
        match self {
            Self::Whole => {}
            Self::Rows { of, .. } => {
                if let Some(rows) = shape.first_mut() {
                    *rows /= of;
                }
            }
            Self::Transposed => shape.reverse(),
        }
        shape
    }

    /// Whether the tensor seen has the shape asked for.
    pub(crate) fn fits(self, stored: &[usize], expected: &[usize]) -> bool {
        let shape = self.shape(stored);
        let whole = match self {
            Self::Whole => true,
            Self::Rows { of, .. } => stored.first().is_some_and(|rows| rows % of == 0),
            Self::Transposed => stored.len() == 2,
        };
        whole && trimmed(&shape) == trimmed(expected)
    }

    /// The first of the stored numbers and how many there are.
    pub(crate) fn range(self, stored: &[usize]) -> (usize, usize) {
        let all: usize = stored.iter().product();
        match self {
            Self::Whole | Self::Transposed => (0, all),
            Self::Rows { part, of } => (part * (all / of), all / of),
        }
    }

    /// The numbers in the network's order.
    pub(crate) fn arrange(self, numbers: Vec<f32>, stored: &[usize]) -> Vec<f32> {
        match (self, stored) {
            (Self::Transposed, [rows, columns]) => (0..*columns)
                .flat_map(|c| (0..*rows).map(move |r| (r, c)))
                .map(|(r, c)| numbers[r * columns + c])
                .collect(),
            _ => numbers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_transposes() {
        let third = View::Rows { part: 1, of: 3 };
        assert!(third.fits(&[6, 4], &[2, 4]) && !third.fits(&[7, 4], &[2, 4]));
        assert_eq!(third.range(&[6, 4]), (8, 8));
        assert!(View::Whole.fits(&[4, 4, 1, 1], &[4, 4]) && !View::Whole.fits(&[4, 4, 3, 3], &[4, 4]));
        let numbers = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(View::Transposed.arrange(numbers, &[2, 3]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
