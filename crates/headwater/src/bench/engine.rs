//! The event loop: one thread that owns every socket of a run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::{Events, Poll, Token};

use super::pace::{PATIENCE, Pace, Schedule};
use super::plan::Plan;
use super::process::{Family, Usage};
use super::progress::Progress;
use super::publisher::Publishers;
use super::shared::Shared;
use super::socket::Dialer;
use super::subscriber::{Outcome, Subscriber};
use super::timer::Timer;

/// The state of a run.
pub(crate) struct Engine<'a> {
    pub(crate) shared: Shared<'a>,
    pub(crate) publishers: Publishers,
    pub(crate) server: Option<Family>,
    pub(crate) progress: Progress,
    subscribers: Vec<Subscriber>,
    poll: Poll,
    events: Events,
    timer: Timer,
    dialer: Dialer,
    /// Who wants to connect, and how many are being connected.
    waiting: VecDeque<usize>,
    connecting: usize,
    open: usize,
    /// Who wants to connect again, and when.
    later: BinaryHeap<Reverse<(u64, usize)>>,
    /// Whether a failure to subscribe ends the run.
    strict: bool,
    sending: Sending,
    /// The number of the next event.
    next: u64,
    churn: Option<Schedule>,
    /// What the server had used when the last second began.
    usage: Option<Usage>,
    /// What became of subscribers in this turn.
    outcomes: Vec<(usize, Outcome)>,
    stop: &'a AtomicBool,
}

/// Whether, and how, events are published now.
enum Sending {
    Nothing,
    /// When each is due, and whether the next had to wait for a connection.
    Due(Schedule, bool),
    Window(usize),
    /// As fast as answers come, so many.
    Burst(usize),
}

/// As many readinesses as are handled before the next look at the clock.
const EVENTS: usize = 256;
/// A look at the signals, the progress and what is late at least this often.
const TURN: Duration = Duration::from_millis(100);
/// Later than this is late: a few turns of a busy loop.
const LATE_NS: u64 = 5_000_000;

impl<'a> Engine<'a> {
    /// With nothing connected yet.
    pub(crate) fn new(plan: &'a Plan, stop: &'a AtomicBool) -> Result<Self> {
        let poll = Poll::new().context("cannot wait for sockets")?;
        let connections = plan.connections();
        let timer = Timer::new(&poll, Token(usize::MAX)).context("cannot make a timer")?;
        let shared = Shared::new(plan)?;
        Ok(Self {
            publishers: Publishers::new(&shared, connections),
            server: plan.server_pid.map(Family::of).transpose()?,
            progress: Progress::new(),
            subscribers: (0..connections).map(|number| Subscriber::new(number, plan)).collect(),
            events: Events::with_capacity(EVENTS),
            dialer: Dialer::new(plan.subscribe.address, connections),
            waiting: VecDeque::new(),
            connecting: 0,
            open: 0,
            later: BinaryHeap::new(),
            strict: true,
            sending: Sending::Nothing,
            next: 0,
            churn: None,
            usage: None,
            outcomes: Vec::new(),
            shared,
            poll,
            timer,
            stop,
        })
    }

    /// Connects every subscriber; a failure ends the run.
    pub(crate) fn connect_all(&mut self) -> Result<()> {
        self.strict = true;
        self.waiting.extend(0..self.subscribers.len());
        self.wait_until_open()?;
        self.strict = false;
        Ok(())
    }

    /// Connects every subscriber that reads again, as often as it takes.
    pub(crate) fn return_all(&mut self) -> Result<()> {
        self.waiting.extend(0..self.shared.plan.subscribers);
        self.wait_until_open()
    }

    /// Drops every subscriber that reads.
    pub(crate) fn leave_all(&mut self) {
        for subscriber in self.subscribers.iter_mut().filter(|subscriber| subscriber.reads()) {
            if subscriber.is_open() {
                self.open -= 1;
            }
            subscriber.hang_up();
        }
        self.shared.topics.iter_mut().for_each(|topic| topic.members = 0);
        self.later.clear();
    }

    /// Opens the publishers' connections.
    pub(crate) fn connect_publishers(&mut self) -> Result<()> {
        self.publishers.dial_all(self.shared.plan.publishers, self.poll.registry())?;
        self.wait_for_answers()
    }

    /// Publishes for a while at the plan's pace.
    pub(crate) fn publish_for(&mut self, time: Duration) -> Result<()> {
        let begin_ns = self.shared.now_ns();
        self.sending = match self.shared.plan.pace {
            Pace::Rate(rate) => Sending::Due(Schedule::new(begin_ns, rate), false),
            Pace::Window(limit) => Sending::Window(limit),
        };
        self.churn = Some(self.shared.plan.churn)
            .filter(|rate| *rate > 0.0)
            .map(|rate| Schedule::new(begin_ns, rate));
        let result = self.rest_for(time);
        (self.sending, self.churn) = (Sending::Nothing, None);
        result
    }

