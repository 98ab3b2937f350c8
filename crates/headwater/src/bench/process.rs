//! What processes use: processor time and memory, as the system counts them.

use std::fs;

use anyhow::{Context, Result};

/// A process and all of its children: many servers are several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    root: u32,
}

/// What a family has used so far, and uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time, of the program and of the kernel for it.
    pub(crate) cpu_ns: u64,
    /// Resident memory; what several of them share is counted for each.
    pub(crate) rss_bytes: u64,
    /// How many processes.
    pub(crate) processes: usize,
}

/// More than any server has; a bound for a table that changes while it is read.
const PROCESSES_MAX: usize = 1000;

impl Family {
    /// The family of this process.
    ///
    /// # Errors
    /// If it does not exist, or may not be looked at.
    pub(crate) fn of(root: u32) -> Result<Self> {
        let family = Self { root };
        let advice = "is the number right, and is it a process of yours on this machine (Linux)?";
        family.usage().with_context(|| format!("cannot see process {root}: {advice}"))?;
        Ok(family)
    }

    /// Now. `None` if it has ended.
    pub(crate) fn usage(self) -> Option<Usage> {
        let mut all = vec![self.root];
        let mut usage = Usage::default();
        while let Some(pid) = all.get(usage.processes).copied() {
            match (cpu_ns(pid), rss_bytes(pid)) {
                (Some(cpu_ns), Some(rss_bytes)) => {
                    usage.cpu_ns += cpu_ns;
                    usage.rss_bytes += rss_bytes;
                }
                _ if pid == self.root => return None,
                _ => {}
            }
            usage.processes += 1;
            all.extend(children(pid));
            all.truncate(PROCESSES_MAX);
        }
        Some(usage)
    }

    /// Processor time of the root alone: `usage` reads a whole page table, which takes long.
    pub(crate) fn cpu_ns(self) -> u64 {
        cpu_ns(self.root).unwrap_or_default()
    }
}

/// Ourselves.
pub(crate) fn ours() -> Family {
    Family { root: std::process::id() }
}

/// To the nanosecond, with threads that have ended.
#[cfg(target_os = "linux")]
fn cpu_ns(pid: u32) -> Option<u64> {
    use nix::time::{clock_getcpuclockid, clock_gettime};
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
    let time = clock_gettime(clock_getcpuclockid(pid).ok()?).ok()?;
    let (seconds, rest) = (u64::try_from(time.tv_sec()).ok()?, u64::try_from(time.tv_nsec()).ok()?);
    Some(seconds * 1_000_000_000 + rest)
}

#[cfg(not(target_os = "linux"))]
fn cpu_ns(_: u32) -> Option<u64> {
    None
}

fn rss_bytes(pid: u32) -> Option<u64> {
    // The exact sum; `status` may be off by some pages for each processor.
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .or_else(|_| fs::read_to_string(format!("/proc/{pid}/status")))
        .ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:").or_else(|| line.strip_prefix("VmRSS:")))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let all = lists.collect::<Vec<_>>().concat();
    all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_family_uses_what_its_members_use() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let usage = ours().usage().unwrap();
        assert!(usage.processes >= 2 && usage.cpu_ns > 0, "{usage:?}");
        // Other tests of this process make it larger and smaller at any moment.
        assert!(usage.rss_bytes > rss_bytes(child.id()).unwrap(), "{usage:?}");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(Family { root: child.id() }.usage(), None);
        assert!(format!("{:#}", Family::of(child.id()).unwrap_err()).contains("process"));
    }
}
