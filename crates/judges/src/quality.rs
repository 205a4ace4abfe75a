//! How good does a picture look?

use crate::{error::Result, judge::Judge, picture::Picture};

/// Quality of a picture. For the published head a rating from about 1 to 10; for others see where they come from.
pub trait Quality: Judge {
    /// A number for each picture, higher is better.
    ///
    /// # Errors
    /// When the network cannot be computed.
    fn quality(&self, pictures: &[Picture]) -> Result<Vec<f64>>;
}