    /// Publishes so many events as fast as the answers come, and waits for the last.
    pub(crate) fn publish_at_once(&mut self, count: usize) -> Result<()> {
        self.sending = Sending::Burst(count);
        while matches!(self.sending, Sending::Burst(left) if left > 0) && !self.stopped() {
            self.send_due()?;
            self.turn(TURN)?;
        }
        self.sending = Sending::Nothing;
        self.wait_for_answers()
    }

    /// Handles what comes for a while.
    pub(crate) fn rest_for(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        self.progress.until(end);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stopped() {
                return Ok(());
            }
            self.send_due()?;
            self.turn(left)?;
        }
    }

    /// Waits until everybody has everything, or nothing has come for a while.
    pub(crate) fn drain(&mut self) -> Result<()> {
        self.wait_for_answers()?;
        let mut complete = 0;
        let mut stuck = Stuck::new();
        loop {
            let missing = |subscriber: &Subscriber, shared: &Shared<'_>, number| {
                subscriber.reads() && subscriber.missing(shared.published(number)) > 0
            };
            while let Some(subscriber) = self.subscribers.get(complete) {
                if missing(subscriber, &self.shared, complete) {
                    break;
                }
                complete += 1;
            }
            let patience = if self.later.is_empty() { PATIENCE } else { self.shared.plan.timeout };
            let over = complete == self.subscribers.len();
            if over || stuck.for_longer_than(self.shared.tally.bytes, patience) || self.stopped() {
                return Ok(());
            }
            self.turn(TURN)?;
        }
    }

    /// Counts what has not come by now as lost.
    pub(crate) fn count_missing(&mut self) {
        let readers = self.subscribers.iter().enumerate().filter(|(_, one)| one.reads());
        let missing = readers.map(|(number, one)| one.missing(self.shared.published(number)));
        self.shared.tally.faults.lost += missing.map(u64::from).sum::<u64>();
    }

    /// How many of those that do not read the server has cut off.
    pub(crate) fn cut_off(&mut self) -> usize {
        let stalled = self.subscribers.iter_mut().filter(|subscriber| !subscriber.reads());
        stalled.map(|one| usize::from(one.was_cut_off(&mut self.shared))).sum()
    }

    /// Measuring begins, with what the server has used so far.
    pub(crate) fn begin(&mut self, usage: Option<Usage>) {
        self.shared.tally.begin(self.shared.now_ns());
        self.usage = usage;
    }

    /// How many subscribers have an open stream.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// What the server uses now.
    pub(crate) fn server_usage(&self) -> Option<Usage> {
        self.server.and_then(Family::usage)
    }

    /// Whether the user wants to see the report.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn wait_until_open(&mut self) -> Result<()> {
        let (all, timeout) = (self.subscribers.len(), self.shared.plan.timeout);
        let mut stuck = Stuck::new();
        while self.open < all && !self.stopped() {
            self.progress.connecting(self.open, all);
            if stuck.for_longer_than(self.open as u64, timeout) {
                bail!(
                    "only {} of {all} subscribers are connected, and for {timeout:?} no other was: \
                     does the server limit connections, or open files?",
                    self.open
                );
            }
            self.turn(TURN)?;
        }
        Ok(())
    }

    fn wait_for_answers(&mut self) -> Result<()> {
        let timeout = self.shared.plan.timeout;
        let mut stuck = Stuck::new();
        while !self.publishers.all_idle() && !self.stopped() {
            if stuck.for_longer_than(self.publishers.accepted, timeout) {
                bail!("the server has not answered to a publish for {timeout:?}");
            }
            self.turn(TURN)?;
        }
        Ok(())
    }

    /// Waits for readiness, at most so long, and handles what is ready.
    fn turn(&mut self, most: Duration) -> Result<()> {
        let now_ns = self.shared.now_ns();
        self.dial_waiting(now_ns)?;
        let wait = self.next_ns().saturating_sub(now_ns);
        let wait = most.min(TURN).min(Duration::from_nanos(wait));
        match self.timer.wait(&mut self.poll, &mut self.events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            let token = event.token().0;
            if let Some(subscriber) = self.subscribers.get_mut(token) {
                match subscriber.ready(event, &mut self.shared) {
                    Outcome::Same => {}
                    outcome => self.outcomes.push((token, outcome)),
                }
            } else if token != usize::MAX {
                self.publishers.ready(event, self.poll.registry(), &mut self.shared)?;
            }
        }
        while let Some((number, outcome)) = self.outcomes.pop() {
            self.settle(number, outcome)?;
        }
        self.tick();
        Ok(())
    }

    /// When there is something to do even if nothing comes.
    fn next_ns(&self) -> u64 {
        let due = match &self.sending {
            Sending::Due(schedule, _) if self.publishers.has_idle() => schedule.next_ns(),
            _ => u64::MAX,
        };
        let later = self.later.peek().map_or(u64::MAX, |Reverse((at_ns, _))| *at_ns);
        let churn = self.churn.as_ref().map_or(u64::MAX, Schedule::next_ns);
        due.min(later).min(churn).min(self.shared.tally.second_ends_ns())
    }

    /// Sends what is due.
    fn send_due(&mut self) -> Result<()> {
        loop {
            let now_ns = self.shared.now_ns();
            let idle = self.publishers.has_idle();
            let intended_ns = match &mut self.sending {
                Sending::Nothing => return Ok(()),
                Sending::Due(schedule, _) if schedule.next_ns() > now_ns => return Ok(()),
                Sending::Due(_, had_to_wait) if !idle => {
                    *had_to_wait = true;
                    return Ok(());
                }
                Sending::Due(schedule, had_to_wait) => {
                    let due_ns = schedule.next_ns();
                    let had_to_wait = std::mem::take(had_to_wait);
                    schedule.advance();
                    if now_ns - due_ns > LATE_NS {
                        let lateness = &mut self.shared.tally.lateness;
                        let late = if had_to_wait {
                            &mut lateness.answers
                        } else {
                            &mut lateness.generator
                        };
                        *late += 1;
                    }
                    due_ns
                }
                Sending::Window(limit) => {
                    if !idle || self.shared.under_way.open() >= *limit {
                        return Ok(());
                    }
                    now_ns
                }
                Sending::Burst(left) => {
                    if !idle || *left == 0 {
                        return Ok(());
                    }
                    *left -= 1;
                    now_ns
                }
            };
            let marker = self.shared.next_event(self.next, intended_ns);
            self.next += 1;
            self.shared.tally.publish(intended_ns);
            self.publishers.send(&marker, &self.shared)?;
        }
    }

    /// Begins as many connections as may be under way at a time.
    fn dial_waiting(&mut self, now_ns: u64) -> Result<()> {
        while let Some(Reverse((at_ns, number))) = self.later.peek().copied() {
            if at_ns > now_ns {
                break;
            }
            self.later.pop();
            self.waiting.push_back(number);
        }
        while self.connecting < self.shared.plan.connecting {
            let Some(number) = self.waiting.pop_front() else { return Ok(()) };
            let Some(subscriber) = self.subscribers.get_mut(number) else { continue };
            self.connecting += 1;
            if let Err(error) = subscriber.dial(&mut self.dialer, self.poll.registry(), now_ns) {
                self.settle(number, Outcome::Failed(error.into()))?;
            }
        }
        Ok(())
    }

    /// Accounts for a subscriber that is there, or gone.
    fn settle(&mut self, number: usize, outcome: Outcome) -> Result<()> {
        let Some(subscriber) = self.subscribers.get(number) else { return Ok(()) };
        let again_ns = self.shared.now_ns() + subscriber.retry_ns();
        let topic = self.shared.plan.topic_of(number);
        let member = self.shared.topics.get_mut(topic).filter(|_| subscriber.reads());
        match outcome {
            Outcome::Same => {}
            Outcome::Opened => {
                self.connecting -= 1;
                self.open += 1;
                member.into_iter().for_each(|topic| topic.members += 1);
            }
            Outcome::Ended => {
                self.open -= 1;
                member.into_iter().for_each(|topic| topic.members -= 1);
                self.shared.tally.faults.closed += 1;
                if subscriber.reads() {
                    self.later.push(Reverse((again_ns, number)));
                }
            }
            Outcome::Failed(error) => {
                self.connecting -= 1;
                if self.strict {
                    let address = self.dialer.address();
                    return Err(error.context(format!("cannot subscribe at {address}")));
                }
                self.shared.tally.faults.failed += 1;
                self.later.push(Reverse((again_ns, number)));
            }
        }
        Ok(())
    }

    /// Does what is done from time to time.
    fn tick(&mut self) {
        let now_ns = self.shared.now_ns();
        self.shared.under_way.give_up(now_ns);
        while self.churn.as_ref().is_some_and(|churn| churn.next_ns() <= now_ns) {
            self.churn.iter_mut().for_each(Schedule::advance);
            self.replace_one();
        }
        if self.shared.tally.second_ends_ns() <= now_ns {
            let usage = self.server_usage();
            self.shared.tally.end_second(self.usage, usage);
            self.usage = usage;
        }
        self.progress.show(&self.shared.tally);
    }

    /// Lets a subscriber leave, and a new one come in its place.
    fn replace_one(&mut self) {
        let number = fastrand::usize(..self.shared.plan.subscribers);
        let Some(subscriber) = self.subscribers.get_mut(number) else { return };
        if !subscriber.is_open() {
            return;
        }
        subscriber.forget();
        self.open -= 1;
        if let Some(topic) = self.shared.topics.get_mut(self.shared.plan.topic_of(number)) {
            topic.members -= 1;
        }
        self.waiting.push_back(number);
    }
}

/// Notices when a count stays the same for too long.
struct Stuck {
    count: u64,
    since: Instant,
}

impl Stuck {
    fn new() -> Self {
        Self { count: 0, since: Instant::now() }
    }

    fn for_longer_than(&mut self, count: u64, patience: Duration) -> bool {
        if count != self.count {
            (self.count, self.since) = (count, Instant::now());
        }
        self.since.elapsed() > patience
    }
}
