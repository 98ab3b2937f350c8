//! Finding the peers, or installing them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::peers::Ready;
use crate::process::{cargo, checked, on_path, target};
use crate::setup::{apt_get, cache, may_install};

/// Signed with the key in `mercure_config`: may publish to everything.
pub(crate) const MERCURE_TOKEN: &str = concat!(
    "eyJhbGciOiJIUzI1NiJ9.",
    "eyJtZXJjdXJlIjp7InB1Ymxpc2giOlsiKiJdfX0.",
    "Cnj_UA0plIvuGKWVuGjf20tW7YWFnSrOLhyPbbYhD-s"
);
/// Of its HTTP interface.
pub(crate) const CENTRIFUGO_KEY: &str = "headwater-bench";

const PEERS: &str = "bench/peers";
const DURABLE_STREAMS: &str = "0.1.5";
const NCHAN_MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Builds the hub.
pub(crate) fn headwater() -> Result<PathBuf> {
    checked(cargo().args(["build", "--release", "-p", "headwater"]))?;
    Ok(target()?.join("release/headwater"))
}

/// A binary that is there.
pub(crate) fn given(file: PathBuf) -> Result<Ready> {
    let version = version(&file, "--version").or_else(|_| version(&file, "version"))?;
    Ok(Ready { programs: vec![file], version })
}

/// Binaries of the workspace of peers.
pub(crate) fn rust_peer(names: &[&str]) -> Result<Ready> {
    let manifest = format!("{PEERS}/Cargo.toml");
    let target = target()?.join("bench-peers");
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--locked", "--manifest-path", &manifest]);
    checked(build.env("CARGO_TARGET_DIR", &target))?;
    let programs = names.iter().map(|name| target.join("release").join(name)).collect();
    Ok(Ready { programs, version: locked_versions()? })
}

/// The versions of what the Rust peers are made of.
fn locked_versions() -> Result<String> {
    let lock = fs::read_to_string(format!("{PEERS}/Cargo.lock"))?;
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    Ok(["hyper", "axum", "tokio"].into_iter().filter_map(version).collect::<Vec<_>>().join(", "))
}

pub(crate) fn durable_streams() -> Result<Ready> {
    let name = "durable-streams-server";
    let root = cache()?;
    let ours = root.join("bin").join(name);
    if !ours.is_file() {
        println!("building durable-streams {DURABLE_STREAMS}, once for this machine");
        let package = format!("durable-streams@{DURABLE_STREAMS}");
        checked(cargo().args(["install", "--quiet", "--locked", &package, "--root"]).arg(root))?;
    }
    Ok(Ready { programs: vec![ours], version: DURABLE_STREAMS.to_owned() })
}

pub(crate) fn nchan() -> Result<Ready> {
    packages(&["nginx", "libnginx-mod-nchan"], || {
        program("nginx").is_some() && Path::new(NCHAN_MODULE).is_file()
    })?;
    let nginx = program("nginx").context("nginx is not on PATH")?;
    let nchan = debian_version("libnginx-mod-nchan");
    let version = format!("{nchan}, {}", version(&nginx, "-v")?);
    Ok(Ready { programs: vec![nginx, NCHAN_MODULE.into()], version })
}

pub(crate) fn pushpin() -> Result<Ready> {
    let names = ["pushpin", "zurl"];
    packages(&["pushpin", "condure", "zurl"], || names.iter().all(|name| program(name).is_some()))?;
    let mut programs: Vec<_> = names.into_iter().filter_map(program).collect();
    programs.extend(rust_peer(&["grip-origin"])?.programs);
    Ok(Ready { programs, version: debian_version("pushpin") })
}

pub(crate) fn node() -> Result<Ready> {
    let folder = std::path::absolute(format!("{PEERS}/node"))?;
    ensure!(on_path("npm").is_some(), "npm is missing (Debian: npm)");
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder);
    checked(&mut install)?;
    // The package `node` brings one that is new enough for better-sse.
    let node = folder.join("node_modules/.bin/node");
    let lock = fs::read_to_string(folder.join("package.json"))?;
    let lock: serde_json::Value = serde_json::from_str(&lock)?;
    let better_sse = lock.pointer("/dependencies/better-sse").and_then(|version| version.as_str());
    let version = format!("{}, Node {}", better_sse.unwrap_or("?"), version(&node, "--version")?);
    Ok(Ready { programs: vec![node, folder.join("server.js")], version })
}

