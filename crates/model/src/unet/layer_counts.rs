//! How many layers the transformers of a network have, block by block.

use serde_json::Value;

use crate::{config::Config, error::Result};

// A bound beyond any real network.
const MOST: usize = 64;

const DOWN: &str = "transformer_layers_per_block";
const UP: &str = "reverse_transformer_layers_per_block";

/// Transformer layers by block, each in forward order: one number for each transformer of a block.
pub(super) struct LayerCounts {
    pub(super) down: Vec<Vec<usize>>,
    pub(super) mid: usize,
    /// From the deepest block to the highest resolution.
    pub(super) up: Vec<Vec<usize>>,
}

impl LayerCounts {
    /// `down`, `mid` and `up`: for each block in forward order, how many transformers it has.
    pub(super) fn read(config: &Config, down: &[usize], mid: usize, up: &[usize]) -> Result<Self> {
        let one = Value::from(1);
        let entries = |field: &str| -> Result<Vec<Value>> {
            match config.get(field) {
                Some(Value::Array(entries)) if entries.len() == down.len() => Ok(entries.clone()),
                Some(Value::Array(_)) => {
                    let expected =
                        format!("must be one number or as many entries as block_out_channels ({})", down.len());
                    Err(config.invalid(field, expected))
                }
                other => Ok(vec![other.unwrap_or(&one).clone(); down.len()]),
            }
        };
        let of_down = entries(DOWN)?;
        let up_field = if config.get(UP).is_some() { UP } else { DOWN };
        let of_up = if up_field == UP { entries(UP)? } else { of_down.iter().rev().cloned().collect() };
        if up_field == DOWN && of_down.iter().any(Value::is_array) {
            return Err(config.invalid(DOWN, format!("with lists inside needs {UP}")));
        }
        let counts = |field: &str, entries: &mut dyn Iterator<Item = (&Value, &usize)>| -> Result<Vec<Vec<usize>>> {
            entries.map(|(entry, transformers)| counts_of_block(config, field, entry, *transformers)).collect()
        };
        // The middle block takes the deepest entry, the first of a list.
        let mid = counts_of_block(config, DOWN, of_down.last().unwrap_or(&one), mid)?;
        Ok(Self {
            down: counts(DOWN, &mut of_down.iter().zip(down))?,
            mid: mid.first().copied().unwrap_or(1),
            up: counts(up_field, &mut of_up.iter().zip(up))?,
        })
    }
}

/// Of a block without transformers nothing is read.
fn counts_of_block(config: &Config, field: &str, entry: &Value, transformers: usize) -> Result<Vec<usize>> {
    match entry {
        _ if transformers == 0 => Ok(vec![]),
        Value::Array(counts) if counts.len() >= transformers => {
            counts[..transformers].iter().map(|count| config.within(field, count, MOST)).collect()
        }
        Value::Array(counts) => {
            Err(config
                .invalid(field, format!("has {} entries for a block with {transformers} transformers", counts.len())))
        }
        count => Ok(vec![config.within(field, count, MOST)?; transformers]),
    }
}
