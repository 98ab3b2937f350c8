//! Any bytes, cut anywhere, give what the standard says.

#![no_main]

#[path = "../../tests/checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|stream: &[u8]| checks::check_decode(stream));
