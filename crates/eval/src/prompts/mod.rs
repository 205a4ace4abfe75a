//! Prompt lists: the embedded sets with their ground truth, the published lists, and files.

mod embedded;
mod file;
mod known;
mod source;
mod texts;

pub use embedded::EmbeddedSet;
pub(crate) use file::read_caption;
pub use file::{PromptFile, parse, published, read, read_file};
pub use known::{KnownPrompt, PromptList, Reproduction};
pub use source::{PromptSource, PromptSources};
pub use texts::{PromptRows, PromptTexts};
