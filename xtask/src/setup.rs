//! What the tests need and a fresh machine lacks: Debian packages and cargo tools.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::old_engines;
use crate::process::{cargo, checked, on_path, output, succeeds};

/// A Debian package, and the program by which we know that it, or another system's equal, is there.
const PACKAGES: [(&str, &str); 17] = [
    ("g++", "g++"),
    ("chromium", "chromium"),
    ("chromium-driver", "chromedriver"),
    ("firefox-esr", "firefox-esr"),
    ("webkit2gtk-driver", "WebKitWebDriver"),
    ("xvfb", "Xvfb"),
    ("php-cli", "php"),
    ("nodejs", "node"),
    ("npm", "npm"),
    // Below where only the superuser looks.
    ("nginx-light", "/usr/sbin/nginx"),
    ("openssl", "openssl"),
    // Libraries, known by a file.
    ("php-symfony-mercure", "/usr/share/php/Symfony/Component/Mercure/autoload.php"),
    ("php-symfony-http-client", "/usr/share/php/Symfony/Component/HttpClient/autoload.php"),
    ("python3", "python3"),
    ("python3-pip", "pip3"),
    ("openjdk-17-jre-headless", "java"),
    // A library, known by a header.
    ("libkf5khtml-dev", "/usr/include/KF5/KHtml/khtml_part.h"),
];

const GECKODRIVER: Tool = Tool { name: "geckodriver", version: "0.37.1" };
const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };

/// Where the cargo tools are.
pub(crate) struct Tools {
    /// The WebDriver of Firefox.
    pub(crate) geckodriver: PathBuf,
    /// The checker of dependencies.
    pub(crate) cargo_deny: PathBuf,
    /// The folder of the engines from before `EventSource`.
    pub(crate) old_engines: PathBuf,
}

/// Installs what is missing, or names it and fails.
pub(crate) fn run() -> Result<Tools> {
    components()?;
    packages()?;
    Ok(Tools {
        geckodriver: GECKODRIVER.install()?,
        cargo_deny: CARGO_DENY.install()?,
        old_engines: old_engines::install()?,
    })
}

fn components() -> Result<()> {
    for component in ["fmt", "clippy"] {
        ensure!(
            succeeds(cargo().args([component, "--version"])),
            "`cargo {component}` is missing: `rustup component add rustfmt clippy`"
        );
    }
    Ok(())
}

fn packages() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    ensure!(
        on_path("apt-get").is_some(),
        "programs are missing; on Debian these packages bring them: {by_hand}"
    );
    ensure!(may_install()?, "packages are missing; as root: apt-get update && {by_hand}");
    println!("installing {}", missing.join(" "));
    checked(apt_get()?.args(["-q", "update"]))?;
    checked(apt_get()?.args(["-q", "install", "-y", "--no-install-recommends"]).args(&missing))?;
    match self::missing().as_slice() {
        [] => Ok(()),
        still => bail!("installed, but the programs of {} are not on PATH", still.join(" ")),
    }
}

fn missing() -> Vec<&'static str> {
    let lacks =
        |(package, program): (&'static str, &str)| on_path(program).is_none().then_some(package);
    PACKAGES.into_iter().filter_map(lacks).collect()
}

/// Whether packages can be installed without asking anybody.
pub(crate) fn may_install() -> Result<bool> {
    Ok(is_root()? || succeeds(Command::new("sudo").args(["-n", "true"])))
}

fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// The installer, as the superuser.
pub(crate) fn apt_get() -> Result<Command> {
    let mut command = if is_root()? {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    Ok(command)
}

/// A program from the cargo registry, pinned so that two machines run the same checks.
struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Tool {
    /// The one on PATH if it has the pinned version, else one of our own: the user's stays as it is,
    /// and ours lies outside the checkout, so that a clean one does not build it again.
    fn install(&self) -> Result<PathBuf> {
        let root = cache()?;
        let ours = root.join("bin").join(self.name);
        let found = on_path(self.name).into_iter().chain([ours.clone()]).find(|file| self.is(file));
        if let Some(file) = found {
            return Ok(file);
        }
        let package = format!("{}@{}", self.name, self.version);
        println!("building {package}, once for this machine");
        // Without optimization: they are built in half the time, and their own work is small.
        let mut install = cargo();
        install.args(["install", "--debug", "--locked", "--force", &package, "--root"]).arg(&root);
        checked(install.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
        ensure!(self.is(&ours), "{} is not {}", ours.display(), self.version);
        Ok(ours)
    }

    fn is(&self, file: &Path) -> bool {
        let Ok(output) = Command::new(file).arg("--version").output() else {
            return false;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        said.split_whitespace().any(|word| word == self.version)
    }
}

/// Where tools of ours are kept.
pub(crate) fn cache() -> Result<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => Path::new(&env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("headwater-tools"))
}
