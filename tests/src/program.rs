//! A program that runs beside a test: what it says is kept for failure messages, and it ends with the test.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// What is kept of a program's output, in bytes; a page of a browser's complaints is enough.
const KEPT: usize = 256 * 1024;

/// A running program and everything that it started, in a process group of its own.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    group: Pid,
    said: watch::Receiver<String>,
}

impl Program {
    /// Starts it, with nothing on stdin.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let group = group.with_context(|| format!("{name} has no process id"))?;
        let (told, said) = watch::channel(String::new());
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(listen(stdout, told.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(listen(stderr, told));
        }
        Ok(Self { name, child, group, said })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.group.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it has said so far, stdout and stderr together.
    pub fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Waits until `find` finds something in what it says.
    pub async fn says<T>(
        &mut self,
        limit: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let mut found = None;
        let search = self.said.wait_for(|said| {
            found = find(said);
            found.is_some()
        });
        let searched = timeout(limit, search).await.map(|result| result.is_ok());
        match (found, searched) {
            (Some(found), _) => Ok(found),
            (None, Ok(_)) => bail!("{} ended; it said:\n{}", self.name, self.said()),
            (None, Err(_)) => {
                bail!("{} did not say it within {limit:?}, but:\n{}", self.name, self.said())
            }
        }
    }

    /// Asks it to end (SIGTERM) and waits.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        rustix::process::kill_process(self.group, Signal::TERM)
            .with_context(|| format!("{} has already ended:\n{}", self.name, self.said()))?;
        self.ended(limit).await
    }

    /// Waits for its end.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} goes on after {limit:?}:\n{}", self.name, self.said()),
        }
    }

    /// Ends it and all that it started at once (SIGKILL), and waits.
    pub async fn kill(&mut self) -> Result<()> {
        self.kill_group();
        self.child.wait().await?;
        Ok(())
    }

    fn kill_group(&self) {
        // It has ended already if this fails.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

impl std::ops::Drop for Program {
    fn drop(&mut self) {
        self.kill_group();
        // Reaps it; it was killed, so this does not wait long, and a test is over anyway.
        for _ in 0..200 {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
    }
}

async fn listen(stream: impl AsyncRead + Unpin, told: watch::Sender<String>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line).into_owned();
        told.send_modify(|said| {
            if said.len() < KEPT {
                said.push_str(&text);
            }
        });
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Program {
        Program::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[tokio::test]
    async fn what_it_says_is_found_and_it_ends_when_asked() {
        let mut program = shell("echo ready >&2; while :; do sleep 1; done");
        program.says(SOON, |said| said.contains("ready").then_some(())).await.unwrap();
        assert!(!program.terminate(SOON).await.unwrap().success());
    }

    #[tokio::test]
    async fn an_early_end_is_told_with_what_it_said() {
        let mut program = shell("echo 'no such setting'; exit 64");
        let error = program.says(SOON, |_| None::<()>).await.unwrap_err();
        assert!(error.to_string().contains("no such setting"), "{error}");
        assert_eq!(program.ended(SOON).await.unwrap().code(), Some(64));
    }

    #[tokio::test]
    async fn killing_takes_what_it_started_along() {
        let mut program = shell("sleep 600 & echo child $!; wait");
        let child = |said: &str| {
            said.lines().find_map(|line| line.strip_prefix("child "))?.parse::<i32>().ok()
        };
        let child = program.says(SOON, child).await.unwrap();
        program.kill().await.unwrap();
        // Its end is the kernel's to finish; as a zombie of ours or of init it no longer sleeps.
        let stat = format!("/proc/{child}/stat");
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        for _ in 0..1000 {
            if !lives() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("process {child} was left behind");
    }
}
