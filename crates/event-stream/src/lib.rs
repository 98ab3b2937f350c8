#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod decoder;
mod encoder;
mod field;
mod item;
mod limits;
mod utf8;

pub use decoder::Decoder;
pub use encoder::{
    EncodeError, EventFields, encode, encode_comment, encoded_len, validate_event_type, validate_id,
};
pub use item::{Event, Item};
pub use limits::{DecodeError, Limits};
