//! Real browsers by WebDriver, each with an empty profile and a driver of its own.

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{Capabilities, WebDriver};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::program::Program;

/// For what a page has to come to. Machines that build and render at once are slow, and a test that passes does not wait.
const PAGE: Duration = Duration::from_secs(120);
/// For every driver command. One start in twenty of WebKit hangs; nothing else comes near it.
const COMMAND: Duration = Duration::from_secs(60);

/// What renders the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Blink, headless.
    Chromium,
    /// Gecko, headless.
    Firefox,
    /// WebKitGTK in its smallest browser, on a virtual screen.
    WebKit,
}

/// A running browser with one window. Field order is the order of ending: a driver that is gone makes the
/// session's own farewell fail at once instead of waiting for an answer.
#[derive(Debug)]
pub struct Browser {
    programs: Vec<Program>,
    driver: WebDriver,
    engine: Engine,
    _profile: TempDir,
}

impl Browser {
    /// Starts one; tries a second time, because WebKit needs that now and then.
    pub async fn start(engine: Engine) -> Result<Self> {
        match Self::attempt(engine).await {
            Ok(browser) => Ok(browser),
            Err(first) => {
                eprintln!("{engine:?} is started again: {first:#}");
                let second = || format!("{engine:?} does not start, twice; first: {first:#}");
                Self::attempt(engine).await.with_context(second)
            }
        }
    }

