//! The files of judges, of any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| memscope_fuzz::folders::judges(bytes));
