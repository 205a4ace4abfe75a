//! Paints a scene through a plotters backend.

use crate::scene::{Anchor, Mark, Point, Scene, Turn};
use crate::{Color, text};
use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, Circle, DrawingArea, DrawingBackend, IntoDrawingArea, PathElement, Polygon, RGBColor, Rectangle,
    SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, ShapeStyle, TextStyle};

/// SVG coordinates are whole numbers; tenths of a pixel keep curves smooth.
const SVG_UNITS: f64 = 10.0;

/// PNG is painted larger by this factor and averaged down, which smooths every edge.
const OVERSAMPLING: u32 = 2;

/// Height of the middle of lower-case letters that plotters shifts a bottom-anchored SVG text by, in em.
const HALF_EX: f64 = 0.273;

/// The two kinds of output, where plotters' backends want different things.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Svg,
    Png { scale: u32 },
}

impl Target {
    /// Backend units per pixel.
    fn units(self) -> f64 {
        match self {
            Self::Svg => SVG_UNITS,
            Self::Png { scale } => f64::from(scale * OVERSAMPLING),
        }
    }

    /// plotters' font size for one em of `em` units: its SVG backend divides by 1.24, its glyph painter counts
    /// ascent plus descent.
    fn font_size(self, em: f64) -> f64 {
        match self {
            Self::Svg => em * 1.24,
            Self::Png { .. } => em * text::GLYPH_HEIGHT,
        }
    }

    /// Vertical anchor and the distance from it to the baseline, in units (down is positive).
    fn baseline(self, em: f64) -> (VPos, f64) {
        match self {
            Self::Svg => (VPos::Bottom, -HALF_EX * em),
            Self::Png { .. } => (VPos::Top, self.font_size(em) / 2.0),
        }
    }
}

/// The scene as an SVG document with `alt` as its accessible name.
pub(crate) fn svg(scene: &Scene, alt: &str) -> Result<String, String> {
    let units = SVG_UNITS as u32;
    let mut document = String::new();
    paint(scene, Target::Svg, SVGBackend::with_string(&mut document, (scene.width * units, scene.height * units)))?;
    let (_, body) = document.split_once(">\n").ok_or("plotters wrote no SVG element")?;
    // Defaults of SVG that would make up a third of a heat map's size.
    let body = body.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "");
    let (width, height) = (scene.width, scene.height);
    let alt = escape(&text::clean(alt));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{alt}\">\n<title>{alt}</title>\n{body}",
        width * units,
        height * units
    ))
}

/// The scene as a PNG file of `scale` image pixels per pixel of the scene.
pub(crate) fn png(scene: &Scene, scale: u32) -> Result<Vec<u8>, String> {
    let (width, height) = (scene.width * scale, scene.height * scale);
    let large = (width * OVERSAMPLING, height * OVERSAMPLING);
    let mut pixels = vec![0; large.0 as usize * large.1 as usize * 3];
    paint(scene, Target::Png { scale }, BitMapBackend::with_buffer(&mut pixels, large))?;

    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(&average(&pixels, large)).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(file)
}

/// Averages blocks of `OVERSAMPLING` squared pixels; both sides of `size` are multiples of it.
fn average(pixels: &[u8], size: (u32, u32)) -> Vec<u8> {
    let (width, height, block) = (size.0 as usize, size.1 as usize, OVERSAMPLING as usize);
    let mut small = Vec::with_capacity(pixels.len() / (block * block));
    for top in (0..height).step_by(block) {
        for left in (0..width).step_by(block) {
            for channel in 0..3 {
                let pixel = |offset: usize| {
                    let (row, column) = (top + offset / block, left + offset % block);
                    usize::from(pixels[(row * width + column) * 3 + channel])
                };
                let sum: usize = (0..block * block).map(pixel).sum();
                small.push(((sum + block * block / 2) / (block * block)) as u8);
            }
        }
    }
    small
}

fn paint<DB: DrawingBackend>(scene: &Scene, target: Target, backend: DB) -> Result<(), String> {
    text::register()?;
    let root = backend.into_drawing_area();
    root.fill(&rgb(scene.background)).map_err(|error| error.to_string())?;
    for mark in &scene.marks {
        paint_mark(&root, target, mark)?;
    }
    root.present().map_err(|error| error.to_string())
}

