//! A hub behind nginx with a certificate of an authority of its own, and applications beside it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headwater_tests::{Hub, Program};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) const HUB: &str = "/.well-known/mercure";
/// The key of the protocol's own conformance cases.
pub(crate) const SECRET: &str = "!ChangeThisMercureHubJWTSecretKey!";
const COOKIE: &str = "__Secure-mercure_access_token";

/// Everything that takes part.
pub(crate) struct Stage {
    hub: Hub,
    /// The origin of the hub, and that of an application on another port.
    pub(crate) origins: [String; 2],
    _nginx: Program,
    folder: TempDir,
}

impl Stage {
    /// Starts all of it. `settings` are lines of the hub's file of settings, `[mercure]` the last section.
    pub(crate) async fn start(settings: &str) -> Result<Self> {
        Self::start_for(settings, &[]).await
    }

    /// The same with an application that gives whoever opens its page a token with these grants, if any, in
    /// a cookie.
    pub(crate) async fn start_for(settings: &str, grants: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        certify(folder.path()).await?;
        let ports = [free_port()?, free_port()?];
        let origins = ports.map(|port| format!("https://localhost:{port}"));
        let [own, application] = &origins;
        let settings = format!(
            "public_url = \"{own}\"\ntrusted_proxies = [\"127.0.0.1\"]\ncors_origins = [\"{application}\"]\n\
             publish_origins = [\"{application}\"]\nreconnect_ms = 50\n\n\
             [[issuer]]\nissuer = \"https://localhost\"\naudiences = [\"https://localhost{HUB}\"]\n\
             secret = \"{SECRET}\"\n\n[[issuer]]\nsecret = \"{SECRET}\"\ncompat = true\n\n\
             [mercure]\n{settings}\n"
        );
        let file = folder.path().join("headwater.toml");
        std::fs::write(&file, settings)?;
        let cookie = match grants {
            [] => String::new(),
            grants => cookie(&mint(&file, grants).await?),
        };
        let file = file.to_str().context("a folder with a strange name")?;
        let hub = Hub::start(&["serve", "--log", "memory", "--config", file]).await?;
        let nginx = nginx(folder.path(), ports, &hub, &cookie).await?;
        Ok(Self { hub, origins, _nginx: nginx, folder })
    }

    /// The hub's URL with a query.
    pub(crate) fn url(&self, query: &str) -> String {
        format!("{}{HUB}{query}", self.origins[0])
    }

    /// The certificate of the authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The application's page.
    pub(crate) fn page(&self) -> String {
        format!("{}/page.html", self.origins[1])
    }

    /// A token with these grants, as `headwater token mint` makes it.
    pub(crate) async fn mint(&self, grants: &[&str]) -> Result<String> {
        mint(&self.folder.path().join("headwater.toml"), grants).await
    }

    /// What the hub has logged.
    pub(crate) fn log(&self) -> String {
        self.hub.log()
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.hub.stop().await.map(drop)
    }
}

async fn mint(settings: &Path, grants: &[&str]) -> Result<String> {
    let mut mint = Hub::command().await?;
    mint.args(["token", "mint", "--config"]).arg(settings).args(["--iss", "https://localhost"]);
    let minted = mint.args(grants).output().await?;
    ensure!(minted.status.success(), "{}", String::from_utf8_lossy(&minted.stderr));
    Ok(String::from_utf8(minted.stdout)?.trim().to_owned())
}

/// What has nginx set the cookie that the protocol recommends.
fn cookie(token: &str) -> String {
    format!(
        "add_header Set-Cookie \"{COOKIE}={token}; Secure; HttpOnly; SameSite=Strict; Path={HUB}\";"
    )
}

fn free_port() -> Result<u16> {
    // nginx cannot be told to choose: the system's choice, given back at once.
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// An authority, and a certificate of it for localhost.
async fn certify(folder: &Path) -> Result<()> {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -keyout ca.key -out ca.pem -subj /CN=headwater-tests
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
            -keyout own.key -out own.csr -subj /CN=localhost
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > own.ext
        openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile own.ext -out own.pem";
    let made = Command::new("sh").args(["-ec", script]).current_dir(folder).output().await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// nginx, with the hub behind its first port and the application behind its second.
async fn nginx(folder: &Path, ports: [u16; 2], hub: &Hub, cookie: &str) -> Result<Program> {
    let at = folder.display();
    let [own, application] = ports;
    let hub = hub.address();
    std::fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mercure/page.html"),
        folder.join("page.html"),
    )?;
    let settings = format!(
        "daemon off; master_process off; error_log stderr; pid {at}/pid;
         events {{ }}
         http {{
           access_log off;
           types {{ text/html html; }}
           client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;
           uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
           ssl_certificate {at}/own.pem; ssl_certificate_key {at}/own.key;
           server {{
             listen 127.0.0.1:{own} ssl http2;
             location / {{
               proxy_pass http://{hub};
               proxy_http_version 1.1;
               proxy_set_header Host $host;
               proxy_set_header X-Forwarded-For $remote_addr;
               proxy_read_timeout 1h;
             }}
           }}
           server {{
             listen 127.0.0.1:{application} ssl;
             root {at};
             {cookie}
             location ~ key|pem|toml|conf {{ return 404; }}
           }}
         }}"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, settings)?;
    let binary = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
        .into_iter()
        .find(|file| Path::new(file).is_file());
    let binary = binary.context("nginx is missing: `cargo xtask setup` brings it")?;
    let program = Program::start(Command::new(binary).arg("-p").arg(folder).arg("-c").arg(&file))?;
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(("127.0.0.1", application)).await.is_ok() {
            return Ok(program);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("nginx does not listen: {}", program.said())
}
