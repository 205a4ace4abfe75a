//! Prompt lists: the embedded sets with their ground truth, the published lists, and files.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    path::{Path, PathBuf},
    result::Result as StdResult,
    str::FromStr,
    sync::Arc,
};

use memscope_frames::{Columns, Format, Table, prompt_column};
use memscope_hub::lists::PaperList;
use memscope_model::ModelSource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        self, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use crate::{
    error::{Error, Result},
    warning::Warning,
};

/// Where prompts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptSource {
    /// A set of the embedded models.
    Embedded(EmbeddedSet),
    /// A published list.
    Paper(PaperList),
    /// A file of the user.
    File(PathBuf),
}

/// A source as a map with one field, the long form of YAML.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TaggedSource {
    /// A set of the embedded models.
    Embedded(EmbeddedSet),
    /// A published list; `memscope data fetch paper` downloads it.
    Paper(PaperList),
    /// A file: one prompt a line, or a table (.csv, .tsv, .jsonl, .json, .parquet) with a column `prompt`, `caption` or
    /// `text`.
    File(PathBuf),
}

impl From<TaggedSource> for PromptSource {
    fn from(tagged: TaggedSource) -> Self {
        match tagged {
            TaggedSource::Embedded(set) => Self::Embedded(set),
            TaggedSource::Paper(list) => Self::Paper(list),
            TaggedSource::File(path) => Self::File(path),
        }
    }
}

impl FromStr for PromptSource {
    type Err = String;

    /// `embedded:SET` or `paper:LIST`.
    fn from_str(given: &str) -> StdResult<Self, String> {
        match given.split_once(':') {
            Some(("paper", list)) => list.parse().map(Self::Paper),
            Some(("embedded", set)) => match EmbeddedSet::ALL.iter().find(|known| known.to_string() == set) {
                Some(set) => Ok(Self::Embedded(*set)),
                None => Err(format!("there is no embedded set '{set}'")),
            },
            _ => Err(format!("'{given}' is no prompt source: write paper:LIST, embedded:SET or {{file: PATH}}")),
        }
    }
}

impl<'de> Deserialize<'de> for PromptSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> StdResult<Self, D::Error> {
        deserializer.deserialize_any(One)
    }
}

impl JsonSchema for PromptSource {
    fn schema_name() -> Cow<'static, str> {
        "PromptSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<TaggedSource>();
        json_schema!({
            "description": "Where prompts come from.",
            "anyOf": [long, {"type": "string", "pattern": "^(paper|embedded):"}]
        })
    }
}

/// The prompt sets that come with the embedded models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddedSet {
    /// Planted pairs that the model at hand reproduces verbatim in more than nine of ten draws.
    Verified,
    /// All planted pairs, at every duplication weight.
    Verbatim,
    /// Planted templates: a frozen foreground on varying backgrounds.
    Template,
    /// Ordinary captions the model was trained on.
    General,
    /// Captions the model never saw.
    Unseen,
}

impl EmbeddedSet {
    const ALL: &'static [Self] = &[Self::Verified, Self::Verbatim, Self::Template, Self::General, Self::Unseen];
}

/// One or several lists that together make a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSources(pub Vec<PromptSource>);

