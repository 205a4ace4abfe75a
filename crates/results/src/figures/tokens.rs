//! Which tokens of a prompt matter: boxes of text, shaded by significance.

use serde::{Deserialize, Serialize};

use super::{
    Meta,
    check::{Check, FigureError},
};

/// Tokens of a prompt at most.
const MOST_TOKENS: usize = 1000;

/// One token and its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// The token's text, any Unicode.
    pub text: String,
    /// Its significance, in the figure's quantity.
    pub significance: f64,
}

/// The tokens of one prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRow {
    /// What stands above the row, such as the prompt's kind; may be empty.
    pub label: String,
    /// Tokens in order.
    pub tokens: Vec<Token>,
}

/// Prompts as strips of shaded tokens; long prompts continue on the next line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenStrip {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// What the numbers are, with the unit; label of the colour scale.
    pub quantity: String,
    /// One row per prompt.
    pub rows: Vec<TokenRow>,
}

impl TokenStrip {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.text("quantity", &self.quantity)?;
        check.parts("rows", &self.rows)?;
        for (index, row) in self.rows.iter().enumerate() {
            check.text(&format!("rows[{index}].label"), &row.label)?;
            check.filled(&format!("rows[{index}].tokens"), &row.tokens)?;
            check.at_most(&format!("rows[{index}].tokens"), row.tokens.len(), MOST_TOKENS)?;
            for token in &row.tokens {
                check.text(&format!("rows[{index}].tokens"), &token.text)?;
            }
            let values = row.tokens.iter().map(|token| token.significance);
            check.finite(&format!("rows[{index}].significance"), values)?;
        }
        Ok(())
    }
}
