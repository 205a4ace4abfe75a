//! Axes: the range of the data, widened to whole ticks, and the ticks' labels.

use memscope_results::figures::{AxisSpec, Direction, Scale};

/// An axis with its final range and ticks.
pub(crate) struct Axis {
    pub(crate) label: String,
    scale: Scale,
    direction: Direction,
    /// Ends of the range on the axis' own scale (logarithms on logarithmic axes).
    low: f64,
    high: f64,
    /// Tick positions on the axis' own scale, ascending, with their labels.
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Covers all `values` and widens to whole ticks, about `count` of them.
    pub(crate) fn covering(spec: &AxisSpec, values: impl IntoIterator<Item = f64>, count: usize) -> Self {
        let (low, high) = extent(values);
        let ticks = match spec.scale {
            Scale::Linear => {
                let (low, high) = widened(low, high);
                linear_ticks(low, high, count)
            }
            Scale::Log10 => decade_ticks(low, high, count),
            Scale::Log2 => octave_ticks(low, high, count),
        };
        let end = |tick: Option<&(f64, String)>| tick.map_or(0.0, |tick| tick.0);
        let (low, high) = (end(ticks.first()), end(ticks.last()));
        Self { label: spec.label.clone(), scale: spec.scale, direction: spec.direction, low, high, ticks }
    }

    /// A linear axis over exactly `[low, high]`, with the ticks that fall inside.
    pub(crate) fn exact(label: &str, (low, high): (f64, f64), count: usize) -> Self {
        let slack = 1e-9 * (high - low);
        let mut ticks = linear_ticks(low, high, count);
        ticks.retain(|(value, _)| (low - slack..=high + slack).contains(value));
        Self { label: label.into(), scale: Scale::Linear, direction: Direction::Forward, low, high, ticks }
    }

    /// A logarithmic or linear axis over exactly `[low, high]` (in values), with the ticks that fall inside.
    pub(crate) fn between(spec: &AxisSpec, (low, high): (f64, f64), count: usize) -> Self {
        let mut axis = Self::covering(spec, [low, high], count);
        (axis.low, axis.high) = (axis.scaled(low), axis.scaled(high));
        let slack = 1e-9 * (axis.high - axis.low);
        let (low, high) = (axis.low - slack, axis.high + slack);
        axis.ticks.retain(|(value, _)| (low..=high).contains(value));
        axis
    }

    /// Whether its labels are powers of ten.
    pub(crate) fn has_powers(&self) -> bool {
        self.scale == Scale::Log10 && !self.ticks.iter().all(|(at, _)| is_plain(*at))
    }

    /// Writes the labels of a base-10 axis as powers of ten.
    pub(crate) fn use_powers(&mut self) {
        if self.scale == Scale::Log10 {
            label_decades(&mut self.ticks, true);
        }
    }

    /// Share of the way along the axis, 0 at its start and 1 at its end.
    pub(crate) fn share(&self, value: f64) -> f64 {
        self.oriented((self.scaled(value) - self.low) / (self.high - self.low))
    }

    /// Ticks as shares of the way along the axis, with their labels.
    pub(crate) fn ticks(&self) -> impl Iterator<Item = (f64, &str)> {
        let share = |value: f64| self.oriented((value - self.low) / (self.high - self.low));
        self.ticks.iter().map(move |(value, label)| (share(*value), label.as_str()))
    }

    fn oriented(&self, share: f64) -> f64 {
        match self.direction {
            Direction::Forward => share,
            Direction::Reversed => 1.0 - share,
        }
    }

    fn scaled(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log10 => value.log10(),
            Scale::Log2 => value.log2(),
        }
    }
}

/// Smallest and largest value.
pub(crate) fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    values.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// The range itself, or a range around it when it is too narrow to be divided.
pub(crate) fn widened(low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-9 {
        return (low, high);
    }
    let margin = if size > 0.0 { size * 0.1 } else { 1.0 };
    (low - margin, high + margin)
}

/// Ticks at multiples of 1, 2 or 5 times a power of ten; the first is at most `low`, the last at least `high`.
fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    // Rounding must not add an empty interval beyond an end that is a tick itself.
    let first = (low / step + 1e-9).floor() as i64;
    let last = (high / step - 1e-9).ceil() as i64;
    (first..=last).map(|index| index as f64 * step).map(|value| (value, number(value, step))).collect()
}

/// `value` with the decimals that a step of `step` needs.
pub(crate) fn number(value: f64, step: f64) -> String {
    let decimals = (-(step * 1.001).log10().floor()).max(0.0);
    if value == 0.0 && decimals > 4.0 {
        return "0".to_owned();
    }
    let text = if value != 0.0 && (value.abs() >= 1e6 || decimals > 4.0) {
        let digits = (value.abs().log10().floor() - (step * 1.001).log10().floor()).clamp(0.0, 6.0);
        format!("{value:.0$e}", digits as usize)
    } else {
        format!("{value:.0$}", decimals.min(4.0) as usize)
    };
    if text.trim_start_matches('-').chars().all(|character| "0.".contains(character)) {
        return text.trim_start_matches('-').to_owned();
    }
    text.replace('-', "−")
}

/// Ticks of a base-10 axis: whole decades, or 1, 2, 5 times them within two decades. All labels are of one style: powers of
/// ten where one of them has to be.
fn decade_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let (low, high) = widened_log(low.log10(), high.log10());
    let mantissas: &[f64] = if high - low <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let stride = ((high - low) / count.max(1) as f64).ceil().max(1.0) as i32;
    let (first, last) = (low.floor() as i32, high.ceil() as i32);
    let ticks = (first..=last + stride)
        .step_by(stride as usize)
        .flat_map(|power| mantissas.iter().map(move |mantissa| (mantissa.log10() + f64::from(power), String::new())));
    let mut ticks = covering_only(ticks.collect(), low, high);
    let powers = !ticks.iter().all(|(at, _)| is_plain(*at));
    label_decades(&mut ticks, powers);
    ticks
}

