//! Generated event ids: positions in the log, sealed.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::position::{Epoch, Offset, Position};

/// Seals positions into event ids and opens them again.
///
/// A generated id is `#` and 22 base64url characters: one AES block of version, epoch, offset and a
/// check. It is opaque, cannot be guessed, and is opened in constant time without an index. The key is
/// kept with the log and shared by all nodes.
#[derive(Clone)]
pub struct IdKey(Aes128);

/// What [`IdKey::open`] found in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenedId {
    /// An id that was sealed with this key.
    Position(Position),
    /// It has the first character of a generated id, but was not sealed with this key.
    Foreign,
    /// Not a generated id; it may be a publisher's.
    NotGenerated,
}

const VERSION: u8 = 1;
const CHECK: [u8; 3] = *b"hwl";

impl IdKey {
    /// The length of every generated id, in bytes.
    pub const ID_BYTES: usize = 23;

    /// A key from 16 random bytes.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(Aes128::new(&key.into()))
    }

    /// The id of a position. One AES block, about 50 ns.
    #[must_use]
    pub fn seal(&self, position: Position) -> String {
        let mut block = [0; 16];
        block[0] = VERSION;
        block[1..5].copy_from_slice(&position.epoch.get().to_be_bytes());
        block[5..13].copy_from_slice(&position.offset.get().to_be_bytes());
        block[13..].copy_from_slice(&CHECK);
        let mut block = block.into();
        self.0.encrypt_block(&mut block);
        let mut id = String::with_capacity(Self::ID_BYTES);
        id.push('#');
        URL_SAFE_NO_PAD.encode_string(block, &mut id);
        id
    }

    /// 32 bytes for another purpose of the same hub, that say nothing of this key or of one another.
    ///
    /// Two blocks, which no id is: the first byte of an id's is its version.
    #[must_use]
    pub fn derive(&self, purpose: [u8; 8]) -> [u8; 32] {
        let half = |number: u8| {
            let mut block = [u8::MAX; 16];
            block[1] = number;
            block[8..].copy_from_slice(&purpose);
            let mut block = block.into();
            self.0.encrypt_block(&mut block);
            block.0
        };
        let mut derived = [0; 32];
        derived[..16].copy_from_slice(&half(0));
        derived[16..].copy_from_slice(&half(1));
        derived
    }

    /// What a text that came from outside says.
    #[must_use]
    pub fn open(&self, text: &str) -> OpenedId {
        let Some(encoded) = text.strip_prefix('#') else { return OpenedId::NotGenerated };
        let mut block = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut block) {
            Ok(16) => {}
            _ => return OpenedId::Foreign,
        }
        let mut sealed = block.into();
        self.0.decrypt_block(&mut sealed);
        let [version, e0, e1, e2, e3, o0, o1, o2, o3, o4, o5, o6, o7, check @ ..] = sealed.0;
        if version != VERSION || check != CHECK {
            return OpenedId::Foreign;
        }
        OpenedId::Position(Position {
            epoch: Epoch::from_id(u32::from_be_bytes([e0, e1, e2, e3])),
            offset: Offset::new(u64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7])),
        })
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(epoch: u32, offset: u64) -> Position {
        Position { epoch: Epoch::new(epoch), offset: Offset::new(offset) }
    }

    #[test]
    fn an_id_opens_to_what_was_sealed() {
        let key = IdKey::new([7; 16]);
        for place in [position(1, 0), position(u32::MAX, u64::MAX), position(99, 1 << 40)] {
            let id = key.seal(place);
            assert_eq!(id.len(), IdKey::ID_BYTES);
            assert!(id.bytes().all(|b| b.is_ascii_graphic()));
            assert_eq!(key.open(&id), OpenedId::Position(place));
        }
        assert_eq!(key.open(&key.seal(Position::FOREIGN)), OpenedId::Position(Position::FOREIGN));
    }

    #[test]
    fn another_key_a_changed_character_or_another_form_is_foreign() {
        let key = IdKey::new([7; 16]);
        let id = key.seal(position(5, 6));
        assert_eq!(IdKey::new([8; 16]).open(&id), OpenedId::Foreign);
        for at in 1..id.len() {
            let mut changed = id.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.open(std::str::from_utf8(&changed).unwrap()), OpenedId::Foreign);
        }
        for text in ["#", "#x", "#é", &format!("{id}A"), &id[..22]] {
            assert_eq!(key.open(text), OpenedId::Foreign, "{text}");
        }
        for text in ["", "42", "urn:uuid:1"] {
            assert_eq!(key.open(text), OpenedId::NotGenerated, "{text}");
        }
    }
}
