//! A program that runs, with everything that it started.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::time::timeout;

/// How long a program that was asked to end may take to do so.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A program and its process group: what it forks ends with it, unless that opens a session of its own.
///
/// Its process is not collected before its group is at its end, so that the group's number cannot have
/// become another's when a signal is sent to it.
pub(super) struct Program {
    child: Child,
    group: Option<Pid>,
    children: unix::Signal,
}

impl Program {
    /// Starts `command`: the program and its arguments.
    ///
    /// # Errors
    /// If it cannot be started, as when there is no such program.
    pub(super) fn start(command: &[String]) -> io::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
        };
        let children = unix::signal(SignalKind::child())?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        // The hub's secrets are no business of its programs.
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("HEADWATER_")) {
            command.env_remove(name);
        }
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self { child, group: id.and_then(Pid::from_raw), children })
    }

    /// Its standard output and standard error, once.
    pub(super) fn pipes(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// Waits until the program has ended by itself, without collecting it.
    pub(super) async fn exited(&mut self) {
        let Some(id) = self.group else { return };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // The signal was subscribed to before the start, so that none is missed between two looks.
        while let Ok(None) = waitid(WaitId::Pid(id), look) {
            if self.children.recv().await.is_none() {
                return;
            }
        }
    }

    /// Asks it and all that it started to end, and waits for the program, at most [`GRACE`].
    pub(super) async fn terminate(&mut self) {
        self.signal(Signal::TERM);
        // If it does not, what comes next is no request.
        let _ = timeout(GRACE, self.exited()).await;
    }

    /// Ends what is left of its group, and collects it.
    pub(super) async fn collect(mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        let status = self.child.wait().await;
        self.group = None;
        status
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Fails only if nothing is left of it, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
