//! Colour maps with monotone lightness, readable without colour vision.

use crate::Color;

/// Viridis (matplotlib, CC0) at 0, 0.1, …, 1.
const VIRIDIS: [Color; 11] = [
    (68, 1, 84),
    (72, 36, 117),
    (65, 68, 135),
    (53, 95, 141),
    (42, 120, 142),
    (33, 145, 140),
    (34, 168, 132),
    (68, 191, 112),
    (122, 209, 81),
    (189, 223, 38),
    (253, 231, 37),
];

/// Blue to white to red (ColorBrewer RdBu, reversed) at -1, -0.75, …, 1.
const BLUE_RED: [Color; 9] = [
    (33, 102, 172),
    (67, 147, 195),
    (146, 197, 222),
    (209, 229, 240),
    (247, 247, 247),
    (253, 219, 199),
    (244, 165, 130),
    (214, 96, 77),
    (178, 24, 43),
];

/// Colour of `t` in `[0, 1]`, dark to light; values outside take the nearest end.
pub fn sequential(t: f64) -> Color {
    interpolate(&VIRIDIS, t)
}

/// Colour of `t` in `[-1, 1]`, blue over white to red; values outside take the nearest end.
pub fn diverging(t: f64) -> Color {
    interpolate(&BLUE_RED, f64::midpoint(t, 1.0))
}

/// Relative luminance of a colour in `[0, 1]` (WCAG 2).
pub fn luminance((red, green, blue): Color) -> f64 {
    let linear = |channel: u8| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/// Black or white, whichever reads better on `background`.
pub(crate) fn text_on(background: Color) -> Color {
    // At this luminance black and white have the same contrast ratio.
    if luminance(background) > 0.179 { (0, 0, 0) } else { (255, 255, 255) }
}

/// `share` of `over` on top of `under`.
pub(crate) fn mix(over: Color, under: Color, share: f64) -> Color {
    let channel = |a: u8, b: u8| (f64::from(a) * share + f64::from(b) * (1.0 - share)).round() as u8;
    (channel(over.0, under.0), channel(over.1, under.1), channel(over.2, under.2))
}

fn interpolate(anchors: &[Color], t: f64) -> Color {
    let last = anchors.len() - 1;
    let position = t.clamp(0.0, 1.0) * last as f64;
    let index = (position as usize).min(last - 1);
    mix(anchors[index + 1], anchors[index], position - index as f64)
}
