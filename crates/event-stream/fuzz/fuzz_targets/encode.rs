//! Any fields arrive as they were, or are refused.

#![no_main]

#[path = "../../tests/checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::check_encode_bytes(bytes));
