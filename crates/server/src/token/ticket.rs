//! Tickets: what stands for a token in the URL of a native `EventSource`, which can send no header.
//!
//! A ticket is a token sealed together with when it was issued and for which subscription. It has to be
//! claimed by one connection within [`Tickets::CLAIM_MS`]; afterwards it is good only for that
//! subscription's own reconnections, which carry a position that was handed out under it. So a URL that was
//! found in a log or a history opens nothing.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_log::Millis;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

/// Issues tickets and admits those who come with one. Reads no clock and makes no randomness.
#[derive(Debug)]
pub struct Tickets {
    key: TicketKey,
    claims: HashMap<Id, Binding>,
    /// When each claim may be forgotten. As many as there are claims.
    forget: BTreeSet<(Millis, Id)>,
    claims_max: usize,
}

type Id = [u8; 16];

/// The key that tickets are sealed with: the same on all nodes, and kept, so that a ticket outlives a
/// restart.
pub struct TicketKey(LessSafeKey);

/// An opened ticket.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Which it is: a stream under it that is still open when another comes may be closed.
    pub id: [u8; 16],
    /// The token that it stands for, to be verified as any other.
    pub token: String,
    /// When it was issued.
    pub issued: Millis,
    /// When it ends: with its token.
    pub expires: Millis,
    /// The subscription that it was issued for, if that was said.
    pub binding: Option<Binding>,
}

/// A subscription's hash: the path, and the query without what changes from one connection to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding([u8; 32]);

/// What a request brings beside its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// No `Last-Event-ID` header: a first connection.
    First,
    /// One that names a position of this hub: a reconnection.
    Position,
}

/// Why a ticket is not issued, or not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not sealed by this hub, or changed.
    #[error("this is no ticket of this hub: get one with POST /tickets")]
    Forged,
    /// Its token has ended.
    #[error("the ticket has expired: get a new one with POST /tickets")]
    Expired,
    /// Not claimed in time.
    #[error("the ticket was not used within 30 s: get a new one with POST /tickets")]
    Late,
    /// Somebody has come with it already.
    #[error("the ticket is in use: each connection needs its own, from POST /tickets")]
    Claimed,
    /// It is for another subscription.
    #[error("the ticket is for another subscription: get one for this with POST /tickets")]
    OtherSubscription,
    /// A reconnection whose first connection nobody knows of.
    #[error(
        "the hub does not know this ticket's stream any more: get a new one with POST /tickets"
    )]
    Unknown,
    /// Does not fit into a URL.
    #[error(
        "the token has {bytes} bytes; in a ticket at most {max} fit: grant with fewer matchers"
    )]
    TooLong {
        /// The token's length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The operator's limit. It will pass.
    #[error("as many tickets are in use as may be: come back later")]
    TooMany,
}

impl Binding {
    /// The subscription of a request.
    #[must_use]
    pub fn of(path: &str, query: Option<&str>) -> Self {
        /// The ticket itself, and where polyfills say how far they got.
        const CHANGING: [&str; 5] =
            ["ticket", "last_event_id", "lastEventId", "lastEventID", "Last-Event-ID"];
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        add(path);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !CHANGING.contains(&&*name) {
                add(&name);
                add(&value);
            }
        }
        Self(hash.finalize().into())
    }
}

const VERSION: u8 = 1;
/// What is sealed says what it is, so that nothing else under the same key is taken for it.
const PURPOSE: &[u8] = b"headwater ticket";