impl Serialize for PromptSources {
    fn serialize<S: Serializer>(&self, serializer: S) -> StdResult<S::Ok, S::Error> {
        match self.0.as_slice() {
            [single] => single.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PromptSources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> StdResult<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Reads a source: short, as a text, or long, as a map.
struct One;

impl<'de> Visitor<'de> for One {
    type Value = PromptSource;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("{embedded: SET}, {paper: LIST} or {file: PATH}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> StdResult<PromptSource, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> StdResult<PromptSource, A::Error> {
        TaggedSource::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
    }
}

/// Reads a source or a list of sources; keeps the place of errors, which an untagged enum would lose.
struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = PromptSources;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("{embedded: SET}, {paper: LIST}, {file: PATH} or a list of these")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> StdResult<PromptSources, E> {
        One.visit_str(text).map(|source| PromptSources(vec![source]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> StdResult<PromptSources, A::Error> {
        One.visit_map(map).map(|source| PromptSources(vec![source]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> StdResult<PromptSources, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(PromptSources)
    }
}

impl JsonSchema for PromptSources {
    fn schema_name() -> Cow<'static, str> {
        "PromptSources".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<PromptSource>();
        json_schema!({
            "description": "One list of prompts, or several that together make a class.",
            "anyOf": [one, {"type": "array", "items": one, "minItems": 1}]
        })
    }
}

/// A line of the embedded prompt list.
#[derive(Clone, Debug, Deserialize)]
struct EmbeddedPrompt {
    caption: String,
    set: EmbeddedSet,
    #[serde(default)]
    weight: Option<f64>,
    #[serde(default)]
    image: Option<String>,
}

/// A line of a model's generation record: what it draws for a planted prompt.
#[derive(Clone, Debug, Deserialize)]
struct Generation {
    caption: String,
    verified: bool,
    #[serde(flatten)]
    reproduction: Option<Reproduction>,
}

/// How often a model reproduces the training picture of a prompt: its graded truth.
///
/// The draws start from the noise `torch-cuda` in single precision, under the stated seeds, and are sampled with DDIM in
/// 50 steps and guidance 7.5 (docs/embedded-models.md).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Reproduction {
    /// Share of the draws that are the training picture, 0..=1.
    #[serde(rename = "reproduction_rate")]
    pub rate: f64,
    /// Its exact 95 % interval.
    pub interval: (f64, f64),
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Generations of each seed.
    pub generations: usize,
    /// 1 where a draw is the training picture, else 0; seeds in order, all generations of each.
    pub outcomes: Vec<u8>,
}

impl Reproduction {
    /// Whether the draw from one latent is the training picture; `None` where it was not drawn.
    pub fn outcome(&self, seed: u64, generation: usize) -> Option<bool> {
        let seed = self.seeds.iter().position(|known| *known == seed)?;
        let at = (generation < self.generations).then_some(seed * self.generations + generation)?;
        self.outcomes.get(at).map(|outcome| *outcome != 0)
    }
}

/// A prompt and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownPrompt {
    /// The prompt.
    pub text: Arc<str>,
    /// The list it comes from.
    pub set: Arc<str>,
    /// How often its picture was shown in training, relative to one ordinary picture.
    pub weight: Option<f64>,
    /// Whether the model reproduces the planted picture nearly always: in more than nine of ten draws.
    pub verified: Option<bool>,
    /// How often it does, and in which draws.
    pub reproduction: Option<Reproduction>,
    /// Its planted picture among the embedded files.
    pub image: Option<String>,
}

/// Prompts in order, each once, and what was noticed on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptList {
    /// The prompts.
    pub prompts: Vec<KnownPrompt>,
    /// Remarks.
    pub warnings: Vec<Warning>,
}

impl PromptList {
    /// The texts alone.
    pub fn into_texts(self) -> Vec<Arc<str>> {
        self.prompts.into_iter().map(|prompt| prompt.text).collect()
    }

    /// The prompts as texts.
    pub fn texts(&self) -> Vec<String> {
        self.prompts.iter().map(|prompt| prompt.text.to_string()).collect()
    }
}

impl PromptSources {
    /// The prompts for a model, lists one after the other; a prompt that an earlier list has counts there.
    pub fn load(&self, model: &ModelSource) -> Result<PromptList> {
        let mut all = PromptList::default();
        for source in &self.0 {
            let list = source.load(model)?;
            all.warnings.extend(list.warnings);
            let mut seen: HashSet<Arc<str>> = all.prompts.iter().map(|prompt| prompt.text.clone()).collect();
            all.prompts.extend(list.prompts.into_iter().filter(|prompt| seen.insert(prompt.text.clone())));
        }
        Ok(all)
    }
}

impl fmt::Display for PromptSources {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(" + "))
    }
}

impl PromptSource {
    /// A source named on the command line: `embedded:SET`, `paper:LIST`, or a file.
    ///
    /// # Errors
    /// A set or list that there is not.
    pub fn of_argument(given: &str) -> StdResult<Self, String> {
        match given.starts_with("paper:") || given.starts_with("embedded:") {
            true => given.parse(),
            false => Ok(Self::File(given.into())),
        }
    }

    /// The prompts for a model: `verified` depends on what that model draws.
    pub fn load(&self, model: &ModelSource) -> Result<PromptList> {
        match self {
            Self::Embedded(set) => embedded(*set, model),
            Self::Paper(list) => Ok(published(*list, None)?.list),
            Self::File(path) => read(path),
        }
    }
}

impl fmt::Display for PromptSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Embedded(set) => write!(f, "embedded:{set}"),
            Self::Paper(list) => list.fmt(f),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for EmbeddedSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::Verbatim => "verbatim",
            Self::Template => "template",
            Self::General => "general",
            Self::Unseen => "unseen",
        })
    }
}