    async fn attempt(engine: Engine) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut programs = Vec::new();
        let port = match engine {
            Engine::Chromium => chromedriver(profile.path(), &mut programs).await?,
            Engine::Firefox => geckodriver(profile.path(), &mut programs).await?,
            Engine::WebKit => webkit_driver(profile.path(), &mut programs).await?,
        };
        let client = reqwest::Client::builder().no_proxy().timeout(COMMAND).build()?;
        let server = format!("http://127.0.0.1:{port}");
        let session =
            WebDriver::builder(server, engine.capabilities(profile.path())?).client(client);
        let said = |programs: &[Program]| programs.iter().map(Program::said).collect::<String>();
        let driver = match timeout(COMMAND, session).await {
            Ok(Ok(driver)) => driver,
            Ok(Err(error)) => bail!("no session: {error}\n{}", said(&programs)),
            Err(_) => bail!("no session within {COMMAND:?}\n{}", said(&programs)),
        };
        let browser = Self { programs, driver, engine, _profile: profile };
        browser.open("about:blank").await?;
        Ok(browser)
    }

    /// Which one it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Everything else that WebDriver can do.
    pub fn driver(&self) -> &WebDriver {
        &self.driver
    }

    /// The processes that it began as.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.programs.iter().map(Program::id).collect()
    }

    /// Opens a page in the current window and waits until it has loaded.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.driver.goto(url).await.with_context(|| format!("{:?}: {url}", self.engine))
    }

    /// The value of a JavaScript expression.
    pub async fn evaluate(&self, expression: &str) -> Result<Value> {
        let script = format!("return {expression}");
        Ok(self.driver.execute(script, vec![]).await?.json().clone())
    }

    /// Waits until an expression has a value that is wanted, and returns it.
    pub async fn until(&self, expression: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let looks = async {
            // WebDriver has no way to be told.
            loop {
                last = self.evaluate(expression).await?;
                if wanted(&last) {
                    return Ok(());
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let seen: Result<Result<()>, _> = timeout(PAGE, looks).await;
        if let Ok(seen) = seen {
            return seen.map(|()| last);
        }
        bail!("{:?}: `{expression}` stays {last}", self.engine)
    }

    /// Saves what is seen as `tests/out/NAME-ENGINE.png`, for people to look at.
    pub async fn screenshot(&self, name: &str) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("out");
        std::fs::create_dir_all(&folder)?;
        let engine = format!("{:?}", self.engine).to_lowercase();
        Ok(self.driver.screenshot(&folder.join(format!("{name}-{engine}.png"))).await?)
    }

    /// Closes it.
    pub async fn quit(mut self) -> Result<()> {
        self.driver.clone().quit().await?;
        for program in &mut self.programs {
            program.kill().await?;
        }
        Ok(())
    }
}

impl Engine {
    fn capabilities(self, profile: &Path) -> Result<Capabilities> {
        let capabilities = match self {
            Self::Chromium => json!({
                "browserName": "chrome",
                "acceptInsecureCerts": true,
                "goog:chromeOptions": {
                    "binary": installed("chromium", "chromium")?,
                    "args": [
                        "--headless=new",
                        "--no-sandbox",
                        "--disable-dev-shm-usage",
                        "--disable-gpu",
                        "--no-proxy-server",
                        "--disable-background-networking",
                        "--disable-component-update",
                        "--no-first-run",
                        "--window-size=1280,800",
                        format!("--user-data-dir={}", profile.join("chromium").display()),
                    ],
                },
            }),
            Self::Firefox => json!({
                "browserName": "firefox",
                "acceptInsecureCerts": true,
                "moz:firefoxOptions": {
                    "binary": installed("firefox-esr", "firefox-esr")?,
                    "args": ["-headless", "-width", "1280", "-height", "800"],
                    "prefs": {
                        "app.normandy.enabled": false,
                        "app.update.disabledForTesting": true,
                        "browser.safebrowsing.downloads.remote.enabled": false,
                        "browser.safebrowsing.malware.enabled": false,
                        "browser.safebrowsing.phishing.enabled": false,
                        "browser.safebrowsing.update.enabled": false,
                        "datareporting.healthreport.uploadEnabled": false,
                        "network.captive-portal-service.enabled": false,
                        "network.connectivity-service.enabled": false,
                        "network.proxy.type": 0,
                        "toolkit.telemetry.enabled": false,
                    },
                },
            }),
            Self::WebKit => json!({
                "browserName": "MiniBrowser",
                "acceptInsecureCerts": true,
                "webkitgtk:browserOptions": { "binary": mini_browser()?, "args": ["--automation"] },
            }),
        };
        match capabilities {
            Value::Object(map) => Ok(map.into()),
            other => bail!("no capabilities: {other}"),
        }
    }
}

async fn chromedriver(profile: &Path, programs: &mut Vec<Program>) -> Result<u16> {
    let mut command = command(&installed("chromedriver", "chromium-driver")?, profile);
    let mut program = Program::start(command.arg("--port=0"))?;
    let port = program.says(COMMAND, |said| number_after(said, "successfully on port ")).await?;
    programs.push(program);
    Ok(port)
}

async fn geckodriver(profile: &Path, programs: &mut Vec<Program>) -> Result<u16> {
    let driver = match env::var_os("GECKODRIVER") {
        Some(driver) => PathBuf::from(driver),
        None => on_path("geckodriver").context(
            "geckodriver is missing: `cargo xtask setup` builds it, `cargo xtask test` also says where it is",
        )?,
    };
    let mut command = command(&driver, profile);
    command.args(["--port", "0", "--websocket-port", "0", "--profile-root"]).arg(profile);
    let mut program = Program::start(&mut command)?;
    let port = program.says(COMMAND, |said| number_after(said, "Listening on 127.0.0.1:")).await?;
    programs.push(program);
    Ok(port)
}

async fn webkit_driver(profile: &Path, programs: &mut Vec<Program>) -> Result<u16> {
    // It tells the number of a display that it found free, which `xvfb-run -a` has to guess.
    let mut screen = command(&installed("Xvfb", "xvfb")?, profile);
    screen.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]);
    let mut screen = Program::start(&mut screen)?;
    // Among complaints about displays that are taken.
    let display = |said: &str| {
        let whole = said.rsplit_once('\n')?.0;
        whole.lines().find_map(|line| line.parse::<u16>().ok())
    };
    let display = screen.says(COMMAND, display).await?;
    programs.insert(0, screen);

    let port = free_port()?;
    let mut driver = command(&installed("WebKitWebDriver", "webkit2gtk-driver")?, profile);
    driver.arg(format!("--port={port}")).env("DISPLAY", format!(":{display}"));
    programs.insert(0, Program::start(&mut driver)?);
    // It says nothing when it is ready.
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(port);
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("WebKitWebDriver does not listen on port {port}")
}

/// A driver that finds nothing of the user's, neither a home nor a proxy, and leaves nothing behind.
fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("TMPDIR", home);
    command
}

/// For a driver that cannot be told to choose: the system's choice, given back at once.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn number_after(said: &str, mark: &str) -> Option<u16> {
    let (_, rest) = said.split_once(mark)?;
    // Only when the digits have ended has all of the number arrived.
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest.get(..end)?.parse().ok()
}

fn installed(program: &str, package: &str) -> Result<PathBuf> {
    on_path(program).with_context(|| {
        format!("{program} is missing: `apt-get install {package}`, or `cargo xtask setup` does it")
    })
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The small browser beside the WebKit library, whose folder carries the machine's architecture.
fn mini_browser() -> Result<PathBuf> {
    let inside = |folder: PathBuf| folder.join("webkit2gtk-4.1/MiniBrowser");
    let folders = std::fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path());
    folders
        .map(inside)
        .find(|file| file.is_file())
        .context("MiniBrowser is missing: `apt-get install webkit2gtk-driver` brings it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_when_it_has_ended() {
        assert_eq!(number_after("on port 41235.\n", "on port "), Some(41235));
        assert_eq!(number_after("on port 412", "on port "), None);
    }
}
