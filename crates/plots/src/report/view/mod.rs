//! What the templates need beyond the report itself: ids, links between notes and cells, data URIs.

mod ids;
mod table;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use table::TableView;

pub(super) use ids::Ids;

use super::svg::inline;
use super::{
    Block, ContactSheet, Finding, ImageRole, PromptList, ReportError, ReportFigure, Section, SheetImage, SheetRow,
    Source,
};
use crate::thumbnail::media_type;

/// Lists longer than this are folded.
const OPEN_PROMPTS: usize = 12;

pub(super) struct SectionView<'a> {
    pub(super) id: String,
    pub(super) section: &'a Section,
    pub(super) blocks: Vec<BlockView<'a>>,
}

/// Findings about the same numbers.
pub(super) struct FindingsView<'a> {
    pub(super) from: &'a str,
    pub(super) findings: Vec<FindingView<'a>>,
}

impl<'a> FindingsView<'a> {
    /// The findings in their order, a group for each stretch about the same numbers.
    pub(super) fn groups(findings: &'a [Finding], sections: &[SectionView<'a>]) -> Vec<Self> {
        let stretches = findings.chunk_by(|a, b| a.from == b.from);
        let view = |finding| FindingView::new(finding, sections);
        stretches.map(|same| Self { from: &same[0].from, findings: same.iter().map(view).collect() }).collect()
    }
}

pub(super) struct FindingView<'a> {
    pub(super) text: &'a str,
    pub(super) name: &'a str,
    /// Title and id of what is behind it.
    pub(super) link: Option<(&'a str, String)>,
    /// The model whose prompts it leads to.
    pub(super) model: Option<&'a str>,
}

impl<'a> FindingView<'a> {
    pub(super) fn new(finding: &'a Finding, sections: &[SectionView<'a>]) -> Self {
        let tables = sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
            BlockView::Table(view) => Some(view),
            _ => None,
        });
        let (name, link, model) = match &finding.source {
            Source::Table(name) => {
                let mut tables = tables.filter(|view| view.table.name == *name);
                (name.as_str(), tables.next().map(|view| (view.table.title.as_str(), view.id.clone())), None)
            }
            Source::Prompts(model) => {
                ("all prompts", Some(("All prompts", "prompts".to_owned())), Some(model.as_str()))
            }
        };
        Self { text: &finding.text, name, link, model }
    }
}

pub(super) enum BlockView<'a> {
    Table(TableView<'a>),
    Figure(FigureView<'a>),
    Sheet(SheetView<'a>),
    Prompts(PromptsView<'a>),
    Notice(&'a str),
}

pub(super) struct FigureView<'a> {
    pub(super) id: String,
    pub(super) figure: &'a ReportFigure,
    pub(super) light: String,
    pub(super) dark: Option<String>,
}

pub(super) struct SheetView<'a> {
    pub(super) id: String,
    pub(super) sheet: &'a ContactSheet,
    pub(super) rows: Vec<(&'a SheetRow, Vec<ImageView<'a>>)>,
}

pub(super) struct ImageView<'a> {
    pub(super) image: &'a SheetImage,
    pub(super) media_type: &'static str,
    pub(super) base64: String,
}

pub(super) struct PromptsView<'a> {
    pub(super) id: String,
    pub(super) list: &'a PromptList,
}

impl<'a> SectionView<'a> {
    pub(super) fn new(section: &'a Section, ids: &mut Ids) -> Result<Self, ReportError> {
        let id = ids.unique(&section.id);
        let blocks = section.blocks.iter().map(|block| BlockView::new(block, ids)).collect::<Result<_, _>>()?;
        Ok(Self { id, section, blocks })
    }
}

impl<'a> BlockView<'a> {
    fn new(block: &'a Block, ids: &mut Ids) -> Result<Self, ReportError> {
        Ok(match block {
            Block::Table(table) => Self::Table(TableView::new(table, ids)?),
            Block::Figure(figure) => Self::Figure(FigureView::new(figure, ids)),
            Block::Sheet(sheet) => Self::Sheet(SheetView::new(sheet, ids)),
            Block::Prompts(list) => {
                Self::Prompts(PromptsView { id: ids.unique(&format!("prompts {}", list.title)), list })
            }
            Block::Notice(text) => Self::Notice(text),
        })
    }

    /// Id and heading, for the table of contents.
    pub(super) fn entry(&self) -> Option<(&str, &str)> {
        match self {
            Self::Table(view) => Some((&view.id, &view.table.title)),
            Self::Figure(view) => Some((&view.id, &view.figure.title)),
            Self::Sheet(view) => Some((&view.id, &view.sheet.title)),
            Self::Prompts(view) => Some((&view.id, &view.list.title)),
            Self::Notice(_) => None,
        }
    }
}

impl<'a> FigureView<'a> {
    fn new(figure: &'a ReportFigure, ids: &mut Ids) -> Self {
        let id = ids.unique(&format!("figure {}", figure.name));
        let light = inline(&figure.svg_light, &format!("{id}--light--"));
        let dark = figure.svg_dark.as_deref().map(|svg| inline(svg, &format!("{id}--dark--")));
        Self { id, figure, light, dark }
    }
}

impl<'a> SheetView<'a> {
    fn new(sheet: &'a ContactSheet, ids: &mut Ids) -> Self {
        let rows = sheet.rows.iter().map(|row| (row, row.images.iter().map(ImageView::new).collect())).collect();
        Self { id: ids.unique(&format!("sheet {}", sheet.title)), sheet, rows }
    }
}

impl<'a> ImageView<'a> {
    fn new(image: &'a SheetImage) -> Self {
        Self { image, media_type: media_type(&image.file), base64: STANDARD.encode(&image.file) }
    }

    pub(super) fn is_truth(&self) -> bool {
        matches!(self.image.role, ImageRole::Truth(_))
    }
}

impl PromptsView<'_> {
    pub(super) fn is_long(&self) -> bool {
        self.list.prompts.len() > OPEN_PROMPTS
    }
}
