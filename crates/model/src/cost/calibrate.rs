//! How fast this machine computes the kinds of operations that a UNet consists of.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use memscope_kernels::{
    ops::{Activation, Affine, AttentionMask, Conv2d, Linear, Norm, activate, add, attention, geglu},
    parts,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Flops, Pass, Tally};
use crate::{blueprint::Blueprint, error::Result};

/// Operations a second by kind, at each resolution of a network; zero where there are none of the kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    levels: Vec<Flops>,
}

/// Work before the first measurement: cores that were idle take about a tenth of a second to reach their speed.
const WARM_UP: Duration = Duration::from_millis(200);
/// Time for all measurements together.
const LARGE: Duration = Duration::from_millis(700);
const SMALL: Duration = Duration::from_millis(120);
/// Most operations of one timed run; larger shapes are cut in height. Enough for a convolution at 64x64: smaller images
/// are convolved in another way.
const MOST: f64 = 12e9;
/// Should the warm-up seem to have taken no time at all.
const MOST_ROUNDS: f64 = 1000.0;
const SEED: u64 = 0;

impl Speed {
    /// Seconds that operations take, given by resolution.
    pub(super) fn seconds(&self, levels: &[Flops]) -> f64 {
        let last = self.levels.len() - 1;
        let level = |(i, flops): (usize, &Flops)| {
            let kinds: [fn(&Flops) -> f64; 3] = [|f| f.convolution, |f| f.dense, |f| f.attention];
            let seconds = |kind: fn(&Flops) -> f64| match (kind(flops), self.rate(i.min(last), kind)) {
                (work, rate) if work > 0.0 && rate > 0.0 => work / rate,
                _ => 0.0,
            };
            kinds.into_iter().map(seconds).sum::<f64>()
        };
        levels.iter().enumerate().map(level).sum()
    }

    /// The rate at a level, or at the nearest below it that has the kind.
    fn rate(&self, level: usize, kind: fn(&Flops) -> f64) -> f64 {
        let from_here = self.levels[level..].iter().chain(self.levels[..level].iter().rev());
        from_here.map(kind).find(|rate| *rate > 0.0).unwrap_or(0.0)
    }

    /// The rate of all operations of a network together, in operations a second.
    pub fn overall(&self, model: &Blueprint) -> f64 {
        let tally = model.unet_tally(Tally::of_one(Pass::Prediction));
        tally.flops().total() / self.seconds(tally.levels())
    }
}

impl Blueprint {
    /// Times a convolution, a feed-forward layer and an attention of each resolution, with the norms and activations
    /// that go with them, on seeded random numbers and on all cores: about a second, a third for a small network.
    ///
    /// # Errors
    ///
    /// When an operation fails, for want of memory for instance.
    pub fn calibrate(&self) -> Result<Speed> {
        let tally = self.unet_tally(Tally::of_one(Pass::Prediction));
        let kinds = tally.levels().iter().flat_map(|f| [f.convolution, f.dense, f.attention]);
        let count = kinds.filter(|flops| *flops > 0.0).count().max(1);
        let (_, height, width) = self.latent_shape();
        let mut bench = Bench { budget: WARM_UP, is_small: self.is_small(), numbers: Numbers::new() };
        bench.convolution(self.unet().levels[0].channels, self.unet().norm_groups, (height, width))?;
        bench.budget = if self.is_small() { SMALL } else { LARGE } / count as u32;
        let level = |(i, flops): (usize, &Flops)| {
            let (level, area) = (&self.unet().levels[i], (height >> i, width >> i));
            let rate = |work: f64, measure: &dyn Fn() -> Result<f64>| if work > 0.0 { measure() } else { Ok(0.0) };
            Ok(Flops {
                convolution: rate(flops.convolution, &|| {
                    bench.convolution(level.channels, self.unet().norm_groups, area)
                })?,
                dense: rate(flops.dense, &|| bench.dense(level.channels, area.0 * area.1))?,
                attention: rate(flops.attention, &|| bench.attention(level.channels, level.heads, area.0 * area.1))?,
            })
        };
        Ok(Speed { levels: tally.levels().iter().enumerate().map(level).collect::<Result<_>>()? })
    }
}

/// Random numbers, repeated: drawing millions of them would take longer than what is timed.
struct Numbers(Vec<f32>);

impl Numbers {
    fn new() -> Self {
        const BLOCK: usize = 4099;
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        Self((0..BLOCK).map(|_| rng.random_range(-0.1..0.1)).collect())
    }

