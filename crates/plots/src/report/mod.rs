//! The HTML report: one file that holds everything it shows and asks nothing of the network.
//!
//! A caller fills in the plain structs of this module and calls [`Report::to_html`]. Every text is escaped, so prompts
//! may contain anything; only the drawings of [`ReportFigure`] are inserted as they are.

mod error;
mod page;
mod svg;
mod view;

pub use error::ReportError;

/// Everything one page shows, top to bottom.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Heading and window title.
    pub title: String,
    /// The program that made the results.
    pub generated_by: Generator,
    /// When and where the results were made, in words, shown behind the program's version.
    pub made: Vec<String>,
    /// What a reader must know before anything else, one short paragraph each.
    pub summary: Vec<String>,
    /// What the numbers say, one sentence each, shown first.
    pub findings: Vec<Finding>,
    /// Every prompt with its scores, to be searched and sorted; not shown if `None`.
    pub prompts: Option<PromptBrowser>,
    /// The body.
    pub sections: Vec<Section>,
    /// Settings that differ from the paper or from its code.
    pub differences: Vec<Difference>,
    /// Terms and what they mean.
    pub glossary: Vec<(String, String)>,
    /// Where the numbers come from: key and value, in the order to show. A value may have several lines.
    pub provenance: Vec<(String, String)>,
    /// Other pages about the results.
    pub links: Vec<Link>,
    /// The command that makes the whole report again; not shown if empty.
    pub command: String,
}

/// A link to a page beside this one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// What is shown.
    pub text: String,
    /// Where it leads: a relative path, encoded.
    pub href: String,
}

/// A sentence about the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The sentence.
    pub text: String,
    /// Which numbers it is about, a heading over the sentences of the same.
    pub from: String,
    /// What it was read off; the sentence links to it.
    pub source: Source,
}

/// A part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The [`ReportTable`] of this name.
    Table(String),
    /// The list of all prompts, those of this model.
    Prompts(String),
}

/// Every prompt of an experiment with its scores.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PromptBrowser {
    /// What is listed.
    pub title: String,
    /// The prompts, model by model.
    pub models: Vec<memscope_results::prompts::ModelPrompts>,
}

/// The program that made the results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Generator {
    /// Version, e.g. `0.1.0`.
    pub version: String,
    /// Git commit, if known.
    pub commit: Option<String>,
}

/// A setting that differs from the paper or from its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Name of the option, e.g. `t_cos`.
    pub option: String,
    /// Its value in these results.
    pub value: String,
    /// What the paper says and what its code does.
    pub remark: String,
}

/// One chapter, listed in the table of contents.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    /// What links point to. Made an HTML id in lower case, and unique by a number behind it.
    pub id: String,
    /// Heading.
    pub title: String,
    /// Plain text in front of the blocks.
    pub paragraphs: Vec<String>,
    /// Tables, figures and so on, in the order to show.
    pub blocks: Vec<Block>,
}

/// One thing a section shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A table of numbers.
    Table(ReportTable),
    /// A drawing.
    Figure(ReportFigure),
    /// Rows of images side by side.
    Sheet(ContactSheet),
    /// A list of prompts.
    Prompts(PromptList),
    /// Something a reader must know about what follows, such as a file that was changed after the run.
    Notice(String),
}

/// A table of numbers with its footnotes and its origin.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportTable {
    /// Short name, what links point to.
    pub name: String,
    /// Caption.
    pub title: String,
    /// Columns, left to right.
    pub columns: Vec<ReportColumn>,
    /// Rows, top to bottom, one cell per column.
    pub rows: Vec<Vec<ReportCell>>,
    /// Footnotes: mark and text.
    pub notes: Vec<(String, String)>,
    /// Where the numbers come from: key and value.
    pub provenance: Vec<(String, String)>,
    /// The command that makes the table again; not shown if empty.
    pub command: String,
}

/// A column of a [`ReportTable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportColumn {
    /// Heading.
    pub label: String,
    /// What its cells hold.
    pub content: ColumnContent,
    /// Who says what its cells say.
    pub source: ColumnSource,
    /// Whether it is a detail, shown on demand.
    pub detail: bool,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnContent {
    /// Words: left-aligned, wrapped.
    Text,
    /// Numbers: right-aligned, digits below digits.
    Number,
}

/// Who says what a column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnSource {
    /// This run, or a label of it.
    Run,
    /// The paper, for comparison; set off by colour and by the word "paper" in the heading.
    Paper,
}

/// A cell of a [`ReportTable`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportCell {
    /// What is shown. A missing cell without text shows a dash.
    pub text: String,
    /// The spread behind it, shown on demand.
    pub spread: String,
    /// What the column is sorted by; the text if `None` or not finite.
    pub sort: Option<f64>,
    /// Marks of footnotes, shown raised behind the text.
    pub marks: Vec<String>,
    /// Whether there is no value; such cells are greyed and sorted last.
    pub missing: bool,
}

/// A drawing with its caption and the command that made it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReportFigure {
    /// Short name, what links point to.
    pub name: String,
    /// Heading.
    pub title: String,
    /// An SVG document that this program drew: it is inserted as it is, but for its prolog, comments and ids.
    pub svg_light: String,
    /// The same drawing for a dark background; without it the light one stands on white.
    pub svg_dark: Option<String>,
    /// What the drawing says, for those who do not see it.
    pub alt: String,
    /// Caption, one paragraph each.
    pub caption: Vec<String>,
    /// The command that makes the figure again; not shown if empty.
    pub command: String,
}

/// Rows of images side by side: what was trained on, and what is generated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactSheet {
    /// Heading.
    pub title: String,
    /// Rows, top to bottom.
    pub rows: Vec<SheetRow>,
}

/// One prompt of a [`ContactSheet`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SheetRow {
    /// The prompt or what else names the row.
    pub caption: String,
    /// What is to be known about it, e.g. `memorized, 64 copies`; not shown if empty.
    pub label: String,
    /// Images, left to right.
    pub images: Vec<SheetImage>,
}

/// One image of a [`SheetRow`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetImage {
    /// The image as a PNG or JPEG file.
    pub file: Vec<u8>,
    /// What it shows, for those who do not see it.
    pub alt: String,
    /// What it is in the row.
    pub role: ImageRole,
}

/// What an image is in its row; the text stands below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageRole {
    /// Ground truth, e.g. `training image`; set off by its frame.
    Truth(String),
    /// Made by the model, e.g. `seed 42`.
    Generated(String),
}

impl ImageRole {
    /// The text below the image.
    pub fn text(&self) -> &str {
        match self {
            Self::Truth(text) | Self::Generated(text) => text,
        }
    }
}

/// A list of prompts, folded if it is long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptList {
    /// Heading.
    pub title: String,
    /// The prompts, shown with every space they have.
    pub prompts: Vec<String>,
}

impl Report {
    /// The page as one HTML document. The same report gives the same bytes.
    ///
    /// # Errors
    /// When a row of a table does not have one cell per column.
    pub fn to_html(&self) -> Result<String, ReportError> {
        page::render(self)
    }
}
