//! What SDXL is told of a picture besides the prompt: its size before and after it was cut, and where it was cut.

use std::{fmt, str::FromStr};

use memscope_text::excerpt;

use crate::error::{Error, Result};

/// Two whole numbers: height and width, or top and left, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixels(pub [u32; 2]);

/// Larger than any picture that a model was trained on.
const MOST: u32 = 65_536;

impl FromStr for Pixels {
    type Err = Error;

    /// `HxW`, such as `1024x1024`.
    fn from_str(given: &str) -> Result<Self> {
        let numbers = given.split_once(['x', ',']).and_then(|(a, b)| {
            let number = |text: &str| text.trim().parse::<u32>().ok().filter(|n| *n <= MOST);
            Some([number(a)?, number(b)?])
        });
        let wrong = || {
            Error::Argument(format!(
                "'{}' is no size: give two whole numbers up to {MOST}, such as 1024x1024",
                excerpt(given)
            ))
        };
        numbers.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}x{}", self.0[0], self.0[1])
    }
}

/// SDXL's size conditions as given; what is left out has the pipeline's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeConditions {
    /// Height and width of the picture before it was cut; by default those of the model's pictures.
    pub original_size: Option<Pixels>,
    /// Where it was cut, from the top and from the left; by default 0 and 0.
    pub crops_coords_top_left: Option<Pixels>,
    /// Height and width after it was cut; by default those of the model's pictures.
    pub target_size: Option<Pixels>,
}

impl SizeConditions {
    /// Whether everything has the pipeline's default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The six numbers in the network's order, for pictures of this height and width.
    pub(crate) fn numbers(&self, picture: Pixels) -> [u32; 6] {
        let [original, crops, target] = [
            self.original_size.unwrap_or(picture),
            self.crops_coords_top_left.unwrap_or(Pixels([0, 0])),
            self.target_size.unwrap_or(picture),
        ]
        .map(|Pixels(numbers)| numbers);
        [original[0], original[1], crops[0], crops[1], target[0], target[1]]
    }
}

impl fmt::Display for SizeConditions {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parts =
            [("original", self.original_size), ("crops", self.crops_coords_top_left), ("target", self.target_size)];
        let given = parts.iter().filter_map(|(name, pixels)| Some(format!("{name} {}", (*pixels)?)));
        f.write_str(&given.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_the_pipelines_default() {
        let picture = Pixels([1024, 1024]);
        assert_eq!(SizeConditions::default().numbers(picture), [1024, 1024, 0, 0, 1024, 1024]);
        let given = SizeConditions { original_size: Some("512x768".parse().unwrap()), ..SizeConditions::default() };
        assert_eq!(given.numbers(picture), [512, 768, 0, 0, 1024, 1024]);
        assert_eq!(given.to_string(), "original 512x768");
        for wrong in ["", "512", "x", "-1x2", "1x99999999", "axb"] {
            assert!(wrong.parse::<Pixels>().is_err(), "{wrong}");
        }
    }
}