/// Mantissa and power of ten of a tick at `at`, a logarithm.
fn parts(at: f64) -> (f64, i32) {
    let power = (at + 1e-9).floor();
    (10f64.powf(at - power).round(), power as i32)
}

/// Whether people write the number as it is.
fn is_plain(at: f64) -> bool {
    (-3..5).contains(&parts(at).1)
}

fn label_decades(ticks: &mut [(f64, String)], powers: bool) {
    for (at, label) in ticks {
        let (mantissa, power) = parts(*at);
        *label = match powers {
            false => format!("{:.*}", (-power).max(0) as usize, mantissa * 10_f64.powi(power)),
            true if mantissa == 1.0 => format!("10{}", superscript(power)),
            true => format!("{mantissa}·10{}", superscript(power)),
        };
    }
}

/// Ticks of a base-2 axis: whole powers.
fn octave_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let (low, high) = widened_log(low.log2(), high.log2());
    let (first, last) = (low.floor(), high.ceil());
    let stride = ((last - first) / count.max(1) as f64).ceil().max(1.0);
    let ticks = (0..=((last - first) / stride).ceil() as i32).map(|index| {
        let power = first + f64::from(index) * stride;
        let value = power.exp2();
        let label =
            if (-4.0..20.0).contains(&power) { format!("{value}") } else { format!("2{}", superscript(power as i32)) };
        (power, label)
    });
    covering_only(ticks.collect(), low, high)
}

fn widened_log(low: f64, high: f64) -> (f64, f64) {
    if high - low > 1e-9 { (low, high) } else { (low - 0.1, high + 0.1) }
}

/// Drops the ticks beyond the first one on either side of `[low, high]`.
fn covering_only(ticks: Vec<(f64, String)>, low: f64, high: f64) -> Vec<(f64, String)> {
    let slack = 1e-9;
    let first = ticks.iter().rposition(|(value, _)| *value <= low + slack).unwrap_or(0);
    let last = ticks.iter().position(|(value, _)| *value >= high - slack).unwrap_or(ticks.len() - 1);
    ticks.into_iter().take(last + 1).skip(first).collect()
}

fn superscript(power: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |character: char| character.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    power.to_string().chars().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn labels_are_those_a_person_would_write() {
        let axis = |spec: AxisSpec, low: f64, high: f64| Axis::covering(&spec, [low, high], 5);
        assert_eq!(labels(&axis(AxisSpec::linear(""), 0.0, 1.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&axis(AxisSpec::linear(""), -0.31, 0.42)), ["−0.4", "−0.2", "0.0", "0.2", "0.4", "0.6"]);
        assert_eq!(labels(&axis(AxisSpec::linear(""), 1.0, 981.0)), ["0", "200", "400", "600", "800", "1000"]);
        assert_eq!(labels(&axis(AxisSpec::linear(""), 0.0, 4e-6)), ["0", "1e−6", "2e−6", "3e−6", "4e−6"]);
        assert_eq!(labels(&axis(AxisSpec::log10(""), 2.0, 40.0)), ["2", "5", "10", "20", "50"]);
        assert_eq!(labels(&axis(AxisSpec::log10(""), 3e-6, 0.5)), ["10⁻⁶", "10⁻⁴", "10⁻²", "10⁰"]);
        assert_eq!(labels(&axis(AxisSpec::log10(""), 3e-3, 0.5)), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(labels(&axis(AxisSpec::log10(""), 3e-5, 4e-5)), ["2·10⁻⁵", "5·10⁻⁵"]);
        assert_eq!(labels(&axis(AxisSpec::log2(""), 0.5, 9.0)), ["0.5", "1", "2", "4", "8", "16"]);
    }

    #[test]
    fn an_axis_takes_the_style_of_its_neighbour() {
        let mut axis = Axis::covering(&AxisSpec::log10(""), [0.001, 100.0], 5);
        assert!(!axis.has_powers());
        axis.use_powers();
        assert_eq!(labels(&axis), ["10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹", "10²"]);
        assert!(Axis::covering(&AxisSpec::log10(""), [1e-5, 100.0], 5).has_powers());
    }

    #[test]
    fn ticks_cover_any_range() {
        let ends = [1e-9, 0.003, 0.0999, 0.1, 1.0, 1.0000000001, 3.3, 7.0, 981.0, 65536.0, 1e12];
        for scale in [Scale::Linear, Scale::Log10, Scale::Log2] {
            for (index, low) in ends.iter().enumerate() {
                for high in &ends[index..] {
                    let spec = AxisSpec { scale, ..AxisSpec::default() };
                    let axis = Axis::covering(&spec, [*low, *high], 5);
                    for value in [*low, *high] {
                        let share = axis.share(value);
                        assert!((-1e-6..=1.0 + 1e-6).contains(&share), "{scale:?} {low} {high}: {share}");
                    }
                    let count = axis.ticks.len();
                    assert!((2..=9).contains(&count), "{scale:?} {low} {high}: {:?}", axis.ticks);
                    assert!(axis.ticks.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1));
                }
            }
        }
    }

    #[test]
    fn a_reversed_axis_runs_down() {
        let axis = Axis::covering(&AxisSpec::linear("t").reversed(), [1.0, 981.0], 5);
        assert!((axis.share(981.0) - 0.019).abs() < 1e-12);
        assert!((axis.share(1.0) - 0.999).abs() < 1e-12);
    }
}
