//! Which style a name has: one colour and one marker for a detector or a class, whichever figure it stands in.

use crate::Theme;
use crate::legend::{Entry, Sample};
use crate::theme::{Dashes, Marker, Style};

/// Names that stand in many figures, with their place among the styles. Mitigations share that of their authors' detector.
const KNOWN: [(&str, usize); 12] = [
    ("Wen norm", 0),
    ("Wen", 0),
    ("Anisotropy M", 1),
    ("norm at t = 1 on noise", 2),
    ("cosine at t = 1 on noise", 3),
    ("Jeon sharpness", 4),
    ("Jeon SAIL", 4),
    ("Ren entropy", 5),
    ("Ren", 5),
    ("MemBench D", 6),
    ("None", 6),
    ("share of draws verbatim", 6),
];

/// The classes of prompts; a name may go on behind a comma.
const CLASSES: [&str; 2] = ["memorized", "non-memorized"];

/// Lines of two runs on the same axes: the first is solid.
const RUNS: [Dashes; 2] = [&[], &[8.0, 4.0]];

/// Lines of one class.
const OF_CLASS: [Dashes; 4] = [&[], &[9.0, 4.0], &[2.0, 3.0], &[10.0, 3.0, 2.0, 3.0]];

/// The styles of the names in one figure.
pub(crate) struct Styles<'n> {
    names: Vec<(&'n str, Style)>,
}

impl<'n> Styles<'n> {
    /// A style for each name, in order of first appearance. A name that is not known takes the first place that no other
    /// one of the figure has.
    pub(crate) fn new(theme: Theme, names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut distinct: Vec<&str> = vec![];
        for name in names {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        let mut taken: Vec<usize> = vec![];
        let own = |name: &str| KNOWN.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
        let mut places: Vec<Option<usize>> = vec![];
        for name in &distinct {
            let place = own(name).filter(|place| !taken.contains(place));
            taken.extend(place);
            places.push(place);
        }
        let mut kinds: Vec<&str> = vec![];
        let mut styles = vec![];
        for (name, place) in distinct.into_iter().zip(places) {
            let style = match (class(name), place) {
                (Some((class, kind)), _) => {
                    let of_kind = kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
                        kinds.push(kind);
                        kinds.len() - 1
                    });
                    Style { dashes: OF_CLASS[of_kind % OF_CLASS.len()], ..class_styles(theme)[class] }
                }
                (None, Some(place)) => theme.style(place),
                (None, None) => {
                    let free = (0..=taken.len()).find(|place| !taken.contains(place)).unwrap_or_default();
                    taken.push(free);
                    theme.style(free)
                }
            };
            styles.push((name, style));
        }
        Self { names: styles }
    }

    /// The style of a name, and its place in the figure.
    pub(crate) fn of(&self, name: &str) -> (usize, Style) {
        let place = self.names.iter().position(|(known, _)| *known == name).unwrap_or(0);
        (place, self.names[place].1)
    }

    /// The names with their styles.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'n str, Style)> {
        self.names.iter().copied()
    }

    /// Legend of lines with markers.
    pub(crate) fn lines(&self) -> Vec<Entry> {
        self.each().map(|(name, style)| Entry::new(name, line(style))).collect()
    }
}

/// Styles of memorized and non-memorized prompts, the same in every figure that shows both.
pub(crate) fn class_styles(theme: Theme) -> [Style; 2] {
    let (memorized, non_memorized) = (theme.style(1).color, theme.style(0).color);
    [
        Style { color: memorized, dashes: &[], marker: Marker::Circle },
        Style { color: non_memorized, dashes: &[6.0, 3.0], marker: Marker::Square },
    ]
}

/// The class that a name begins with, and what stands behind it.
fn class(name: &str) -> Option<(usize, &str)> {
    let of = |class: &str| {
        let rest = name.strip_prefix(class)?;
        (rest.is_empty() || rest.starts_with([',', ':'])).then_some(rest)
    };
    CLASSES.iter().enumerate().find_map(|(index, class)| Some((index, of(class)?)))
}

/// The piece of line of a legend.
pub(crate) fn line(style: Style) -> Sample {
    Sample::Line { color: style.color, dashes: style.dashes, marker: Some(style.marker) }
}

/// The style of a line of run `index` of `count`: the run shows in the dashes where there are two.
pub(crate) fn of_run(style: Style, index: usize, count: usize) -> Style {
    if count < 2 { style } else { Style { dashes: RUNS[index % RUNS.len()], ..style } }
}

/// Legend of the runs, empty for one alone.
pub(crate) fn run_entries(theme: Theme, runs: &[String]) -> Vec<Entry> {
    let entry = |(index, name): (usize, &String)| {
        Entry::new(name, Sample::Line { color: theme.ink(), dashes: RUNS[index % RUNS.len()], marker: None })
    };
    runs.iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(styles: &Styles) -> Vec<(crate::Color, Marker)> {
        styles.each().map(|(_, style)| (style.color, style.marker)).collect()
    }

    #[test]
    fn a_detector_looks_the_same_beside_any_others() {
        for theme in [Theme::Light, Theme::Dark] {
            let alone = looks(&Styles::new(theme, ["Anisotropy M"]));
            let last = looks(&Styles::new(theme, ["mine", "Wen norm", "Jeon sharpness", "Anisotropy M"]));
            assert_eq!(last[3], alone[0]);
            assert!((0..3).all(|at| last[at].0 != last[3].0 && last[at].1 != last[3].1), "{last:?}");
        }
    }

    #[test]
    fn no_two_names_of_a_figure_look_alike() {
        let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
        let names = known.iter().copied().chain(["mine", "another", "a third"]);
        let styles = Styles::new(Theme::Light, names);
        let all = looks(&styles);
        for (index, look) in all.iter().enumerate() {
            assert!(!all[..index].contains(look), "{index}: {look:?}");
        }
    }

    #[test]
    fn a_class_keeps_its_colour_in_every_kind_of_line() {
        let names = ["memorized, guided", "non-memorized, guided", "memorized, plain", "memorized-looking"];
        let styles = Styles::new(Theme::Light, names);
        let [guided, other, plain, no_class] = names.map(|name| styles.of(name).1);
        let [memorized, non_memorized] = class_styles(Theme::Light);
        assert_eq!((guided.color, plain.color), (memorized.color, memorized.color));
        assert_eq!((other.color, other.marker), (non_memorized.color, non_memorized.marker));
        assert_eq!(guided.dashes, other.dashes);
        assert_ne!(guided.dashes, plain.dashes);
        assert_eq!(no_class.marker, Theme::Light.style(0).marker);
    }
}
