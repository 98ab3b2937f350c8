//! Behind a proxy that holds streams back, a page receives by long poll.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headwater_tests::{Browser, Program};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::scene::{Scene, address, call, received, told};

headwater_tests::in_each_engine!(a_proxy_that_holds_back_is_polled_through);

/// nginx in front of the pages and the hub, collecting whatever it can.
struct Nginx {
    address: SocketAddr,
    _program: Program,
    _folder: TempDir,
}

impl Nginx {
    async fn start(server: SocketAddr, more: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // It cannot be told to choose: the system's choice, given back at once.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let at = folder.path().display();
        let settings = format!(
            "daemon off; master_process off; error_log stderr; pid {at}/pid;
             events {{ }}
             http {{
               access_log off;
               client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;
               uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
               server {{
                 listen {address};
                 location / {{
                   proxy_pass http://{server};
                   {more}
                   proxy_buffering on;
                   proxy_ignore_headers X-Accel-Buffering;
                 }}
               }}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, settings)?;
        let binary = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|file| Path::new(file).is_file());
        let binary = binary.context("nginx is missing: `apt-get install nginx-light` brings it")?;
        let mut program = Command::new(binary);
        program.args(["-p"]).arg(folder.path()).arg("-c").arg(&file);
        let program = Program::start(&mut program)?;
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Ok(Self { address, _program: program, _folder: folder });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("nginx does not listen: {}", program.said())
    }
}

/// nginx as it comes hands on what it has when its server pauses, whatever it collects; compression makes it
/// wait for more.
const HOLDS_BACK: &str =
    "gzip on; gzip_types text/event-stream; gzip_min_length 0; gzip_proxied any;";

async fn a_proxy_that_holds_back_is_polled_through(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    for (name, more) in [
        ("http11", "proxy_http_version 1.1;"),
        ("http10", "proxy_http_version 1.0;"),
        ("gzip", HOLDS_BACK),
    ] {
        let nginx = Nginx::start(address(&scene.proxy)?, more).await?;
        let page = format!("http://{}/client.js.html", nginx.address);
        browser.open(&page).await?;
        for face in ["listen", "follow"] {
            let topic = format!("{name}/{face}");
            let (arguments, prefix) = match face {
                "listen" => (json!([format!("/events/{topic}")]), String::new()),
                _ => (json!(["/events", topic]), format!("{topic} ")),
            };
            browser.open(&page).await?;
            browser.evaluate("sessionStorage.clear()").await?;
            call(&browser, face, arguments).await?;
            if name != "gzip" {
                browser.until("told.length", |told| told != 0).await?;
            }
            // Behind the last of them, this is published while nobody knows yet that nothing comes through.
            scene.publish(&topic, "1").await?;
            let (first, second) = (format!("{prefix}1"), format!("{prefix}2"));
            received(&browser, &[&first]).await.context(topic.clone())?;
            scene.publish(&topic, "2").await?;
            received(&browser, &[&first, &second]).await.context(topic.clone())?;
        }
    }
    // The session remembers: another page polls from the beginning.
    let nginx = Nginx::start(address(&scene.proxy)?, HOLDS_BACK).await?;
    let page = format!("http://{}/client.js.html", nginx.address);
    browser.open(&page).await?;
    call(&browser, "follow", json!(["/events", "a"])).await?;
    told(&browser, "polling poll").await?;
    browser.open(&page).await?;
    call(&browser, "follow", json!(["/events", "a"])).await?;
    told(&browser, "polling poll").await?;
    let all = browser.evaluate("told").await?;
    ensure!(all == json!(["polling poll"]), "{all}");
    scene.end(browser).await
}
