//! An experiment file and overrides of any text.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| memscope_fuzz::overrides(bytes));
