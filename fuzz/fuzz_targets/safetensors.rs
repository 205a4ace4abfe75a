//! A weight file of any bytes in a model folder.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| memscope_fuzz::safetensors(bytes));
