//! Headwater.
mod failure;
mod source;
fn main() {}