/// Installs Debian packages unless what they bring is there.
fn packages(names: &[&str], are_there: impl Fn() -> bool) -> Result<()> {
    if are_there() {
        return Ok(());
    }
    let by_hand = format!("apt-get install -y --no-install-recommends {}", names.join(" "));
    ensure!(
        on_path("apt-get").is_some() && may_install()?,
        "not installed; on Debian, as root: {by_hand}"
    );
    println!("installing {}", names.join(" "));
    checked(apt_get()?.args(["-q", "update"]))?;
    let mut install = apt_get()?;
    // The services that they bring are not wanted here; the measured ones are started by us.
    install.env("RUNLEVEL", "1").args(["-q", "install", "-y", "--no-install-recommends"]);
    checked(install.args(names))?;
    ensure!(are_there(), "installed, but not where it was expected");
    Ok(())
}

/// A program, also where only the superuser's PATH has it.
fn program(name: &str) -> Option<PathBuf> {
    on_path(name).or_else(|| Some(Path::new("/usr/sbin").join(name)).filter(|file| file.is_file()))
}

fn debian_version(package: &str) -> String {
    let query = ["-W", "-f", "${Version}", package];
    let output = Command::new("dpkg-query").args(query).stderr(Stdio::null()).output();
    output.map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said.stdout).into_owned())
}

/// The first line that a program says about its version.
fn version(program: &Path, flag: &str) -> Result<String> {
    let shown = program.display();
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {shown}"))?;
    ensure!(output.status.success(), "`{shown} {flag}` failed");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Ok(said.trim().lines().next().unwrap_or_default().to_owned())
}

/// A configuration with its places filled, in the server's folder.
fn fill(template: &str, folder: &Path, places: &[(&str, &str)]) -> Result<String> {
    let source = Path::new(PEERS).join(template);
    let text = fs::read_to_string(&source).with_context(|| format!("no {}", source.display()))?;
    let folder_text = folder.display().to_string();
    let mut text = text.replace("{folder}", &folder_text);
    for (place, value) in places {
        text = text.replace(place, value);
    }
    let name = source.file_name().context("a template without a name")?;
    let file = folder.join(name);
    fs::write(&file, text)?;
    Ok(file.display().to_string())
}

pub(crate) fn nchan_config(port: u16, folder: &Path, module: &str) -> Result<String> {
    fill("nchan/nginx.conf", folder, &[("{port}", &port.to_string()), ("{module}", module)])
}

/// The configurations of Pushpin's parts.
pub(crate) struct PushpinFiles {
    pub(crate) pushpin: String,
    pub(crate) zurl: String,
}

pub(crate) fn pushpin_config(ports: &[u16; 3], folder: &Path) -> Result<PushpinFiles> {
    let [port, publish_port, origin] = ports.map(|port| port.to_string());
    for name in ["run", "log"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::write(folder.join("routes"), format!("* 127.0.0.1:{origin}\n"))?;
    let places = [("{port}", port.as_str()), ("{publish_port}", publish_port.as_str())];
    Ok(PushpinFiles {
        pushpin: fill("pushpin/pushpin.conf", folder, &places)?,
        zurl: fill("pushpin/zurl.conf", folder, &[])?,
    })
}

pub(crate) fn mercure_config(port: u16, folder: &Path) -> Result<String> {
    fill("mercure/Caddyfile", folder, &[("{port}", &port.to_string())])
}

pub(crate) fn centrifugo_config(port: u16, folder: &Path) -> Result<String> {
    let places = [("{port}", port.to_string()), ("{key}", CENTRIFUGO_KEY.to_owned())];
    let places = places.each_ref().map(|(place, value)| (*place, value.as_str()));
    fill("centrifugo/config.json", folder, &places)
}