    fn tensor(&self, dims: &[usize]) -> Result<Tensor> {
        let data: Vec<f32> = self.0.iter().copied().cycle().take(dims.iter().product()).collect();
        Ok(Tensor::from_vec(data, dims, &Device::Cpu)?)
    }

    fn norm_weights(&self, channels: usize) -> Result<(Tensor, Tensor)> {
        Ok((self.tensor(&[channels])?, self.tensor(&[channels])?))
    }
}

struct Bench {
    /// For each kind and resolution.
    budget: Duration,
    is_small: bool,
    numbers: Numbers,
}

impl Bench {
    /// Half of a ResNet.
    fn convolution(&self, channels: usize, groups: usize, (height, width): (usize, usize)) -> Result<f64> {
        let row = 2.0 * (9 * channels * channels * width) as f64;
        // Even, as images are: odd ones are convolved in another way.
        let height = (self.cut(height, row) & !1).max(2);
        let conv = Conv2d::new(self.numbers.tensor(&[channels, channels, 3, 3])?, None, 1, 1)?;
        let (scale, shift) = self.numbers.norm_weights(channels)?;
        let norm = Norm::group(scale, shift, groups, 1e-5)?;
        let sample = self.numbers.tensor(&[1, channels, height, width])?;
        self.rate(row * height as f64, &sample, |x| {
            add(&conv.apply(&activate(&norm.apply(x)?, Activation::Silu)?)?, x).map(drop)
        })
    }

    /// The feed-forward part of a transformer.
    fn dense(&self, channels: usize, tokens: usize) -> Result<f64> {
        let token = 2.0 * (12 * channels * channels) as f64;
        let tokens = self.cut(tokens, token);
        let expand = Linear::new(self.numbers.tensor(&[8 * channels, channels])?, None)?;
        let contract = Linear::new(self.numbers.tensor(&[channels, 4 * channels])?, None)?;
        let (scale, shift) = self.numbers.norm_weights(channels)?;
        let norm = Norm::layer(scale, shift, 1e-5)?;
        let sample = self.numbers.tensor(&[1, tokens, channels])?;
        self.rate(token * tokens as f64, &sample, |x| {
            add(&contract.apply(&geglu(&expand.apply(&norm.apply(x)?)?)?)?, x).map(drop)
        })
    }

    /// Queries over all tokens.
    fn attention(&self, channels: usize, heads: usize, tokens: usize) -> Result<f64> {
        let query = 4.0 * (channels * tokens) as f64;
        let queries = self.cut(tokens, query);
        let keys = self.numbers.tensor(&[1, tokens, channels])?;
        let sample = self.numbers.tensor(&[1, queries, channels])?;
        self.rate(query * queries as f64, &sample, |q| {
            let samples = q.dim(0)?;
            let keys = keys.broadcast_as((samples, tokens, channels))?.contiguous()?;
            attention(q, &keys, &keys, heads, AttentionMask::None).map(drop)
        })
    }

    /// As much of a size as stays below [`MOST`].
    fn cut(&self, size: usize, each: f64) -> usize {
        if self.is_small { size } else { size.min((MOST / each) as usize).max(1) }
    }

    /// Operations a second of all cores, after one run that warms up. A large network's cores share each operation; a
    /// small one's take parts of a batch, as many as fill the time, so that no core waits for another.
    fn rate(
        &self,
        flops: f64,
        sample: &Tensor,
        run: impl Fn(&Tensor) -> memscope_kernels::Result<()> + Sync,
    ) -> Result<f64> {
        if self.is_small {
            let part = Tensor::cat(&[sample; parts::SAMPLES], 0)?;
            let all = |samples| parts::map(samples, |_| run(&part)).map(drop);
            let first = parts::full_batch();
            let warm_up = Instant::now();
            all(first)?;
            let rounds = (self.budget.as_secs_f64() / warm_up.elapsed().as_secs_f64()).clamp(1.0, MOST_ROUNDS) as usize;
            let clock = Instant::now();
            all(rounds * first)?;
            return Ok(flops * (rounds * first) as f64 / clock.elapsed().as_secs_f64());
        }
        run(sample)?;
        let (clock, mut times) = (Instant::now(), 0);
        while times == 0 || clock.elapsed() < self.budget {
            run(sample)?;
            times += 1;
        }
        Ok(flops * f64::from(times) / clock.elapsed().as_secs_f64())
    }
}
