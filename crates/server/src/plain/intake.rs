//! Reading request bodies, within limits of size, time and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::problem::Problem;

/// What all bodies that are being read may take together, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    left: Arc<AtomicUsize>,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: usize,
}

/// A body that was read whole.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) bytes: Vec<u8>,
    _share: Share,
}

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    /// The setting's name, for whoever exceeds it.
    pub(crate) setting: &'static str,
    pub(crate) timeout: Duration,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IntakeError {
    #[error(
        "the body has more than {bytes_max} bytes: send less, or have the operator raise {setting}"
    )]
    TooLarge { bytes_max: usize, setting: &'static str },
    #[error(
        "the body did not arrive within {timeout_ms} ms: send it faster, or have the operator raise body_timeout_ms"
    )]
    TooSlow { timeout_ms: u128 },
    #[error(
        "all the memory for bodies (bodies_bytes_max) is in use: send it again in a few seconds"
    )]
    NoRoom,
    #[error("the body broke off or is not framed as HTTP says: send it again")]
    Broken,
    #[error(
        "the body is not UTF-8 at byte {at}: encode the text as UTF-8, and binary data as base64, say"
    )]
    NotUtf8 { at: usize },
}

impl IntakeError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken | Self::NotUtf8 { .. } => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let detail = error.to_string();
        match error {
            IntakeError::NoRoom => Self::unavailable(detail).over("bodies_bytes_max"),
            IntakeError::TooLarge { setting, .. } => {
                Self::new(error.status(), detail).over(setting)
            }
            IntakeError::TooSlow { .. } => {
                Self::new(error.status(), detail).over("body_timeout_ms")
            }
            _ => Self::new(error.status(), detail),
        }
    }
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)) }
    }

    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }
}

impl Share {
    /// Makes the share larger.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), IntakeError> {
        let left = &self.budget.left;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .map_err(|_| IntakeError::NoRoom)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives all of it back.
    pub(crate) fn clear(&mut self) {
        self.budget.left.fetch_add(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Reads a body whole.
pub(crate) async fn read(
    body: Incoming,
    bounds: Bounds,
    budget: &Budget,
) -> Result<Intake, IntakeError> {
    match tokio::time::timeout(bounds.timeout, read_all(body, bounds, budget)).await {
        Ok(read) => read,
        Err(_) => Err(IntakeError::TooSlow { timeout_ms: bounds.timeout.as_millis() }),
    }
}

async fn read_all(
    mut body: Incoming,
    bounds: Bounds,
    budget: &Budget,
) -> Result<Intake, IntakeError> {
    let Bounds { bytes_max, setting, .. } = bounds;
    let too_large = IntakeError::TooLarge { bytes_max, setting };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(too_large);
    }
    let mut share = budget.share();
    let mut bytes = Vec::new();
    while let Some(piece) = next_piece(&mut body).await? {
        if bytes.len() + piece.len() > bytes_max {
            return Err(too_large);
        }
        share.grow(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok(Intake { bytes, _share: share })
}

/// The next piece of a body. Trailers are skipped.
pub(crate) async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, IntakeError> {
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.map_err(|_| IntakeError::Broken)?.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

impl Intake {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<&str, IntakeError> {
        std::str::from_utf8(&self.bytes)
            .map_err(|error| IntakeError::NotUtf8 { at: error.valid_up_to() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_shared_and_given_back() {
        let budget = Budget::new(10);
        let mut a = budget.share();
        let mut b = budget.share();
        a.grow(6).unwrap();
        assert_eq!(b.grow(5), Err(IntakeError::NoRoom));
        b.grow(4).unwrap();
        assert_eq!(a.grow(1), Err(IntakeError::NoRoom));
        drop(b);
        a.grow(4).unwrap();
        a.clear();
        budget.share().grow(10).unwrap();
    }

    #[test]
    fn a_text_is_utf8_or_says_where_it_is_not() {
        let intake = |bytes: &[u8]| Intake { bytes: bytes.into(), _share: Budget::new(0).share() };
        assert_eq!(intake("é".as_bytes()).text().unwrap(), "é");
        assert_eq!(intake(b"ab\xffcd").text(), Err(IntakeError::NotUtf8 { at: 2 }));
        assert_eq!(intake(b"ab\xc3").text(), Err(IntakeError::NotUtf8 { at: 2 }));
    }
}
