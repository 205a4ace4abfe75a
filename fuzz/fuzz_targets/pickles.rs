//! A weight file of any bytes, where torch.save's is expected, in a model folder.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| memscope_fuzz::pickles(bytes));
