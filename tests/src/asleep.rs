//! Pages that sleep: the processes that show them are stopped, and go on later, without having noticed.

use std::fs;

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::browser::{Browser, Engine};

/// The pages of a browser while they sleep. No driver command is answered meanwhile.
#[derive(Debug)]
pub struct Asleep(Vec<Pid>);

impl Browser {
    /// Puts all pages to sleep.
    pub fn put_to_sleep(&self) -> Result<Asleep> {
        let pages = self.pages()?;
        ensure!(!pages.is_empty(), "no process of {:?} shows pages", self.engine());
        signal(&pages, Signal::STOP)?;
        Ok(Asleep(pages))
    }

    /// The processes that show its pages.
    fn pages(&self) -> Result<Vec<Pid>> {
        let mark = match self.engine() {
            Engine::Chromium => "--type=renderer",
            Engine::Firefox => "-contentproc",
            Engine::WebKit => "WebKitWebProcess",
        };
        let ours = self.processes();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // It may have ended since.
            let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            // What Firefox calls a tab shows pages; its other helpers carry the network.
            let shows = command.contains(mark)
                && (self.engine() != Engine::Firefox || command.ends_with("tab\0"));
            if shows && descends_from(id, &ours) {
                found.extend(i32::try_from(id).ok().and_then(Pid::from_raw));
            }
        }
        Ok(found)
    }
}

impl Asleep {
    /// Wakes them.
    pub fn wake(self) -> Result<()> {
        signal(&self.0, Signal::CONT)
    }
}

/// Whether one of `ancestors` started it, or something did that they started.
fn descends_from(mut id: u32, ancestors: &[u32]) -> bool {
    for _ in 0..32 {
        if ancestors.contains(&id) {
            return true;
        }
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything.
        let parent =
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        let Some(parent) = parent.filter(|&parent| parent > 1) else { return false };
        id = parent;
    }
    false
}

fn signal(processes: &[Pid], signal: Signal) -> Result<()> {
    for process in processes {
        kill_process(*process, signal)?;
    }
    Ok(())
}
