//! Models against the programs they come from, and what they say about files that are not as they should be.

mod common;
mod cost;
mod folders;
mod full_size;
mod layer_counts;
mod noise;
mod parity;
mod pickles;
mod sdxl;
mod text_fix;
mod tokenizer;
