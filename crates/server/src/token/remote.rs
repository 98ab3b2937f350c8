//! A key set at a URL: kept, fetched again now and then, and sooner when a token names a key that is not
//! in it. Whatever the endpoint does, the last good set stays.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use tokio::time::Instant;
use url::Url;

use super::fetch::{Fetch, Fetched};
use super::key::{Found, Key};

/// When a key set is fetched. Times are since any fixed moment.
#[derive(Debug)]
struct Schedule {
    /// When it is fetched next.
    next: Duration,
    /// Fetches that failed since one did not.
    failures: u32,
    /// Before this, no token makes it be fetched.
    forced_until: Duration,
}

/// How long a set is kept that does not say how long it may be.
const USUAL: Duration = Duration::from_secs(600);
/// Whatever it says, it is not fetched more often than this, nor kept longer than [`LONGEST`].
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How soon a fetch that failed is tried again: this, doubled each time, up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// How often tokens with unknown keys may have the set fetched, however many come.
const FORCED: Duration = Duration::from_secs(30);

impl Schedule {
    fn new() -> Self {
        Self { next: Duration::ZERO, failures: 0, forced_until: Duration::ZERO }
    }

    /// Whether a token with an unknown key may have it fetched now; then no other may for a while.
    fn may_force(&mut self, now: Duration) -> bool {
        let may = self.forced_until <= now;
        if may {
            self.forced_until = now + FORCED;
        }
        may
    }

    fn handle_fetched(&mut self, now: Duration, max_age: Option<Duration>) {
        self.failures = 0;
        self.next = now + max_age.unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
    }

    fn handle_failed(&mut self, now: Duration) {
        let wait = RETRY.saturating_mul(1 << self.failures.min(10)).min(RETRY_MAX);
        self.failures += 1;
        self.next = now + wait;
    }
}

/// The keys at a URL.
pub(super) struct Remote {
    url: Url,
    allowed: Vec<Algorithm>,
    fetch: Arc<dyn Fetch>,
    began: Instant,
    state: Mutex<State>,
    /// One fetch at a time; who waits for it has its result.
    fetching: tokio::sync::Mutex<()>,
}

struct State {
    keys: Arc<[Key]>,
    schedule: Schedule,
    /// Increases with every fetch that ended, well or not.
    fetches: u64,
    /// Increases with every set that was taken.
    sets: u64,
    /// Why the last fetch failed, if it did.
    trouble: Option<String>,
}

impl Remote {
    pub(super) fn new(url: Url, allowed: Vec<Algorithm>, fetch: Arc<dyn Fetch>) -> Self {
        let state = State {
            keys: Arc::default(),
            schedule: Schedule::new(),
            fetches: 0,
            sets: 0,
            trouble: Some("they were not fetched yet".to_owned()),
        };
        Self {
            url,
            allowed,
            fetch,
            began: Instant::now(),
            state: Mutex::new(state),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The last good set. Empty if there was none yet.
    pub(super) fn keys(&self) -> Arc<[Key]> {
        self.locked(|state| state.keys.clone())
    }

    /// How many sets were taken so far: what was verified with an older one may not hold any more.
    pub(super) fn sets(&self) -> u64 {
        self.locked(|state| state.sets)
    }

    /// Why there are no keys, if there are none.
    pub(super) fn trouble(&self) -> Option<String> {
        self.locked(|state| state.trouble.clone().filter(|_| state.keys.is_empty()))
    }

    /// Has the set fetched because a token names a key that is not in it, unless that was done lately.
    /// Says whether there was a fetch, this one or one that went on already.
    pub(super) async fn fetch_for_unknown(&self) -> bool {
        let before = self.locked(|state| state.fetches);
        let _turn = self.fetching.lock().await;
        let now = self.began.elapsed();
        let forced = self.locked(|state| {
            if state.fetches != before {
                return None;
            }
            Some(state.schedule.may_force(now))
        });
        match forced {
            None => true,
            Some(false) => false,
            Some(true) => {
                self.fetch().await;
                true
            }
        }
    }

    /// Keeps the set fresh, for ever.
    pub(super) async fn keep_fresh(&self) {
        loop {
            let next = self.locked(|state| state.schedule.next);
            tokio::time::sleep_until(self.began + next).await;
            let _turn = self.fetching.lock().await;
            // Somebody else may have fetched it in the meantime.
            if self.locked(|state| state.schedule.next) <= self.began.elapsed() {
                self.fetch().await;
            }
        }
    }

    async fn fetch(&self) {
        // The fetch sees to its own time; this is for one that does not.
        let fetched = tokio::time::timeout(Fetched::TIME_MAX * 2, self.fetch.fetch(&self.url));
        let result = match fetched.await {
            Ok(Ok(fetched)) => Key::of_set(&fetched.body, &self.allowed, Found::Url)
                .map(|keys| (keys, fetched.max_age))
                .map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it did not end".to_owned()),
        };
        let now = self.began.elapsed();
        let host = self.url.host_str().unwrap_or_default();
        self.locked(|state| {
            state.fetches += 1;
            match result {
                Ok((keys, max_age)) => {
                    tracing::debug!(host, keys = keys.len(), "fetched the issuer's keys");
                    state.schedule.handle_fetched(now, max_age);
                    state.keys = keys.into();
                    state.sets += 1;
                    state.trouble = None;
                }
                Err(why) => {
                    let kept = state.keys.len();
                    tracing::warn!(
                        host,
                        why,
                        kept,
                        "cannot fetch the issuer's keys; the last stay"
                    );
                    state.schedule.handle_failed(now);
                    state.trouble = Some(why);
                }
            }
        });
    }

    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_set_is_kept_as_long_as_it_says_within_bounds() {
        let mut schedule = Schedule::new();
        assert_eq!(schedule.next, at(0));
        for (said, kept) in
            [(None, 600), (Some(0), 60), (Some(120), 120), (Some(10_000_000), 24 * 3600)]
        {
            schedule.handle_fetched(at(100), said.map(at));
            assert_eq!(schedule.next, at(100 + kept));
        }
    }

    #[test]
    fn what_fails_is_tried_ever_more_rarely() {
        let mut schedule = Schedule::new();
        for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
            schedule.handle_failed(at(0));
            assert_eq!(schedule.next, at(wait));
        }
        for _ in 0..100 {
            schedule.handle_failed(at(0));
        }
        schedule.handle_fetched(at(0), None);
        schedule.handle_failed(at(0));
        assert_eq!(schedule.next, at(5));
    }

    #[test]
    fn tokens_can_force_a_fetch_now_and_then() {
        let mut schedule = Schedule::new();
        let forced = (0..100).filter(|&second| schedule.may_force(at(second))).collect::<Vec<_>>();
        assert_eq!(forced, [0, 30, 60, 90]);
    }
}
