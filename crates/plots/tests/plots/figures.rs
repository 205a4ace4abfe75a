//! Every figure, drawn: well-formed, complete, inside its page, and showing the data where the axes say.

use memscope_plots::figures::{Series, Spectrum, SpectrumFigure, Token, TokenRow};
use memscope_plots::{Color, Error, Figure, Theme};
use memscope_results::figures::FigureError;

use crate::samples;
use plotters::style::{FontDesc, FontFamily, FontStyle};
use roxmltree::{Document, Node};
use std::fmt::Write as _;

/// Attribute of an element as a number.
fn number(node: Node, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

fn elements<'a>(document: &'a Document, tag: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(tag))
}

fn count(document: &Document, tag: &'static str) -> usize {
    elements(document, tag).count()
}

fn content<'a>(node: Node<'a, 'a>) -> &'a str {
    node.text().unwrap_or("").trim()
}

fn texts(document: &Document) -> Vec<String> {
    elements(document, "text").map(|node| content(node).to_owned()).collect()
}

fn has_text(svg: &str, expected: &str) {
    let document = Document::parse(svg).unwrap();
    assert!(texts(&document).iter().any(|text| text == expected), "no text `{expected}` in {:?}", texts(&document));
}

fn hex((red, green, blue): Color) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Numbers among the texts with this anchor: `end` for ticks of y axes, `middle` for those of x axes.
fn ticks(document: &Document, anchor: &str) -> Vec<(f64, f64, f64)> {
    elements(document, "text")
        .filter(|node| node.attribute("text-anchor") == Some(anchor))
        .filter_map(|node| {
            let value: f64 = content(node).replace('−', "-").parse().ok()?;
            Some((value, number(node, "x"), number(node, "y")))
        })
        .collect()
}

fn covers(document: &Document, anchor: &str, low: f64, high: f64) {
    let ticks: Vec<f64> = ticks(document, anchor).iter().map(|tick| tick.0).collect();
    assert!(ticks.len() >= 3, "too few ticks: {ticks:?}");
    assert!(ticks.iter().any(|tick| *tick <= low), "{ticks:?} does not reach down to {low}");
    assert!(ticks.iter().any(|tick| *tick >= high), "{ticks:?} does not reach up to {high}");
}

/// Box of a text in viewBox units: left, top, right, bottom.
fn text_box(node: Node) -> [f64; 4] {
    let em = number(node, "font-size");
    let font = FontDesc::new(FontFamily::Name("DejaVu Sans, sans-serif"), em * 1.164, FontStyle::Normal);
    let width = f64::from(font.box_size(content(node)).unwrap().0);
    let start = match node.attribute("text-anchor").unwrap() {
        "start" => 0.0,
        "middle" => -width / 2.0,
        _ => -width,
    };
    let (x, y) = (number(node, "x"), number(node, "y"));
    match node.attribute("transform") {
        // The baseline lies half an ex before the anchor; capitals are 0.73 em high.
        None => [x + start, y - 0.273 * em - 0.73 * em, x + start + width, y - 0.273 * em + 0.2 * em],
        Some(_) => [x - 0.273 * em - 0.73 * em, y - width / 2.0, x - 0.273 * em + 0.2 * em, y + width / 2.0],
    }
}

#[test]
fn every_figure_is_a_complete_svg_in_both_themes() {
    for figure in samples::all() {
        for theme in [Theme::Light, Theme::Dark] {
            let svg = figure.svg(theme).unwrap();
            let document = Document::parse(&svg).unwrap();
            let root = document.root_element();
            assert_eq!(root.attribute("role"), Some("img"));
            assert_eq!(root.attribute("aria-label"), Some(figure.alt()));
            let (width, height) = figure.size().unwrap();
            assert_eq!((number(root, "width"), number(root, "height")), (f64::from(width), f64::from(height)));
            assert!(svg.contains(&hex(theme.background())), "{} has no background", figure.name());
            for bad in ["NaN", "inf", "-2147483648", "2147483647"] {
                assert!(!svg.contains(bad), "{} contains {bad}", figure.name());
            }
            let all = texts(&document).join(" ");
            for paragraph in figure.caption() {
                assert!(all.contains(paragraph), "{} lacks the caption `{paragraph}`", figure.name());
            }
            for node in elements(&document, "text") {
                assert_eq!(node.attribute("font-family"), Some("DejaVu Sans, sans-serif"));
                assert!(number(node, "font-size") >= 149.9, "{}: `{}` is too small", figure.name(), content(node));
            }
        }
    }
}

