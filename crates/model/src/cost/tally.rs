//! A forward on shapes: what it computes, how many parameters it reads, and how many numbers it holds at once.

use memscope_kernels::working_memory::{Attention, Convolution};

use super::{Flops, Pass};

/// The shape of one sample's value: an image, or tokens as a column of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Shape {
    pub(crate) fn image(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    pub(crate) fn tokens(count: usize, channels: usize) -> Self {
        Self { channels, height: count, width: 1 }
    }

    pub(crate) fn area(self) -> usize {
        self.height * self.width
    }

    fn len(self) -> u64 {
        (self.channels * self.area()) as u64
    }
}

/// Whether a layer adds a bias.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bias {
    With,
    Without,
}

/// Who unfolds a convolution's input: the operations of this crate, or candle's, which the VAE uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernels {
    Own,
    Candle,
}

/// Output pixels that candle's convolution unfolds together.
const CANDLE_TILE: usize = 512;

/// The counts of a forward under way. Memory is counted in numbers of f32.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pass: Pass,
    samples: usize,
    threads: usize,
    /// Whether weights are stored narrower than f32; a layer then widens its own while it runs.
    widens: bool,
    levels: Vec<Flops>,
    level: usize,
    parameters: u64,
    held: u64,
    peak: u64,
    /// What the step under way has kept for its way back.
    kept: u64,
    steps: Vec<StepTally>,
}

/// The counts of one step of a network, for all samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepTally {
    pub(crate) flops: Flops,
    /// Numbers that its way back needs.
    pub(crate) kept: u64,
}

impl Tally {
    /// A pass of `samples` together on `threads` cores; `widens` when weights are stored narrower than f32.
    pub(crate) fn new(pass: Pass, samples: usize, threads: usize, widens: bool) -> Self {
        Self {
            pass,
            samples,
            threads,
            widens,
            levels: vec![],
            level: 0,
            parameters: 0,
            held: 0,
            peak: 0,
            kept: 0,
            steps: vec![],
        }
    }

    /// A pass of one sample, on one core.
    pub(crate) fn of_one(pass: Pass) -> Self {
        Self::new(pass, 1, 1, false)
    }

    /// Operations of a prediction by resolution, for all samples.
    pub(crate) fn levels(&self) -> &[Flops] {
        &self.levels
    }

    /// Operations of a prediction, for all samples.
    pub(crate) fn flops(&self) -> Flops {
        self.levels.iter().copied().sum()
    }

    pub(crate) fn parameters(&self) -> u64 {
        self.parameters
    }

    /// The most numbers held at once, for all samples.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// What follows runs at this resolution, 0 being the highest.
    pub(crate) fn at_level(&mut self, level: usize) {
        self.level = level;
    }

    fn count(&mut self, add: Flops) {
        if self.levels.len() <= self.level {
            self.levels.resize(self.level + 1, Flops::default());
        }
        self.levels[self.level] = self.levels[self.level] + add.scaled(self.samples as f64);
    }

    /// A value that stays until its scope ends.
    pub(crate) fn hold(&mut self, value: Shape) -> Shape {
        self.held += self.numbers_of(value);
        self.look(0);
        value
    }

    /// Steps of the network.
    pub(crate) fn steps(&self) -> &[StepTally] {
        &self.steps
    }

    /// One step of the network: a trace forgets all but its result.
    pub(crate) fn step(&mut self, f: impl FnOnce(&mut Self) -> Shape) -> Shape {
        let (before, flops) = (self.held, self.flops());
        let result = f(self);
        let computed = self.flops() + flops.scaled(-1.0);
        self.steps.push(StepTally { flops: computed, kept: std::mem::take(&mut self.kept) });
        if self.pass == Pass::Vjp {
            self.held = before + self.numbers_of(result);
        }
        result
    }

    /// A value that the way back needs.
    fn keep(&mut self, value: Shape) {
        self.kept += self.samples as u64 * value.len();
    }

    /// Sees whether more is held than ever before. What the way back of a step needs is there beside what the step has under
    /// way, in either direction.
    fn look(&mut self, numbers: u64) {
        let kept = if self.pass == Pass::Vjp { self.kept } else { 0 };
        self.peak = self.peak.max(self.held + kept + numbers);
    }

    /// A value that is dropped within its scope.
    pub(crate) fn free(&mut self, value: Shape) {
        self.held = self.held.saturating_sub(self.numbers_of(value));
    }

    /// What a step was given and nobody else waits for; a trace keeps it.
    pub(crate) fn free_input(&mut self, value: Shape) {
        if self.pass != Pass::Vjp {
            self.free(value);
        }
    }

    /// What a function or statement leaves behind is its result.
    pub(crate) fn scope(&mut self, f: impl FnOnce(&mut Self) -> Shape) -> Shape {
        let before = self.held;
        let result = f(self);
        self.held = before + self.numbers_of(result);
        result
    }

    /// `new = f(old)`, after which `old` is dropped.
    pub(crate) fn replace(&mut self, old: Shape, f: impl FnOnce(&mut Self) -> Shape) -> Shape {
        let new = self.scope(f);
        self.free(old);
        new
    }