impl TicketKey {
    /// A key of 32 random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM, bytes).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    fn seal(&self, ticket: &Ticket, nonce: [u8; NONCE_LEN]) -> Option<String> {
        let mut text = vec![VERSION, u8::from(ticket.binding.is_some())];
        text.extend_from_slice(&ticket.id);
        text.extend_from_slice(&ticket.issued.0.to_le_bytes());
        text.extend_from_slice(&ticket.expires.0.to_le_bytes());
        text.extend_from_slice(&ticket.binding.map_or([0; 32], |binding| binding.0));
        text.extend_from_slice(ticket.token.as_bytes());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, Aad::from(PURPOSE), &mut text).ok()?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut text);
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open(&self, sealed: &str) -> Option<Ticket> {
        if sealed.len() > 2 * Tickets::TOKEN_BYTES_MAX {
            return None;
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text: &[u8] = self.0.open_in_place(nonce, Aad::from(PURPOSE), text).ok()?;
        let (&[version, bound], text) = text.split_first_chunk()?;
        let (&id, text) = text.split_first_chunk()?;
        let (&issued, text) = text.split_first_chunk()?;
        let (&expires, text) = text.split_first_chunk()?;
        let (&binding, token) = text.split_first_chunk()?;
        (version == VERSION).then_some(Ticket {
            id,
            token: String::from_utf8(token.to_vec()).ok()?,
            issued: Millis(u64::from_le_bytes(issued)),
            expires: Millis(u64::from_le_bytes(expires)),
            binding: (bound == 1).then_some(Binding(binding)),
        })
    }
}

impl Tickets {
    /// Within which time a ticket has to be claimed, in milliseconds.
    pub const CLAIM_MS: u64 = 30_000;
    /// The longest token that a ticket stands for, in bytes: sealed and encoded it fits into a URL.
    pub const TOKEN_BYTES_MAX: usize = 4096;
    /// How long a ticket is good at most, in milliseconds, if its token never ends.
    pub const LIFE_MS_MAX: u64 = 24 * 3600 * 1000;

    /// Tickets sealed with a key, of which at most `claims_max` are remembered, with some 200 bytes each.
    #[must_use]
    pub fn new(key: TicketKey, claims_max: usize) -> Self {
        Self { key, claims: HashMap::new(), forget: BTreeSet::new(), claims_max }
    }

    /// A ticket for a token that was verified, and that ends at `expires`.
    ///
    /// One that says for which subscription it is outlives a restart of the hub and is good on every node;
    /// without that it binds itself to the first that comes with it, which only this process knows.
    ///
    /// # Errors
    /// If the token is too long.
    pub fn issue(
        &self,
        token: &str,
        expires: Option<Millis>,
        binding: Option<Binding>,
        random: [u8; 28],
        now: Millis,
    ) -> Result<String, TicketError> {
        let too_long = TicketError::TooLong { bytes: token.len(), max: Self::TOKEN_BYTES_MAX };
        if token.len() > Self::TOKEN_BYTES_MAX {
            return Err(too_long);
        }
        let (mut id, mut nonce) = ([0; 16], [0; NONCE_LEN]);
        for (to, from) in id.iter_mut().chain(&mut nonce).zip(random) {
            *to = from;
        }
        let longest = Millis(now.0.saturating_add(Self::LIFE_MS_MAX));
        let expires = expires.map_or(longest, |expires| expires.min(longest));
        let ticket = Ticket { id, token: token.to_owned(), issued: now, expires, binding };
        self.key.seal(&ticket, nonce).ok_or(too_long)
    }

    /// Lets in who comes with a ticket, for the token that it stands for, which is still to be verified.
    ///
    /// # Errors
    /// Why not. Only [`TicketError::TooMany`] will pass.
    pub fn admit(
        &mut self,
        sealed: &str,
        binding: Binding,
        presented: Presented,
        now: Millis,
    ) -> Result<Ticket, TicketError> {
        let ticket = self.key.open(sealed).ok_or(TicketError::Forged)?;
        if ticket.expires <= now {
            return Err(TicketError::Expired);
        }
        if ticket.binding.is_some_and(|bound| bound != binding) {
            return Err(TicketError::OtherSubscription);
        }
        self.forget_until(now);
        let late = now.0.saturating_sub(ticket.issued.0) > Self::CLAIM_MS;
        match (self.claims.get(&ticket.id), presented) {
            (Some(_), Presented::First) => return Err(TicketError::Claimed),
            (Some(bound), _) if *bound != binding => return Err(TicketError::OtherSubscription),
            (Some(_), Presented::Position) => {}
            (None, Presented::First) if late => return Err(TicketError::Late),
            // Claimed before a restart, on another node, or so long ago that it was forgotten.
            (None, Presented::Position) if late && ticket.binding.is_some() => {}
            (None, Presented::Position) if late => return Err(TicketError::Unknown),
            (None, _) => self.claim(&ticket, binding)?,
        }
        Ok(ticket)
    }

