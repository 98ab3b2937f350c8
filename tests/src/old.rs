//! Engines from before `EventSource`, each in a small program that shows one page.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::{Builder, TempDir};
use tokio::process::Command;

use crate::program::Program;

/// What renders the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldEngine {
    /// WebKit of 2016, its `EventSource` taken away; its `XMLHttpRequest` streams.
    PhantomJs,
    /// Java with the surface of Internet Explorer 9.
    InternetExplorer9,
    /// The same with that of Internet Explorer 11.
    InternetExplorer11,
    /// The engine that WebKit once came from.
    Khtml,
}

/// A page that is shown until the value ends.
#[derive(Debug)]
pub struct OldPage {
    program: Program,
    _home: TempDir,
}

impl OldEngine {
    /// Shows a page. It cannot be looked at from outside: it has to report.
    pub fn show(self, url: &str) -> Result<OldPage> {
        let home = Builder::new().permissions(Permissions::from_mode(0o700)).tempdir()?;
        if self == Self::Khtml {
            // Without a desktop, its cache is waited for three seconds at the end of each answer.
            fs::write(home.path().join("kio_httprc"), "UseCache=false\n")?;
            fs::write(home.path().join("kcookiejarrc"), "[Cookie Policy]\nCookies=false\n")?;
        }
        let mut command = self.command(url)?;
        // It finds nothing of the user's and no network but the page's, and leaves nothing behind.
        for name in
            ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "DISPLAY"]
        {
            command.env_remove(name);
        }
        for name in [
            "HOME",
            "TMPDIR",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_RUNTIME_DIR",
        ] {
            command.env(name, home.path());
        }
        let program = Program::start(&mut command)?;
        Ok(OldPage { program, _home: home })
    }

    fn command(self, url: &str) -> Result<Command> {
        let command = match self {
            Self::PhantomJs => {
                let mut command = Command::new(installed("phantomjs")?);
                command.arg(source("phantomjs.js")).arg(url);
                // Its OpenSSL does not understand the settings of today's.
                command.env("OPENSSL_CONF", "/dev/null");
                command
            }
            Self::InternetExplorer9 => htmlunit("htmlunit-2014.jar", "INTERNET_EXPLORER_9", url)?,
            Self::InternetExplorer11 => htmlunit("htmlunit-2017.jar", "INTERNET_EXPLORER", url)?,
            Self::Khtml => {
                let mut command = Command::new(installed("khtml")?);
                command.arg(url).env("QT_QPA_PLATFORM", "offscreen");
                command
            }
        };
        Ok(command)
    }
}

impl OldPage {
    /// What the engine has said so far.
    pub fn said(&self) -> String {
        self.program.said()
    }
}

fn htmlunit(archive: &str, version: &str, url: &str) -> Result<Command> {
    let mut command = Command::new("java");
    command
        .arg("-cp")
        .arg(installed(archive)?)
        .arg("net.sourceforge.htmlunit.corejs.javascript.tools.shell.Main")
        .arg(source("htmlunit.js"))
        .args([url, version]);
    Ok(command)
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("old").join(name)
}

/// A file of what `cargo xtask setup` keeps outside the checkout: where OLD_ENGINES says, or in the user's cache.
fn installed(name: &str) -> Result<PathBuf> {
    let cache = || match env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        Some(cache) => Some(PathBuf::from(cache)),
        None => Some(Path::new(&env::var_os("HOME")?).join(".cache")),
    };
    let ours = || Some(cache()?.join("headwater-tools/old-engines"));
    let folder = env::var_os("OLD_ENGINES").map(PathBuf::from).or_else(ours);
    let file = folder.context("neither OLD_ENGINES nor HOME is set")?.join(name);
    ensure!(file.is_file(), "{} is missing: `cargo xtask setup` installs it", file.display());
    Ok(file)
}