fn embedded(set: EmbeddedSet, model: &ModelSource) -> Result<PromptList> {
    let generations = match model {
        ModelSource::Embedded(name) => generations(name)?,
        other if set == EmbeddedSet::Verified => {
            return Err(Error::Prompts {
                file: "embedded: verified".into(),
                reason: format!("nobody has checked what {other} draws; give a file with its memorized prompts"),
            });
        }
        _ => vec![],
    };
    let lines: Vec<EmbeddedPrompt> = embedded_lines("prompts.jsonl", memscope_embedded::shared_file("prompts.jsonl"))?;
    let listed = if set == EmbeddedSet::Verified { EmbeddedSet::Verbatim } else { set };
    let known: HashMap<&str, &Generation> = generations.iter().map(|line| (line.caption.as_str(), line)).collect();
    let of = |caption: &str| known.get(caption).copied();
    let name: Arc<str> = set.to_string().into();
    let known = lines.into_iter().filter(|line| line.set == listed).map(|line| KnownPrompt {
        verified: of(&line.caption).map(|line| line.verified),
        reproduction: of(&line.caption).and_then(|line| line.reproduction.clone()),
        text: line.caption.into(),
        set: name.clone(),
        weight: line.weight,
        image: line.image,
    });
    let prompts = known.filter(|prompt| set != EmbeddedSet::Verified || prompt.verified == Some(true)).collect();
    Ok(PromptList { prompts, warnings: vec![] })
}

fn generations(model: &str) -> Result<Vec<Generation>> {
    let file = format!("{model}/generations.jsonl");
    embedded_lines(&file, memscope_embedded::shared_file(&file))
}

fn embedded_lines<T: for<'a> Deserialize<'a>>(file: &str, bytes: Option<&[u8]>) -> Result<Vec<T>> {
    let fail = |reason: String| Error::Prompts { file: format!("embedded {file}"), reason };
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(|| fail("is missing".into()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|e| fail(e.to_string()))).collect()
}

/// A published list that was downloaded.
///
/// # Errors
/// The list is not in the cache or not the published one, or has no such column.
pub fn published(list: PaperList, column: Option<&str>) -> Result<PromptFile> {
    let table = memscope_frames::read_bytes(&list.to_string(), &list.read()?, Format::of(list.file())?)?;
    from_table(table, column)
}

/// A prompt file: its prompts, and all its columns in their order.
#[derive(Clone, Debug)]
pub struct PromptFile {
    /// The prompts, each once.
    pub list: PromptList,
    /// The file as it was read.
    pub table: Table,
    /// For every row of the table, the position of its prompt in the list; `None` for a blank one.
    pub rows: Vec<Option<usize>>,
}

/// The prompts of a file: a table with a column `prompt`, `caption` or `text`, or the one named, in the form that the
/// file's name says; or a text with one prompt a line.
///
/// # Errors
/// The file cannot be read in its form, has no such column or several, or holds no prompt.
pub fn read_file(path: &Path, column: Option<&str>) -> Result<PromptFile> {
    from_table(memscope_frames::read_table(path, Columns::All)?, column)
}

/// As [`read_file`], without a column's name.
///
/// # Errors
/// As [`read_file`].
pub fn read(path: &Path) -> Result<PromptList> {
    Ok(read_file(path, None)?.list)
}

/// Reads a prompt list from memory: UTF-8, one prompt a line, surrounding whitespace removed. Blank lines are skipped
/// and repeated prompts count once, both with a warning. A missing final newline loses nothing.
///
/// # Errors
/// The bytes are no text, or hold no prompt.
pub fn parse(file: &str, bytes: &[u8]) -> Result<PromptFile> {
    from_table(memscope_frames::read_bytes(file, bytes, Format::Lines)?, None)
}

/// The caption of a picture in a text file of its own: one prompt, whose lines count as one.
///
/// # Errors
/// The file is not there, too long, or no text.
pub(crate) fn read_caption(path: &Path) -> Result<String> {
    const LIMIT: u64 = 1 << 16;
    let bytes = memscope_results::files::read_file(path, LIMIT)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.split_whitespace().collect::<Vec<_>>().join(" ")),
        Err(_) => Err(Error::Prompts {
            file: path.display().to_string(),
            reason: "is not UTF-8; save the file as UTF-8".into(),
        }),
    }
}

