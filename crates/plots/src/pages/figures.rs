//! Figures of the page, drawn anew from their numbers: no markup of the folder gets into it.

use std::path::Path;

use memscope_results::{
    Folder,
    figures::{FigureFile, LIMIT},
};

use super::inside::Inside;
use crate::{
    Error, Figure, Theme,
    report::{Block, ReportFigure},
};

/// The figures of an experiment.
pub(super) fn blocks(inside: &mut Inside) -> Vec<Block> {
    let mut blocks = vec![];
    for path in Folder::files(&inside.folder.figures(), ".json") {
        match drawn(inside, &path) {
            Ok((figure, remark)) => {
                blocks.extend(remark);
                blocks.push(Block::Figure(figure));
            }
            Err(error) => blocks.push(inside.notice(&error.to_string())),
        }
    }
    blocks
}

fn drawn(inside: &mut Inside, path: &Path) -> Result<(ReportFigure, Option<Block>), Error> {
    let (bytes, remark) = inside.read(path, LIMIT)?;
    let FigureFile { command, figure, .. } = FigureFile::parse(path, &bytes)?;
    // The small print stands beside the drawing, once.
    let caption = figure.caption().to_vec();
    let figure = figure.without_caption();
    let shown = ReportFigure {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        title: figure.alt().to_owned(),
        svg_light: figure.svg(Theme::Light)?,
        svg_dark: Some(figure.svg(Theme::Dark)?),
        alt: figure.alt().to_owned(),
        caption,
        command,
    };
    Ok((shown, remark))
}
