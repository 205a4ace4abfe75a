//! Arguments of `similarity`, `judge` and `duplicates`.

use std::path::PathBuf;

use clap::Args;
use memscope_judges::NamedPreprocessing;

/// Which judges look.
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// A folder of judges, names of published ones joined by + (memscope models fetch judges), or embedded; by default those
    /// of the program, where it has some.
    #[arg(long, value_name = "SRC")]
    pub(crate) judges: Option<String>,
    /// How the copy descriptor sees pictures, by default as its network is mostly used: membench288 (exactly 288 x 288),
    /// wen224 (short side 256, centre 224) or mixup320 (exactly 320 x 320).
    #[arg(long, value_name = "NAME", value_parser = preprocessing_names())]
    pub(crate) preprocessing: Option<NamedPreprocessing>,
}

/// Names of preprocessings, for completions and messages.
fn preprocessing_names() -> impl clap::builder::TypedValueParser<Value = NamedPreprocessing> {
    use clap::builder::TypedValueParser;
    clap::builder::PossibleValuesParser::new(NamedPreprocessing::ALL.map(NamedPreprocessing::name))
        .try_map(|name| name.parse::<NamedPreprocessing>())
}

/// Where rows about pictures go.
#[derive(Debug, Args)]
pub(crate) struct PictureOutput {
    /// Write the rows to a .csv, .parquet or .jsonl file.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace files that are there.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const SIMILARITY_HELP: &str = "\
Examples:\n  \
memscope similarity generated.png training.png --judges sscd-disc-large --preprocessing membench288\n  \
memscope similarity generated training --judges sscd-disc-mixup --maps maps --out nearest.csv\n  \
memscope similarity generated training --pixels --json\n\
Compares by the cosine of a copy descriptor's vectors, or with --pixels by the root mean square difference of pixels, which \
needs no weights and sees only pictures of the same size. A file is never compared with itself. Maps show each picture \
beside its nearest one, reddened where the similarity comes from.";

/// `memscope similarity`.
#[derive(Debug, Args)]
pub(crate) struct Similarity {
    /// A picture (.png, .jpg), or a folder of them.
    #[arg(value_name = "A")]
    pub(crate) first: PathBuf,
    /// Where the nearest is looked for: a picture, or a folder.
    #[arg(value_name = "B")]
    pub(crate) second: PathBuf,
    /// Which judges look.
    #[command(flatten)]
    pub(crate) judges: JudgeArgs,
    /// Compare pixels; no judge is needed.
    #[arg(long, conflicts_with_all = ["judges", "preprocessing", "maps"])]
    pub(crate) pixels: bool,
    /// What counts as a copy: a similarity above this (by default what the judge says of itself; 0.5 for the published ones), with
    /// --pixels an RMS of at most this (0.08).
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true)]
    pub(crate) threshold: Option<f64>,
    /// Draw where each picture is similar to its nearest one, into PNG files in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) maps: Option<PathBuf>,
    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: PictureOutput,
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|e| e.to_string())?;
    if number.is_finite() { Ok(number) } else { Err("it must be finite".into()) }
}

pub(super) const JUDGE_HELP: &str = "\
Examples:\n  \
memscope judge generated --judges clip-vit-l-14+aesthetic\n  \
memscope judge generated --judges sscd-disc-large+clip-vit-g-14+aesthetic --training training --out judged.parquet\n  \
memscope judge generated --prompts prompts.csv --json\n\
Prompts are those that the PNG files carry (Prompt as memscope writes it, parameters as web UIs do), or those of a table \
with the columns picture (or file) and prompt.";

/// `memscope judge`.
#[derive(Debug, Args)]
pub(crate) struct Judge {
    /// A folder of pictures, or one picture.
    pub(crate) folder: PathBuf,
    /// Which judges look.
    #[command(flatten)]
    pub(crate) judges: JudgeArgs,
    /// A table (.csv, .tsv, .jsonl, .json, .parquet) with the columns picture (or file) and prompt, in place of the
    /// prompts in the files.
    #[arg(long, value_name = "FILE")]
    pub(crate) prompts: Option<PathBuf>,
    /// Folder of training pictures, among which the most similar one is looked for.
    #[arg(long, value_name = "DIR")]
    pub(crate) training: Option<PathBuf>,
    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: PictureOutput,
}

pub(super) const DUPLICATES_HELP: &str = "\
Examples:\n  \
memscope duplicates training --judges sscd-disc-mixup --out duplicates.csv\n  \
memscope duplicates training --pixels --threshold 0.02 --json\n\
Pictures whose descriptors have a cosine of at least the threshold are near duplicates, and a chain of them is one group. \
Without a copy descriptor, or with --pixels, thumbnails of 16 x 16 pixels are compared: crops, mirrored and recoloured \
copies are not seen then.";

/// `memscope duplicates`.
#[derive(Debug, Args)]
pub(crate) struct Duplicates {
    /// The folder, sub-folders included.
    pub(crate) folder: PathBuf,
    /// Which judges look.
    #[command(flatten)]
    pub(crate) judges: JudgeArgs,
    /// Compare thumbnails; no judge is needed.
    #[arg(long, conflicts_with_all = ["judges", "preprocessing"])]
    pub(crate) pixels: bool,
    /// What counts as near: a cosine of at least this (0.75), with thumbnails an RMS of at most this (0.03).
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true)]
    pub(crate) threshold: Option<f64>,
    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: PictureOutput,
}