/// The field of published lists that names a prompt's group.
const GROUP: &str = "overfit_type";

fn from_table(table: Table, column: Option<&str>) -> Result<PromptFile> {
    let file = table.file.clone();
    let texts = prompt_column(&table, column)?;
    let groups = table.columns.iter().find(|column| column.name == GROUP);
    let whole: Arc<str> = file.as_str().into();
    let mut place_of: HashMap<&str, usize> = HashMap::new();
    // The rows of prompts that come again.
    let mut repeated: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut first_row: Vec<usize> = vec![];
    let mut prompts = vec![];
    let mut rows = vec![];
    for (row, text) in texts.iter().enumerate() {
        let Some(prompt) = text.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty()) else {
            rows.push(None);
            continue;
        };
        let at = *place_of.entry(prompt).or_insert_with(|| {
            let group = groups.and_then(|groups| groups.cells[row].text());
            prompts.push(KnownPrompt {
                text: prompt.into(),
                set: group.map_or_else(|| whole.clone(), |group| format!("{file} {group}").into()),
                weight: None,
                verified: None,
                reproduction: None,
                image: None,
            });
            first_row.push(row + 1);
            prompts.len() - 1
        });
        if first_row[at] != row + 1 {
            repeated.entry(at).or_insert_with(|| vec![first_row[at]]).push(row + 1);
        }
        rows.push(Some(at));
    }
    if prompts.is_empty() {
        return Err(Error::Prompts { file, reason: "holds no prompt; write one prompt a line".into() });
    }
    let mut warnings = vec![];
    let blank = rows.iter().filter(|row| row.is_none()).count();
    if blank > 0 {
        warnings.push(Warning::BlankLines { list: file.clone(), count: blank });
    }
    warnings.extend(repeated.into_iter().map(|(at, lines)| Warning::DuplicatePrompt {
        list: file.clone(),
        prompt: prompts[at].text.to_string(),
        lines,
    }));
    Ok(PromptFile { list: PromptList { prompts, warnings }, table, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_and_markup() {
        let list = parse("p.txt", "  <i>Mothers</i> 15\u{2032} \nsecond\n\n<i>Mothers</i> 15\u{2032}\nlast".as_bytes())
            .unwrap()
            .list;
        assert_eq!(list.texts(), ["<i>Mothers</i> 15\u{2032}", "second", "last"]);
        assert_eq!(list.warnings[0], Warning::BlankLines { list: "p.txt".into(), count: 1 });
        assert!(matches!(&list.warnings[1], Warning::DuplicatePrompt { lines, .. } if lines == &[1, 4]));
    }

    #[test]
    fn sources_have_a_long_and_a_short_form() {
        let read = |yaml: &str| serde_yaml::from_str::<PromptSources>(yaml);
        let long = read("[{paper: sd1_mem}, {embedded: general}]").unwrap();
        assert_eq!(read("['paper:sd1_mem', embedded:general]").unwrap(), long);
        assert_eq!(long.to_string(), "paper:sd1_mem + embedded:general");
        assert_eq!(read("paper:sd1_mem").unwrap().0, [PromptSource::Paper(PaperList::Sd1Mem)]);
        assert_eq!(serde_json::to_string(&long.0[0]).unwrap(), r#"{"paper":"sd1_mem"}"#);
        for (wrong, word) in
            [("paper:sd3", "sd1_nmem"), ("embedded:x", "'x'"), ("p.txt", "{file: PATH}"), ("{paper: x}", "x")]
        {
            let message = read(wrong).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn groups_of_a_list_are_sets() {
        let json = b"{\"caption\": \"a\", \"overfit_type\": \"TV\"}\n{\"caption\": \"b\", \"overfit_type\": \"MV\"}";
        let table = memscope_frames::read_bytes("l", json, Format::JsonLines).unwrap();
        let list = from_table(table, None).unwrap().list;
        assert_eq!(list.prompts.iter().map(|p| &*p.set).collect::<Vec<_>>(), ["l TV", "l MV"]);
    }

    #[test]
    fn unusable_lists_say_why() {
        let empty = parse("p.txt", b"\n  \n").unwrap_err().to_string();
        assert_eq!(empty, "p.txt: holds no prompt; write one prompt a line");
        let latin1 = parse("p.txt", b"one\ncaf\xe9\n").unwrap_err().to_string();
        assert_eq!(latin1, "p.txt: line 2 is not UTF-8; save the file as UTF-8");
    }
}