#[test]
fn nothing_leaves_the_page() {
    for figure in samples::all() {
        let svg = figure.svg(Theme::Light).unwrap();
        let document = Document::parse(&svg).unwrap();
        let (width, height) = figure.size().unwrap();
        let (width, height) = (f64::from(width) * 10.0, f64::from(height) * 10.0);
        let inside = |x: f64, y: f64, what: &str| {
            let good = (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
            assert!(good, "{}: {what} at ({x}, {y}) leaves {width} x {height}", figure.name());
        };
        for node in elements(&document, "polyline").chain(elements(&document, "polygon")) {
            for point in node.attribute("points").unwrap().split_whitespace() {
                let (x, y) = point.split_once(',').unwrap();
                inside(x.parse().unwrap(), y.parse().unwrap(), node.tag_name().name());
            }
        }
        for node in elements(&document, "rect") {
            let (x, y) = (number(node, "x"), number(node, "y"));
            inside(x, y, "rect");
            inside(x + number(node, "width"), y + number(node, "height"), "rect");
        }
        for node in elements(&document, "circle") {
            inside(number(node, "cx"), number(node, "cy"), "circle");
        }
        for node in elements(&document, "text") {
            let [left, top, right, bottom] = text_box(node);
            inside(left, top, content(node));
            inside(right, bottom, content(node));
        }
    }
}

#[test]
fn no_two_texts_overlap() {
    for figure in samples::all() {
        let svg = figure.svg(Theme::Light).unwrap();
        let document = Document::parse(&svg).unwrap();
        let boxes: Vec<([f64; 4], &str)> =
            elements(&document, "text").map(|node| (text_box(node), content(node))).collect();
        for (index, (a, first)) in boxes.iter().enumerate() {
            for (b, second) in &boxes[index + 1..] {
                let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                assert!(apart, "{}: `{first}` and `{second}` overlap", figure.name());
            }
        }
    }
}

#[test]
fn labels_and_legends_are_text() {
    let roc = samples::roc().svg(Theme::Light).unwrap();
    for text in ["false positive rate", "true positive rate", "FPR 1 %", "few false positives", "0.001"] {
        has_text(&roc, text);
    }
    let curve = &samples::roc().curves[3];
    has_text(&roc, &format!("Ren et al. <D> (AUC {:.3})", curve.auc));
    let kde = samples::kde().svg(Theme::Light).unwrap();
    for text in
        ["KL(mem ‖ non) = 0.166", "KL(non ‖ mem) = 0.022", "norm ‖s_δ‖ (latent units)", "memorized", "non-memorized"]
    {
        has_text(&kde, text);
    }
    let variance = samples::variance().svg(Theme::Light).unwrap();
    for text in ["timestep t", "eigenvalue variance of ∇s", "σ²-scaled variance (no unit)", "memorized", "10⁻⁷"]
    {
        has_text(&variance, text);
    }
    let field = samples::field().svg(Theme::Light).unwrap();
    for text in ["score s", "guidance s_δ", "channel cosine", "cosine above 0.9", "−1.0"] {
        has_text(&field, text);
    }
    let plane = samples::plane().svg(Theme::Light).unwrap();
    for text in ["weight γ_norm", "weight γ_cos", "TPR at 1 % FPR", "paper, SD 1.4", "ones", "fitted"] {
        has_text(&plane, text);
    }
    let tokens = samples::tokens().svg(Theme::Light).unwrap();
    for text in ["<|endoftext|>", "</text>", "a&b", "猫", "\"friends\"", "memorized, long"] {
        has_text(&tokens, text);
    }
    let bound = samples::bound().svg(Theme::Light).unwrap();
    for text in ["lower bound on the cosine", "measured cosine cos(s, s_δ)", "cosine = bound"] {
        has_text(&bound, text);
    }
    has_text(&samples::spectrum().svg(Theme::Light).unwrap(), "t = 981");
}

#[test]
fn ticks_cover_the_data() {
    let scatter = samples::scatter().svg(Theme::Light).unwrap();
    let document = Document::parse(&scatter).unwrap();
    covers(&document, "end", 0.89, 1.0);
    covers(&document, "middle", 2.0, 100.0);

    let figure = samples::histogram();
    let values = || figure.memorized.iter().chain(&figure.non_memorized).copied();
    let svg = figure.svg(Theme::Light).unwrap();
    covers(&Document::parse(&svg).unwrap(), "middle", values().fold(9.0, f64::min), values().fold(0.0, f64::max));

    let dose = samples::dose().svg(Theme::Light).unwrap();
    covers(&Document::parse(&dose).unwrap(), "middle", 1.0, 64.0);

    let variance = samples::variance().svg(Theme::Light).unwrap();
    let document = Document::parse(&variance).unwrap();
    covers(&document, "middle", 1.0, 981.0);
    let across = ticks(&document, "middle");
    assert!(across[0].0 > across[1].0 && across[0].1 < across[1].1, "timesteps do not run down: {across:?}");
}

#[test]
fn points_stand_where_the_axes_say() {
    let mut figure = samples::dose();
    figure.panels[0].series.truncate(1);
    let svg = figure.svg(Theme::Light).unwrap();
    let document = Document::parse(&svg).unwrap();
    let color = elements(&document, "circle").next().unwrap().attribute("fill").unwrap();
    let markers: Vec<(f64, f64)> = elements(&document, "circle")
        .filter(|node| node.attribute("fill") == Some(color))
        .map(|node| (number(node, "cx"), number(node, "cy")))
        .collect();
    let series = &figure.panels[0].series[0];
    // One more stands in the legend, which is drawn first.
    assert_eq!(markers.len(), series.x.len() + 1);

    let up = ticks(&document, "end");
    let rise = (up[1].2 - up[0].2) / (up[1].0 - up[0].0);
    let across = ticks(&document, "middle");
    let run = (across[1].1 - across[0].1) / (across[1].0 / across[0].0).log2();
    for index in 1..series.x.len() {
        let (from, to) = (markers[index], markers[index + 1]);
        assert!((to.1 - from.1 - rise * (series.y[index] - series.y[index - 1])).abs() < 3.0);
        assert!((to.0 - from.0 - run).abs() < 3.0);
    }
    assert!((markers[1].0 - across[0].1).abs() < 3.0, "x = 1 must stand above its tick");
}

#[test]
fn elements_are_as_many_as_the_data() {
    let color = |index: usize| ["#0072B2", "#D55E00", "#009E73"][index];
    let lines = |svg: &str, color: &str| {
        let document = Document::parse(svg).unwrap();
        elements(&document, "polyline").filter(|node| node.attribute("stroke") == Some(color)).count()
    };
    // The first series is solid: one line per panel and one in the legend.
    assert_eq!(lines(&samples::roc().svg(Theme::Light).unwrap(), color(0)), 3);
    assert_eq!(lines(&samples::variance().svg(Theme::Light).unwrap(), color(0)), 3);
    assert_eq!(lines(&samples::spectrum().svg(Theme::Light).unwrap(), color(0)), 6);
    // Other styles are dashed.
    assert!(lines(&samples::roc().svg(Theme::Light).unwrap(), color(1)) > 20);

    let field = samples::field();
    let svg = field.svg(Theme::Light).unwrap();
    let document = Document::parse(&svg).unwrap();
    let mut rings = 0;
    for panel in &field.panels {
        let at = |index: &usize| (index / 64).is_multiple_of(4) && (index % 64).is_multiple_of(4);
        let here = (0..64 * 64).filter(at).filter(|index| panel.cosine[*index] > 0.9).count();
        has_text(&svg, &format!("{here} rings at 256 positions"));
        rings += here;
    }
    assert_eq!(count(&document, "circle"), rings + 1);
    // Background, cells, colour bar and the bars of the two distributions.
    let occupied = |cosine: &[f64]| {
        let bins = cosine.iter().map(|cosine| (((cosine + 1.0) * 20.0) as usize).min(39));
        bins.collect::<std::collections::HashSet<usize>>().len()
    };
    let bars: usize = field.classes.iter().map(|class| occupied(&class.cosine)).sum();
    assert_eq!(count(&document, "rect"), 1 + 2 * 64 * 64 + 64 + bars);
    let above = |at: usize| {
        let cosine = &field.classes[at].cosine;
        100.0 * cosine.iter().filter(|cosine| **cosine > 0.9).count() as f64 / cosine.len() as f64
    };
    has_text(&svg, &format!("above 0.9: {:.1} % memorized, {:.1} % non-memorized", above(0), above(1)));
    // One head per arrow and one marker in the legend.
    assert_eq!(count(&document, "polygon"), 2 * 2 * 256 + 1);

    let plane = samples::plane().svg(Theme::Light).unwrap();
    assert_eq!(count(&Document::parse(&plane).unwrap(), "rect"), 1 + 25 * 25 + 64);

    let tokens = samples::tokens();
    let boxes: usize = tokens.rows.iter().map(|row| row.tokens.len()).sum();
    let svg = tokens.svg(Theme::Light).unwrap();
    assert_eq!(count(&Document::parse(&svg).unwrap(), "rect"), 1 + boxes + 64);

    let bound = samples::bound().svg(Theme::Light).unwrap();
    let document = Document::parse(&bound).unwrap();
    let drawn = count(&document, "circle");
    assert!((1000..=2001).contains(&drawn), "{drawn} of 2900 points drawn");
}

#[test]
fn runs_on_the_same_axes_share_colours_and_differ_in_dashes() {
    let svg = samples::overlay().svg(Theme::Light).unwrap();
    let document = Document::parse(&svg).unwrap();
    for text in ["before", "after"] {
        has_text(&svg, text);
    }
    let auc = |at: usize| samples::roc().curves[at].auc;
    has_text(&svg, &format!("Wen et al. (AUC {0:.3}; {0:.3})", auc(1)));
    has_text(&svg, &format!("anisotropy + alignment (ours) (AUC {:.3}; –)", auc(0)));
    let lines =
        |color: &str| elements(&document, "polyline").filter(|node| node.attribute("stroke") == Some(color)).count();
    // The first has one run, solid: two panels and the legend. The others are dashed in the second run.
    assert_eq!(lines("#0072B2"), 3);
    assert!(lines("#D55E00") > 20);
    let other = samples::histogram();
    assert_eq!(memscope_plots::figures::Overlay::new(other.clone().into(), other.into(), ("a", "b")), None);
    let mut axes = samples::scatter();
    axes.x.label = "seconds".into();
    assert_eq!(memscope_plots::figures::Overlay::new(samples::scatter().into(), axes.into(), ("a", "b")), None);
}

#[test]
fn points_of_one_cost_stand_side_by_side_and_n_shows_as_size() {
    let mut figure = samples::scatter();
    figure.points.truncate(2);
    (figure.points[0].generations, figure.points[1].generations) = (Some(1), Some(4));
    figure.points[1].x = figure.points[0].x;
    figure.points.push(memscope_plots::figures::ScatterPoint { x: 12.0, ..figure.points[0].clone() });
    let svg = figure.svg(Theme::Light).unwrap();
    let document = Document::parse(&svg).unwrap();
    let drawn: Vec<(f64, f64)> = elements(&document, "circle")
        .filter(|node| node.attribute("fill") == Some("#0072B2"))
        .map(|node| (number(node, "cx"), number(node, "r")))
        .collect();
    // The legend's, then the three points of one detector.
    let [legend, one, four, dear] = drawn[..] else { panic!("{drawn:?}") };
    assert!((four.0 - one.0 - 110.0).abs() < 2.0, "side by side: {drawn:?}");
    assert!(four.1 > 1.3 * one.1 && dear.1 == one.1 && legend.1 == one.1, "larger: {drawn:?}");
    has_text(&svg, "n = 1");
    has_text(&svg, "n = 4");
}

#[test]
fn png_has_the_size_and_shows_something() {
    for figure in samples::all() {
        for (theme, scale) in [(Theme::Light, 2), (Theme::Dark, 1)] {
            let file = figure.png(theme, scale).unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            let (width, height) = figure.size().unwrap();
            assert_eq!((info.width, info.height), (width * scale, height * scale));
            let background = theme.background();
            let differs =
                |index: &usize| (pixels[index * 3], pixels[index * 3 + 1], pixels[index * 3 + 2]) != background;
            let (columns, rows) = (info.width as usize, info.height as usize);
            let share = |left: usize, right: usize, top: usize, bottom: usize| {
                let inside = (top..bottom).flat_map(|row| (left..right).map(move |column| row * columns + column));
                inside.filter(differs).count() as f64 / ((right - left) * (bottom - top)) as f64
            };
            let middle = share(columns / 8, columns * 7 / 8, rows / 8, rows / 2);
            assert!(middle > 0.02, "{}: the plot area is all but blank ({middle})", figure.name());
            let left = share(0, columns / 8, 0, rows * 3 / 4);
            assert!(left > 0.005, "{}: no axis at the left ({left})", figure.name());
            let bottom = share(0, columns, rows * 3 / 4, rows);
            assert!(bottom > 0.005, "{}: nothing at the bottom ({bottom})", figure.name());
        }
    }
}

#[test]
fn summaries_are_as_recorded() {
    let mut summary = String::new();
    for figure in samples::all() {
        let svg = figure.svg(Theme::Light).unwrap();
        let document = Document::parse(&svg).unwrap();
        let (width, height) = figure.size().unwrap();
        write!(summary, "{}: {width} x {height}", figure.name()).unwrap();
        for tag in ["rect", "polyline", "polygon", "circle"] {
            write!(summary, ", {} {tag}", count(&document, tag)).unwrap();
        }
        writeln!(summary, "\n  {}", texts(&document).join(" | ")).unwrap();
    }
    let recorded = include_str!("summary.txt");
    assert_eq!(summary, recorded, "if the change is meant, tests/summary.txt becomes:\n{summary}");
}

#[test]
fn degenerate_data_is_drawn() {
    let mut figures: Vec<Box<dyn Figure>> = Vec::new();
    let mut histogram = samples::histogram();
    (histogram.memorized, histogram.non_memorized, histogram.bins) = (vec![3.0; 5], vec![3.0], 1);
    figures.push(Box::new(histogram));
    let mut lines = samples::dose();
    let single = Series { name: "one".into(), x: vec![8.0], y: vec![0.0], band: None };
    lines.panels[0].series = vec![single];
    figures.push(Box::new(lines));
    let spectra = vec![Spectrum { title: "flat".into(), eigenvalues: vec![-1e-12] }];
    let meta = samples::meta("flat");
    figures.push(Box::new(SpectrumFigure { meta, quantity: "λ".into(), spectra, bins: 10 }));
    let mut scatter = samples::scatter();
    scatter.points.truncate(1);
    scatter.points[0].interval = None;
    figures.push(Box::new(scatter));
    let mut plane = samples::plane();
    (plane.x, plane.y, plane.values) = (vec![1.0], vec![1.0], vec![0.5]);
    plane.marked.clear();
    figures.push(Box::new(plane));
    let mut tokens = samples::tokens();
    let token = Token { text: "\u{1}\n".repeat(300), significance: 0.0 };
    tokens.rows = vec![TokenRow { label: String::new(), tokens: vec![token] }];
    figures.push(Box::new(tokens));
    let mut bound = samples::bound();
    (bound.cosine, bound.paper, bound.sharp) = (vec![1.0], vec![1.0], vec![1.0]);
    figures.push(Box::new(bound));
    let mut field = samples::field();
    let panel = &mut field.panels[0];
    (panel.height, panel.width, panel.cosine) = (1, 1, vec![1.0]);
    (panel.first, panel.second) = (vec![(0.0, 0.0)], vec![(1.0, 0.0)]);
    figures.push(Box::new(field));
    let mut roc = samples::roc();
    for curve in &mut roc.curves {
        (curve.points, curve.band) = (vec![(0.5, 0.5)], None);
    }
    figures.push(Box::new(roc));
    let mut kde = samples::kde();
    let panel = &mut kde.panels[0];
    (panel.grid, panel.memorized_density, panel.non_memorized_density) = (vec![1.0], vec![0.0], vec![0.0]);
    (panel.memorized, panel.non_memorized) = (vec![1.0], vec![1.0]);
    figures.push(Box::new(kde));
    for figure in figures {
        let svg = figure.svg(Theme::Light).unwrap();
        Document::parse(&svg).unwrap();
        for extreme in ["-2147483648", "2147483647"] {
            assert!(!svg.contains(extreme), "{} draws at infinity", figure.name());
        }
        figure.png(Theme::Light, 1).unwrap();
    }
}

#[test]
fn many_panels_go_on_in_rows() {
    let mut figure = samples::variance();
    let one_row = figure.size().unwrap();
    figure.panels = [figure.panels.clone(), figure.panels.clone(), figure.panels].concat();
    let (width, height) = figure.size().unwrap();
    assert_eq!((width, height - one_row.1), (one_row.0, 430));
    let svg = figure.svg(Theme::Light).unwrap();
    assert_eq!(texts(&Document::parse(&svg).unwrap()).iter().filter(|text| *text == "timestep t").count(), 6);
}

#[test]
fn bad_input_is_named() {
    let mut roc = samples::roc();
    roc.curves[1].points[3].1 = f64::NAN;
    let message = roc.svg(Theme::Light).unwrap_err().to_string();
    assert_eq!(message, "figure `roc`: curves[1].points.tpr[3] = NaN must be a rate in [0, 1]");
    let mut lines = samples::variance();
    lines.panels[1].series[0].y.pop();
    let message = lines.svg(Theme::Light).unwrap_err().to_string();
    assert_eq!(message, "figure `variance`: panels[1].series[0].y has 49 values, expected 50");
    let mut dose = samples::dose();
    dose.panels[0].series[2].x[0] = 0.0;
    let Error::Data(FigureError::Value { field, index, .. }) = dose.svg(Theme::Light).unwrap_err() else {
        panic!("wrong error")
    };
    assert_eq!((field.as_str(), index), ("panels[0].series[2].x", 0));
    let mut plane = samples::plane();
    plane.values.clear();
    assert!(matches!(
        plane.svg(Theme::Light).unwrap_err(),
        Error::Data(FigureError::Length { expected: 625, got: 0, .. })
    ));
    let mut field = samples::field();
    field.stride = 0;
    assert!(
        matches!(field.svg(Theme::Light).unwrap_err(), Error::Data(FigureError::Empty { field, .. }) if field == "stride")
    );
    let mut scatter = samples::scatter();
    scatter.points[0].interval = Some((0.9, 0.8));
    assert!(
        matches!(scatter.svg(Theme::Light).unwrap_err(), Error::Data(FigureError::Value { field, .. }) if field == "points.interval")
    );
    let mut tokens = samples::tokens();
    tokens.rows.clear();
    assert!(
        matches!(tokens.svg(Theme::Light).unwrap_err(), Error::Data(FigureError::Empty { field, .. }) if field == "rows")
    );
}

#[test]
fn files_are_written_under_the_name() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("written");
    let mut figure = samples::dose();
    let paths = figure.write(&folder).unwrap();
    assert_eq!(paths, [folder.join("dose.svg"), folder.join("dose.png")]);
    assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), figure.svg(Theme::Light).unwrap());
    assert_eq!(std::fs::read(&paths[1]).unwrap(), figure.png(Theme::Light, 2).unwrap());
    for name in ["../escape", "", ".hidden", "a b"] {
        figure.meta.name = name.into();
        assert!(matches!(figure.write(&folder), Err(Error::Name(_))), "`{name}` was accepted");
    }
}
