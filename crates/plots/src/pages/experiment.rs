//! One experiment as a section.

use memscope_results::{Folder, Manifest, ResultTable};

use super::{figures, gallery, inside::Inside, tables};
use crate::report::{Block, Section};

/// Title, text, tables, figures and pictures of an experiment. What cannot be shown is a notice in its place. Tables that
/// are as the run wrote them are added to `intact`; `most_pictures` is what the page has room for.
pub(super) fn section(
    folder: &Folder,
    manifest: &Manifest,
    most_pictures: usize,
    intact: &mut Vec<ResultTable>,
) -> Section {
    let mut inside = Inside::new(folder, manifest);
    let name = folder.name();
    let mut blocks = vec![];
    if manifest.format == 0 {
        let text =
            "The manifest is of format 0, which holds no hashes: nobody can tell whether the numbers were changed.";
        blocks.push(Block::Notice(format!("{name}: {text}")));
    }
    blocks.extend(tables::blocks(&mut inside, &folder.tables(), intact));
    blocks.extend(tables::blocks(&mut inside, &folder.timing_tables(), intact));
    blocks.extend(figures::blocks(&mut inside));
    blocks.extend(gallery::blocks(&mut inside, most_pictures));
    let named = |text: &str| if text.trim().is_empty() { None } else { Some(text.to_owned()) };
    Section {
        title: named(&manifest.title).or_else(|| named(&manifest.experiment)).unwrap_or_else(|| name.clone()),
        id: name,
        paragraphs: named(&manifest.about).into_iter().collect(),
        blocks,
    }
}
