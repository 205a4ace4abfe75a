//! A table with any text in every place that takes text, in every format.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| memscope_fuzz::export(bytes));
