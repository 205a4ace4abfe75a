//! Which places of a picture make it similar to another one.

/// The cosine of two descriptors, split over the places of one of the pictures.
///
/// A descriptor is y = W g + c, where g comes from GeM pooling: g_k = (mean over places i of f_ik^p)^(1/p). Because g_k
/// is the sum over i of g_k · f_ik^p / Σ_j f_jk^p, so is the cosine of y with another descriptor z, exactly:
///
/// cos = Σ_i share_i + bias, share_i = Σ_k (f_ik^p / Σ_j f_jk^p) g_k (Wᵀz)_k / (‖y‖‖z‖), bias = c·z / (‖y‖‖z‖)
///
/// A share is also feature times gradient of the cosine's numerator. Idea: nathanReitinger/simsim@ec31907.
#[derive(Clone, Debug, PartialEq)]
pub struct LocationMap {
    /// Rows of the map.
    pub rows: usize,
    /// Columns of the map.
    pub columns: usize,
    /// What each place contributes to the cosine; rows × columns, row-major. May be negative.
    pub shares: Vec<f64>,
    /// What the constant of the last layer contributes.
    pub bias: f64,
    /// The cosine: the sum of all shares and the bias.
    pub cosine: f64,
}