    fn claim(&mut self, ticket: &Ticket, binding: Binding) -> Result<(), TicketError> {
        if self.claims.len() >= self.claims_max {
            return Err(TicketError::TooMany);
        }
        // When nobody can claim it any more, what is sealed into a ticket says all that there is to know.
        let claimable = Millis(ticket.issued.0.saturating_add(Self::CLAIM_MS + 1));
        let forget = ticket.binding.map_or(ticket.expires, |_| claimable.min(ticket.expires));
        self.claims.insert(ticket.id, binding);
        self.forget.insert((forget, ticket.id));
        Ok(())
    }

    fn forget_until(&mut self, now: Millis) {
        while let Some(&(until, id)) = self.forget.first()
            && until <= now
        {
            self.forget.pop_first();
            self.claims.remove(&id);
        }
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(..)")
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket(.., issued {}, expires {})", self.issued.0, self.expires.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1000;
    const START: Millis = Millis(1_000_000);

    fn at(seconds: u64) -> Millis {
        Millis(START.0 + seconds * SECOND)
    }

    fn tickets() -> Tickets {
        Tickets::new(TicketKey::new(&[7; 32]).unwrap(), 100)
    }

    fn random(number: u8) -> [u8; 28] {
        [number; 28]
    }

    fn here() -> Binding {
        Binding::of("/events", Some("topic=a"))
    }

    #[test]
    fn is_claimed_once_and_then_good_for_reconnections_until_its_token_ends() {
        for bound in [None, Some(here())] {
            let mut tickets = tickets();
            let ticket = tickets.issue("t.o.k", Some(at(100)), bound, random(1), START).unwrap();
            let mut admit = |binding, presented, now| {
                tickets.admit(&ticket, binding, presented, now).map(|ticket| ticket.token)
            };
            let token = Ok("t.o.k".to_owned());
            assert_eq!(admit(here(), Presented::First, at(30)), token);
            assert_eq!(admit(here(), Presented::First, at(30)), Err(TicketError::Claimed));
            assert_eq!(admit(here(), Presented::Position, at(40)), token);
            assert_eq!(admit(here(), Presented::Position, at(99)), token);
            let elsewhere = Binding::of("/events", Some("topic=b"));
            let other = Err(TicketError::OtherSubscription);
            assert_eq!(admit(elsewhere, Presented::Position, at(50)), other);
            assert!(admit(here(), Presented::First, at(50)).is_err());
            assert_eq!(admit(here(), Presented::Position, at(100)), Err(TicketError::Expired));
        }
    }

    #[test]
    fn has_to_be_claimed_in_time() {
        let mut tickets = tickets();
        let ticket = tickets.issue("t", Some(at(100)), None, random(1), START).unwrap();
        let late = Millis(at(30).0 + 1);
        assert_eq!(tickets.admit(&ticket, here(), Presented::First, late), Err(TicketError::Late));
        let unknown = tickets.admit(&ticket, here(), Presented::Position, late);
        assert_eq!(unknown, Err(TicketError::Unknown));
    }

    #[test]
    fn one_that_says_for_what_it_is_outlives_a_restart() {
        let bound = tickets().issue("t", Some(at(100)), Some(here()), random(1), START).unwrap();
        let loose = tickets().issue("t", Some(at(100)), None, random(2), START).unwrap();
        let mut after = tickets();
        assert!(after.admit(&bound, here(), Presented::Position, at(60)).is_ok());
        assert_eq!(
            after.admit(&loose, here(), Presented::Position, at(60)),
            Err(TicketError::Unknown)
        );
        assert_eq!(after.admit(&bound, here(), Presented::First, at(60)), Err(TicketError::Late));
        let elsewhere = Binding::of("/events/b", None);
        assert_eq!(
            after.admit(&bound, elsewhere, Presented::Position, at(60)),
            Err(TicketError::OtherSubscription)
        );
        // A reconnection that comes in time is a claim.
        assert!(after.admit(&loose, here(), Presented::Position, at(5)).is_ok());
        assert_eq!(after.admit(&loose, here(), Presented::First, at(6)), Err(TicketError::Claimed));
    }

    #[test]
    fn what_is_not_sealed_here_is_no_ticket() {
        let mut tickets = tickets();
        let good = tickets.issue("t", None, None, random(1), START).unwrap();
        let other = Tickets::new(TicketKey::new(&[8; 32]).unwrap(), 1);
        let foreign = other.issue("t", None, None, random(1), START).unwrap();
        let mut changed = good.clone().into_bytes();
        let last = changed.len() / 2;
        changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        for bad in ["", "!", "AAAA", &foreign, &changed, &good[1..], &good.repeat(200)] {
            let admitted = tickets.admit(bad, here(), Presented::First, START);
            assert_eq!(admitted, Err(TicketError::Forged), "{bad}");
        }
        assert!(!good.contains('t') || !format!("{good:?}").contains("t.o.k"));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_time() {
        let mut tickets = tickets();
        for number in 0..=100 {
            let ticket = tickets.issue("t", Some(at(60)), Some(here()), random(number), START);
            let admitted = tickets.admit(&ticket.unwrap(), here(), Presented::First, START);
            assert_eq!(admitted.err(), (number == 100).then_some(TicketError::TooMany));
        }
        let ticket = tickets.issue("t", Some(at(90)), None, random(101), at(31)).unwrap();
        assert!(tickets.admit(&ticket, here(), Presented::First, at(31)).is_ok());
        assert_eq!((tickets.claims.len(), tickets.forget.len()), (1, 1));
        tickets.forget_until(at(90));
        assert_eq!((tickets.claims.len(), tickets.forget.len()), (0, 0));
    }

    #[test]
    fn a_subscription_is_the_same_however_far_it_got() {
        let bound = Binding::of("/events", Some("topic=a&ticket=x&topic=b"));
        assert_eq!(bound, Binding::of("/events", Some("topic=a&topic=b&lastEventId=7")));
        assert_eq!(bound, Binding::of("/events", Some("topic=%61&topic=b&last_event_id=7")));
        for (path, query) in
            [("/events", "topic=a"), ("/events", "topic=b&topic=a"), ("/event", "topic=a&topic=b")]
        {
            assert_ne!(bound, Binding::of(path, Some(query)));
        }
    }

    #[test]
    fn a_token_too_long_for_a_url_is_told() {
        let long = "t".repeat(4097);
        let error = tickets().issue(&long, None, None, random(1), START).unwrap_err();
        assert_eq!(error, TicketError::TooLong { bytes: 4097, max: 4096 });
        let most = tickets().issue(&long[1..], None, None, random(1), START).unwrap();
        assert!(most.len() < 6000, "{}", most.len());
        let mut tickets = tickets();
        let admitted = tickets.admit(&most, here(), Presented::First, START).unwrap();
        assert_eq!(admitted.expires, Millis(START.0 + Tickets::LIFE_MS_MAX));
        let shown = format!("{admitted:?}{tickets:?}");
        assert!(!shown.contains("ttt"), "{shown}");
    }
}