    /// Memory within one operation, in numbers.
    pub(crate) fn temporary(&mut self, numbers: usize) {
        self.look(numbers as u64);
    }

    fn numbers_of(&self, value: Shape) -> u64 {
        let copies = if self.pass == Pass::Jvp { 2 } else { 1 };
        copies * self.samples as u64 * value.len()
    }

    fn weights(&mut self, numbers: usize, bias: usize) {
        self.parameters += (numbers + bias) as u64;
    }

    /// Parameters that compute nothing here: tables, and networks that are loaded and not run.
    pub(crate) fn parameters_alone(&mut self, numbers: usize) {
        self.parameters += numbers as u64;
    }

    /// Numbers of a layer's weights that exist a second time while it runs.
    fn widened(&self, numbers: usize) -> usize {
        if self.widens { numbers } else { 0 }
    }

    /// A value of its own, of the same shape: activations, sums, copies.
    pub(crate) fn pointwise(&mut self, x: Shape) -> Shape {
        self.hold(x)
    }

    /// A norm with one scale and shift per channel.
    pub(crate) fn norm(&mut self, x: Shape) -> Shape {
        self.weights(x.channels, x.channels);
        self.keep(x);
        self.hold(x)
    }

    /// A square convolution that keeps the size at stride 1.
    pub(crate) fn conv(&mut self, x: Shape, out: usize, kernel: usize, stride: usize, kernels: Kernels) -> Shape {
        let taps = x.channels * kernel * kernel;
        let y = Shape::image(out, x.height.div_ceil(stride), x.width.div_ceil(stride));
        self.weights(out * taps, out);
        self.count(Flops { convolution: 2.0 * (out * taps) as f64 * y.area() as f64, ..Flops::default() });
        self.hold(y);
        let weights = self.widened(out * taps);
        let unfolded = match (kernel, kernels) {
            (1, _) => 0,
            (_, Kernels::Candle) => self.samples * x.len() as usize + self.threads * CANDLE_TILE * (taps + out),
            (_, Kernels::Own) => {
                let Shape { channels, height, width } = x;
                let samples = self.samples;
                Convolution { samples, channels, height, width, out_channels: out, kernel, stride }.numbers()
            }
        };
        self.temporary(unfolded + weights);
        y
    }

    /// A dense layer over every token.
    pub(crate) fn dense(&mut self, x: Shape, out: usize, bias: Bias) -> Shape {
        let y = Shape { channels: out, ..x };
        self.weights(x.channels * out, if bias == Bias::With { out } else { 0 });
        self.count(Flops { dense: 2.0 * (x.channels * out) as f64 * x.area() as f64, ..Flops::default() });
        self.hold(y);
        self.temporary(self.widened(x.channels * out));
        y
    }

    /// A gated unit: half as many channels as `x`.
    pub(crate) fn gate(&mut self, x: Shape) -> Shape {
        self.keep(x);
        self.hold(Shape { channels: x.channels / 2, ..x })
    }

    /// Attention of the queries over `keys` tokens of the same width.
    pub(crate) fn attend(&mut self, queries: Shape, keys: usize, heads: usize) -> Shape {
        // Queries and the result, keys and values, the softmax of every query.
        for value in [queries, queries] {
            self.keep(value);
        }
        for _ in 0..2 {
            self.keep(Shape::tokens(keys, queries.channels));
        }
        self.keep(Shape::tokens(queries.area(), 2 * heads));
        let products = 2.0 * 2.0 * queries.len() as f64 * keys as f64;
        self.count(Flops { attention: products, ..Flops::default() });
        let y = self.hold(queries);
        let (queries, width) = (queries.area(), queries.channels);
        let attention = Attention { samples: self.samples, queries, keys, width, threads: self.threads };
        self.temporary(match self.pass {
            Pass::Prediction => attention.forward(),
            Pass::Jvp => attention.jvp(),
            Pass::Vjp => attention.vjp(),
        });
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_leave_their_result_and_tangents_double_it() {
        let x = Shape::tokens(10, 4);
        let run = |pass| {
            let mut tally = Tally::of_one(pass);
            tally.hold(x);
            tally.replace(x, |t| {
                let h = t.dense(x, 8, Bias::Without);
                t.dense(h, 2, Bias::With)
            });
            (tally.held, tally.peak)
        };
        assert_eq!(run(Pass::Prediction), (20, 40 + 80 + 20));
        assert_eq!(run(Pass::Jvp), (40, 280));
    }

    #[test]
    fn a_convolution_counts_its_unfolded_input() {
        let mut tally = Tally::new(Pass::Prediction, 2, 1, true);
        tally.conv(Shape::image(3, 4, 4), 5, 3, 2, Kernels::Own);
        assert_eq!(tally.parameters(), 5 * 3 * 9 + 5);
        assert_eq!(tally.flops().total(), 2.0 * 2.0 * 5.0 * 3.0 * 9.0 * 4.0);
        // Output, unfolded input, product of both samples, widened weights.
        assert_eq!(tally.peak(), 2 * 20 + 2 * 27 * 4 + 2 * 20 + 135);
    }
}
