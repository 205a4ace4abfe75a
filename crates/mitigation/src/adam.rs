//! Adam with decoupled weight decay, in f32 and in the order of torch's operations (`torch.optim.AdamW`, one tensor).

/// The state of an optimisation of some numbers.
pub(crate) struct Adam {
    learning_rate: f64,
    weight_decay: f64,
    steps: i32,
    mean: Vec<f32>,
    square: Vec<f32>,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f32 = 1e-8;

impl Adam {
    /// For `count` numbers; without weight decay it is Adam.
    pub(crate) fn new(count: usize, learning_rate: f64, weight_decay: f64) -> Self {
        Self { learning_rate, weight_decay, steps: 0, mean: vec![0.0; count], square: vec![0.0; count] }
    }

    /// One step down the gradient.
    pub(crate) fn step(&mut self, values: &mut [f32], gradient: &[f32]) {
        self.steps += 1;
        let correction1 = 1.0 - BETA1.powi(self.steps);
        let correction2 = (1.0 - BETA2.powi(self.steps)).sqrt() as f32;
        let step = (-self.learning_rate / correction1) as f32;
        let decay = (1.0 - self.learning_rate * self.weight_decay) as f32;
        let state = self.mean.iter_mut().zip(&mut self.square);
        for ((value, g), (mean, square)) in values.iter_mut().zip(gradient).zip(state) {
            *value *= decay;
            *mean += (1.0 - BETA1) as f32 * (g - *mean);
            *square = *square * BETA2 as f32 + (1.0 - BETA2) as f32 * g * g;
            *value += step * *mean / (square.sqrt() / correction2 + EPS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torch 2.9: `AdamW([x], lr=0.05)` on x = (1, −2), gradients (0.5, 0) and (−0.25, 3).
    #[test]
    fn steps_are_those_of_torch() {
        let mut values = [1.0, -2.0];
        let mut adam = Adam::new(2, 0.05, 0.01);
        adam.step(&mut values, &[0.5, 0.0]);
        assert!((values[0] - 0.9495).abs() < 1e-6 && (values[1] + 1.999).abs() < 1e-6, "{values:?}");
        adam.step(&mut values, &[-0.25, 3.0]);
        // m̂ = (0.045 − 0.025)/0.19, v̂ = (0.00024975 + 0.0000625)/0.001999; and 0.3/0.19, 0.009/0.001999.
        let first = 0.9495 * 0.9995 - 0.05 * (0.02 / 0.19) / (0.00031225_f64 / 0.001999).sqrt();
        let second = -1.999 * 0.9995 - 0.05 * (0.3 / 0.19) / (0.009_f64 / 0.001999).sqrt();
        assert!((f64::from(values[0]) - first).abs() < 1e-6, "{values:?} {first}");
        assert!((f64::from(values[1]) - second).abs() < 1e-6, "{values:?} {second}");
    }
}
