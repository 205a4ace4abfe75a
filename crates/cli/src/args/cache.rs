//! What is kept in the caches: models, judges, prompt lists.

use clap::{Args, Subcommand};
use memscope_judges::{PUBLISHED_JUDGES, PublishedJudge};
use memscope_model::{Lora, ModelSource, Variant};

use super::{FileArgs, SizeArgs};

/// `memscope models`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Models {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// What to do instead of listing.
    #[command(subcommand)]
    pub(crate) action: Option<ModelsAction>,
}

/// `memscope models ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsAction {
    /// Say what a model is: architecture, parameters, number formats, prediction type, schedule, tensors that are not
    /// used, and whether it can be run; exit code 4 if not.
    Inspect {
        /// What --model takes: a folder, a checkpoint file, embedded:NAME or the id of a downloaded model.
        model: ModelSource,
        /// Variant of the weight files.
        #[arg(long, value_name = "NAME")]
        variant: Option<Variant>,
        /// LoRA file merged into the weights, times SCALE; may be repeated.
        #[arg(long = "lora", value_name = "FILE[:SCALE]")]
        loras: Vec<Lora>,
        /// How a checkpoint file is read.
        #[command(flatten)]
        file: FileArgs,
        /// What SDXL is told of a picture.
        #[command(flatten)]
        sizes: SizeArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download what a model of the Hub, or a set of judges, lacks in the cache, or go on with it; prints its folder.
    #[command(after_help = FETCH_HELP)]
    Fetch {
        /// sd14, sd20, rv51, or a Hub id, owner/name[@revision]; judges for published judges of pictures.
        model: FetchTarget,
        /// judges: which of them, at most one each for copy similarity, alignment and quality; may be repeated. By default
        /// sscd-disc-large, clip-vit-l-14 and aesthetic.
        #[arg(long = "judge", value_name = "NAME", value_parser = judge_names())]
        judges: Vec<String>,
        /// Variant of the weight files, e.g. fp16 for *.fp16.safetensors; by default those without one.
        #[arg(long, value_name = "NAME")]
        variant: Option<Variant>,
    },
    /// Hash the files of a cached model again and compare them with what the Hub announced; needs no network.
    #[command(after_help = VERIFY_HELP)]
    Verify {
        /// sd14, sd20, rv51, or a Hub id, owner/name[@revision]; by default every model that memscope downloaded.
        model: Option<ModelSource>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

const VERIFY_HELP: &str = "\
The hashes are those that the Hub announced at the download; of files that another program downloaded, those that their \
blobs are named by. What is damaged is downloaded again by `memscope models fetch`. Exit code 4 if anything is damaged \
or missing.";

/// What `memscope models fetch` brings.
#[derive(Clone, Debug)]
pub(crate) enum FetchTarget {
    /// Published judges.
    Judges,
    /// A model.
    Model(ModelSource),
}

impl std::str::FromStr for FetchTarget {
    type Err = memscope_model::Error;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        if given == "judges" { Ok(Self::Judges) } else { given.parse().map(Self::Model) }
    }
}

/// Names of published judges, for completions and messages.
fn judge_names() -> clap::builder::PossibleValuesParser {
    let value = |judge: &PublishedJudge| clap::builder::PossibleValue::new(judge.name).help(judge.description);
    clap::builder::PossibleValuesParser::new(PUBLISHED_JUDGES.iter().map(value).collect::<Vec<_>>())
}

const FETCH_HELP: &str = "\
Examples:\n  \
memscope models fetch sd14\n  \
memscope models fetch judges\n  \
memscope models fetch judges --judge sscd-disc-large --judge clip-vit-g-14 --judge aesthetic    # as MemBench\n\
Judges from the Hub lie in its cache, the others in MEMSCOPE_CACHE; the printed folder links to both and is what \
--judges takes. Where no hash was published, that of the first download is printed and kept.\n\
Environment: HF_TOKEN (gated and private models), HF_HOME or HF_HUB_CACHE (where the cache is), HF_ENDPOINT (a mirror \
of the Hub), HF_HUB_OFFLINE=1 (no network), HTTPS_PROXY, SSL_CERT_FILE; MEMSCOPE_SD14, MEMSCOPE_SD20, MEMSCOPE_RV51 \
(another source for the short name); MEMSCOPE_CACHE; MEMSCOPE_JUDGES_URL (a mirror of the judges that are not on the Hub).";

/// `memscope data`.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// List the published prompt lists, their origin and whether they are there.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download a set of prompt lists at pinned commits, checked by SHA-256; prints where they are.
    #[command(after_help = DATA_VARIABLES)]
    Fetch {
        /// The set: paper has the paper's lists and those of the methods it compares with.
        set: DataSet,
    },
}

const DATA_VARIABLES: &str = "\
Experiments name the lists paper:LIST. They are published without a clear licence and are no part of memscope.\n\
Environment: MEMSCOPE_CACHE (where they are kept; by default memscope in the platform's cache folder), \
MEMSCOPE_LISTS_URL (in place of https://raw.githubusercontent.com), HTTPS_PROXY, SSL_CERT_FILE.";

/// A set of prompt lists.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum DataSet {
    /// The paper's and its baselines' lists.
    Paper,
}
