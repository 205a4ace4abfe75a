//! Random tokens in the prompt (Somepalli et al. 2023; docs/spec/mitigation.md §5).

use memscope_metric::OwnCalls;
use memscope_model::{PromptTokenizer, Sampling, Tokens};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    method::{Changed, Mitigation, Subject},
};

/// What is put in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStyle {
    /// The text of a random token.
    #[default]
    Token,
    /// A whole number below 100,000.
    Number,
    /// One of the prompt's own words.
    Word,
}

/// Inserts tokens at random places between the words of a prompt. The draws depend on prompt and seed, not on the order
/// of the prompts as in the published code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomTokens {
    style: TokenStyle,
    insertions: usize,
}

/// Ids that the published code draws from.
const IDS: u64 = 49_400;
const NUMBERS: u64 = 100_000;

impl RandomTokens {
    /// So many of them; the published script has 1, its function 4.
    ///
    /// # Errors
    /// When there are none, or more than a prompt can hold.
    pub fn new(style: TokenStyle, insertions: usize) -> Result<Self> {
        match (1..=77).contains(&insertions) {
            true => Ok(Self { style, insertions }),
            false => Err(Error::setting("random_tokens", format!("insertions {insertions} must lie in 1..=77"))),
        }
    }

    /// The prompt with its insertions.
    pub fn changed(&self, prompt: &str, seed: u64, tokenizer: &PromptTokenizer) -> String {
        let mut hash = Sha256::new();
        for part in ["random tokens", &format!("{:?}", self.style), &seed.to_string(), prompt] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut rng = ChaCha12Rng::from_seed(hash.finalize().into());
        let mut below = |count: u64| ((u128::from(rng.next_u64()) * u128::from(count)) >> 64) as u64;
        let own: Vec<String> = prompt.split(' ').map(str::to_owned).collect();
        let mut words = own.clone();
        for _ in 0..self.insertions {
            let word = match self.style {
                TokenStyle::Number => below(NUMBERS).to_string(),
                TokenStyle::Word => own[below(own.len() as u64) as usize].clone(),
                TokenStyle::Token => {
                    let id = below(IDS.min(u64::from(tokenizer.largest_id()) + 1)) as u32;
                    tokenizer.token_texts(&Tokens { ids: vec![id], length: 1, cut: None }).concat()
                }
            };
            let place = below(words.len() as u64 + 1) as usize;
            words.insert(place, word);
        }
        words.join(" ")
    }
}

impl Mitigation for RandomTokens {
    fn name(&self) -> &'static str {
        "random_tokens"
    }

    fn id(&self) -> String {
        format!("random-tokens/{:?}/{}", self.style, self.insertions)
    }

    fn cost(&self, _: usize, _: Sampling) -> Vec<OwnCalls> {
        vec![]
    }

    fn apply(&self, subject: &Subject) -> Result<Changed> {
        let prompt = self.changed(subject.prompt, subject.seed, subject.model.tokenizer());
        let mut embeddings = subject.model.encode_prompts(&[&prompt])?;
        subject.model.release_text_encoders();
        let embedding = embeddings.pop().unwrap_or_else(|| subject.embedding.clone());
        Ok(Changed { prompt: Some(prompt), embedding, ..subject.unchanged() })
    }
}
