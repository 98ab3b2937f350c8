//! What the engine and its subscribers and publishers work on together.

use std::time::Instant;

use anyhow::{Context, Result};

use super::pace::UnderWay;
use super::payload::Marker;
use super::plan::Plan;
use super::tally::Tally;

/// What the engine and its subscribers and publishers work on together.
pub(crate) struct Shared<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) tally: Tally,
    /// What is read goes here first.
    pub(crate) scratch: Vec<u8>,
    begin: Instant,
    pub(crate) topics: Vec<Topic>,
    pub(crate) under_way: UnderWay,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Topic {
    /// How many of its events have been sent.
    published: u32,
    /// How many subscribers read it now.
    pub(crate) members: u32,
    /// The place of each event in the order of the topic, by its number.
    places: Vec<Option<u32>>,
    /// How many have one.
    placed: u32,
}

impl Topic {
    /// The place of an event that arrives now. Publishers that do not wait for each other leave the order
    /// to the server: it is the order in which events arrive for the first time, and then holds for all.
    fn place(&mut self, number: u32) -> u32 {
        let index = number as usize;
        if self.places.len() <= index && number < self.published {
            self.places.resize(self.published as usize, None);
        }
        let next = self.placed;
        match self.places.get_mut(index) {
            Some(Some(place)) => *place,
            Some(place) => {
                self.placed += 1;
                *place.insert(next)
            }
            None => number,
        }
    }
}

impl<'a> Shared<'a> {
    /// The run begins now.
    pub(crate) fn new(plan: &'a Plan) -> Result<Self> {
        Ok(Self {
            plan,
            tally: Tally::new().context("cannot make a histogram")?,
            scratch: vec![0; SCRATCH_BYTES],
            begin: Instant::now(),
            topics: vec![Topic::default(); plan.topics],
            under_way: UnderWay::default(),
        })
    }

    /// Since the run began.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How many events have been sent to a subscriber's topic.
    pub(crate) fn published(&self, subscriber: usize) -> u32 {
        let topic = self.topics.get(self.plan.topic_of(subscriber));
        topic.map_or(0, |topic| topic.published)
    }

    /// The place of an event in the order of its topic, counted from 0.
    pub(crate) fn place(&mut self, marker: &Marker) -> u32 {
        match self.topics.get_mut(marker.topic as usize) {
            Some(topic) if self.plan.publishers > 1 => topic.place(marker.sequence),
            _ => marker.sequence,
        }
    }

    /// A subscriber has an event that it did not have.
    pub(crate) fn arrive(&mut self, marker: &Marker) {
        // Topics take turns.
        let number = u64::from(marker.sequence) * self.topics.len() as u64;
        self.under_way.arrive(number + u64::from(marker.topic));
    }

    /// The next event: its topic's turn has come.
    pub(crate) fn next_event(&mut self, number: u64, intended_ns: u64) -> Marker {
        let index = usize::try_from(number % self.topics.len() as u64).unwrap_or_default();
        let mut marker = Marker { run: self.plan.run, topic: 0, sequence: 0, intended_ns };
        let mut members = 0;
        if let Some(topic) = self.topics.get_mut(index) {
            marker.topic = u32::try_from(index).unwrap_or(u32::MAX);
            marker.sequence = topic.published;
            topic.published += 1;
            members = topic.members;
        }
        self.under_way.publish(number, members, self.now_ns());
        marker
    }
}

const SCRATCH_BYTES: usize = 64 * 1024;