fn paint_mark<DB: DrawingBackend>(root: &DrawingArea<DB, Shift>, target: Target, mark: &Mark) -> Result<(), String> {
    let units = target.units();
    let length = |pixels: f64| (pixels * units).round().max(1.0) as u32;
    let painted = match mark {
        Mark::Line { points, color, width } => return stroke(root, target, points, *color, *width),
        Mark::Area { points, color, alpha } => return fill(root, target, points, rgb(*color).mix(*alpha)),
        Mark::Rect { from, to, color, alpha } => {
            let corners = [device(*from, units), device(*to, units)];
            root.draw(&Rectangle::new(corners, rgb(*color).mix(*alpha).filled()))
        }
        Mark::Disc { center, radius, color, alpha } => {
            root.draw(&Circle::new(device(*center, units), length(*radius), rgb(*color).mix(*alpha).filled()))
        }
        Mark::Ring { center, radius, color, width } => {
            let style = rgb(*color).stroke_width(length(*width));
            root.draw(&Circle::new(device(*center, units), length(*radius), style))
        }
        Mark::Text { text, at, size, color, anchor, turn } => {
            let em = size * units;
            let (vertical, drop) = target.baseline(em);
            let (shift, transform) = match turn {
                Turn::Level => ((0.0, -drop), FontTransform::None),
                Turn::Upward => ((-drop, 0.0), FontTransform::Rotate270),
            };
            let horizontal = match anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            };
            let font = FontDesc::new(FontFamily::Name(text::FAMILY), target.font_size(em), FontStyle::Normal);
            let color = rgb(*color);
            let style = TextStyle::from(font).color(&color).transform(transform).pos(Pos::new(horizontal, vertical));
            let at = (at.0 * units + shift.0, at.1 * units + shift.1);
            root.draw(&Text::new(text.as_str(), device(at, 1.0), style))
        }
    };
    painted.map_err(|error| error.to_string())
}

/// A line; on pixels it is filled piece by piece, because plotters' outline of a thick line has spikes at sharp turns.
fn stroke<DB: DrawingBackend>(
    root: &DrawingArea<DB, Shift>,
    target: Target,
    points: &[Point],
    color: Color,
    width: f64,
) -> Result<(), String> {
    let units = target.units();
    if target == Target::Svg {
        let style: ShapeStyle = rgb(color).stroke_width((width * units).round() as u32);
        let points: Vec<_> = points.iter().map(|point| device(*point, units)).collect();
        return root.draw(&PathElement::new(points, style)).map_err(|error| error.to_string());
    }
    for (index, pair) in points.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let distance = (to.0 - from.0).hypot(to.1 - from.1);
        if distance == 0.0 {
            continue;
        }
        let across = (width / 2.0 * (from.1 - to.1) / distance, width / 2.0 * (to.0 - from.0) / distance);
        let corner = |point: Point, sign: f64| (point.0 + sign * across.0, point.1 + sign * across.1);
        let quad = [corner(from, 1.0), corner(to, 1.0), corner(to, -1.0), corner(from, -1.0)];
        fill(root, target, &quad, rgb(color).to_rgba())?;
        if index > 0 {
            let joint: Vec<Point> = (0..12)
                .map(|step| f64::from(step) * std::f64::consts::TAU / 12.0)
                .map(|angle| (from.0 + width / 2.0 * angle.cos(), from.1 + width / 2.0 * angle.sin()))
                .collect();
            fill(root, target, &joint, rgb(color).to_rgba())?;
        }
    }
    Ok(())
}

/// A filled polygon; on pixels by the even-odd rule at pixel centres, one span at a time.
fn fill<DB: DrawingBackend>(
    root: &DrawingArea<DB, Shift>,
    target: Target,
    points: &[Point],
    color: RGBAColor,
) -> Result<(), String> {
    let units = target.units();
    if target == Target::Svg {
        let points: Vec<_> = points.iter().map(|point| device(*point, units)).collect();
        return root.draw(&Polygon::new(points, color)).map_err(|error| error.to_string());
    }
    let corners: Vec<Point> = points.iter().map(|point| (point.0 * units, point.1 * units)).collect();
    let top = corners.iter().map(|corner| corner.1).fold(f64::INFINITY, f64::min).floor() as i32;
    let bottom = corners.iter().map(|corner| corner.1).fold(f64::NEG_INFINITY, f64::max).ceil() as i32;
    for row in top..bottom {
        let middle = f64::from(row) + 0.5;
        let mut crossings: Vec<f64> = (0..corners.len())
            .map(|index| (corners[index], corners[(index + 1) % corners.len()]))
            .filter(|(from, to)| (from.1 <= middle) != (to.1 <= middle))
            .map(|(from, to)| from.0 + (middle - from.1) / (to.1 - from.1) * (to.0 - from.0))
            .collect();
        crossings.sort_by(f64::total_cmp);
        for span in crossings.chunks_exact(2) {
            let (left, right) = ((span[0] - 0.5).ceil() as i32, (span[1] - 0.5).ceil() as i32);
            if left < right {
                let area = Rectangle::new([(left, row), (right, row + 1)], color.filled());
                root.draw(&area).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}

fn device(point: Point, units: f64) -> (i32, i32) {
    ((point.0 * units).round() as i32, (point.1 * units).round() as i32)
}

fn rgb((red, green, blue): Color) -> RGBColor {
    RGBColor(red, green, blue)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
