//! The files of a tokenizer, of any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| memscope_fuzz::folders::tokenizers(bytes));
