//! `headwater serve`: composes a hub out of its parts, and runs it until it is asked to stop.

use std::future::Future;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use headwater_log::{Append, DiskLog, Draft, Epoch, IdKey, Log, MemoryLog, Millis, Outside, Topic};
use headwater_server::token::{
    self, Authorization, BackendConfig, HttpFetch, IssuerConfig, Judge, Tokens,
};
use headwater_server::{AdminConfig, Hub};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::failure::Failure;
use crate::logging;
use crate::settings::{Backend, DATA, General, Given, Listen, Settings, TokenSettings, mercure};
use crate::signals::Signals;
use crate::source::{Publish, Sources};

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The settings file; without it ./headwater.toml is read if it exists
    #[arg(long, value_name = "F", env = "HEADWATER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// Where to listen [default: 127.0.0.1:8080]; port 0 is any that is free
    #[arg(long, value_name = "A")]
    listen: Option<String>,

    /// Where to find health and metrics, or off [default: 127.0.0.1:8081]
    #[arg(long, value_name = "A")]
    admin_listen: Option<String>,

    /// Where the log lives: disk or memory [default: disk]
    #[arg(long, value_name = "LOG")]
    log: Option<String>,

    /// The directory of a log on disk [default: ./headwater-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,

    /// Publish what a program prints, as exec:TOPIC=COMMAND; may be repeated
    #[arg(long, value_name = "S")]
    source: Vec<String>,

    /// Listen beyond loopback although anybody may publish
    #[arg(long)]
    insecure: bool,
}

const EXAMPLES: &str = "\
Settings come from the file, then from variables such as HEADWATER_RECONNECT_MS=500, then from these
flags; the later ones win. `headwater check-config` shows them all.

Examples:
  headwater serve                               for programs and pages of this machine
  HEADWATER_PUBLISH_KEY=$(openssl rand -hex 32) headwater serve --listen 0.0.0.0:8080
  headwater serve --source 'exec:time=php clock.php'
  headwater serve --source 'exec,only_while_listened,interval_ms=1000:load=cat /proc/loadavg'";

/// Runs a hub with these arguments.
pub(crate) async fn run(args: Args, log_level: Option<String>) -> Result<(), Failure> {
    let mut given = Given::here(args.config);
    given.flag("--listen", "listen", args.listen);
    given.flag("--admin-listen", "admin_listen", args.admin_listen);
    given.flag("--log", "log", args.log);
    given.flag("--data", "data", args.data);
    given.flag("--insecure", "insecure", args.insecure.then_some(true));
    given.flag("--log-level", "log_level", log_level);
    for source in args.source {
        given.flag("--source", "source", Some(source));
    }
    let settings = Settings::load(&given).map_err(Failure::usage)?;
    serve(Plan { settings, own: Box::new(|_, _| {}), hints: Box::new(hints) }).await
}

/// What a newcomer does next.
fn hints(base: &str, keyed: bool) -> String {
    let key = if keyed { "-H \"Authorization: Bearer $HEADWATER_PUBLISH_KEY\" " } else { "" };
    format!(
        "\n  listen   curl -N {base}/events/news\n  publish  curl {key}-d hello {base}/events/news\n  \
         stop     Ctrl-C\n"
    )
}

/// A hub that is to run.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    /// Starts sources that no setting names.
    pub(crate) own: OwnSources,
    pub(crate) hints: Box<Hints>,
}

/// Starts sources that no setting names.
pub(crate) type OwnSources = Box<dyn FnOnce(&mut Sources, &Hub) + Send>;

/// What a terminal is told below the address: of the hub's URL, and whether it wants a key.
pub(crate) type Hints = dyn Fn(&str, bool) -> String + Send;

/// Runs a hub until a signal asks it to stop. Then streams end cleanly and programs of sources are
/// ended, within five seconds; a second signal ends everything at once.
pub(crate) async fn serve(plan: Plan) -> Result<(), Failure> {
    let (admin_listen, admin_asked_for) = plan.settings.admin_listen();
    let publishers_known = plan.settings.knows_publishers();
    let Settings { general, hub: hub_config, mut http, issuers, application, .. } = plan.settings;
    logging::start(&general.log_level);
    let mut signals = Signals::new().context("cannot listen to signals")?;
    raise_files_limit(http.limits.connections_max);
    let listener = bind(general.listen, "--listen").await?;
    let admin_listener = bind_admin(admin_listen, admin_asked_for).await?;
    let address = listener.local_addr().context("cannot tell the address")?;

    let root = http.root(address);
    let log = open_log(&general, &root)?;
    http.mercure.authorization_servers = mercure::authorization_servers(&issuers);
    http.authorization = authorization(issuers, application, &general.tokens, root)?;
    if let Some(authorization) = &mut http.authorization {
        authorization.credentials.compat = http.mercure.enabled && http.mercure.compat.is_on();
    }
    if let Some(warning) = mercure::warning(&http.mercure) {
        tracing::warn!("{warning}");
    }
    let hub = Hub::start(log, &hub_config).context("cannot start the hub's threads")?;
    let mut sources = Sources::new();
    for source in general.source {
        sources.start(source, hub.clone());
    }
    (plan.own)(&mut sources, &hub);
    if !general.listen.is_loopback() && !publishers_known {
        tracing::warn!("anybody who reaches {address} may publish, because of --insecure");
    }
    announce(address, publishers_known, &plan.hints);

    let stopping = CancellationToken::new();
    // It ends with the rest: while the hub stops, it tells so.
    let admin_config =
        AdminConfig { key: general.admin_key, authorization: http.authorization.clone() };
    let admin = tokio::spawn(admin(admin_listener, hub.clone(), admin_config));
    let server = async {
        let served =
            headwater_server::serve(listener, hub, http, stopping.clone().cancelled_owned()).await;
        stopping.cancel();
        admin.abort();
        // It holds the log, which is closed when nobody does.
        let _ = admin.await;
        served
    };
    let programs = async {
        stopping.cancelled().await;
        sources.stop().await;
    };
    tokio::select! {
        (served, ()) = async { tokio::join!(server, programs) } => {
            Ok(served.context("the server ended")?)
        }
        () = asked_twice(&mut signals, &stopping) => {
            Err(anyhow!("stopped at once: not every stream was ended").into())
        }
    }
}

/// Passes the first signal on; returns at the second.
async fn asked_twice(signals: &mut Signals, stopping: &CancellationToken) {
    let signal = signals.next().await;
    tracing::info!("stopping because of {signal}; once more to stop at once");
    stopping.cancel();
    signals.next().await;
}

/// The operator's listener. Without being asked for, it is none that a hub fails for.
async fn bind_admin(
    listen: Option<Listen>,
    asked_for: bool,
) -> Result<Option<TcpListener>, Failure> {
    let Some(listen) = listen else { return Ok(None) };
    if asked_for {
        return bind(listen, "--admin-listen").await.map(Some);
    }
    let bound = TcpListener::bind(listen.address()).await;
    if let Err(error) = &bound {
        tracing::warn!(
            "there are no metrics, because {listen} cannot be listened at ({error}): set admin_listen \
             to another address, or to \"off\""
        );
    }
    Ok(bound.ok())
}

/// Serves the operator's listener, if there is one.
async fn admin(listener: Option<TcpListener>, hub: Hub, config: AdminConfig) {
    let Some(listener) = listener else { return };
    if let Ok(address) = listener.local_addr() {
        tracing::info!("metrics are at http://{address}/metrics");
    }
    let forever = std::future::pending();
    if let Err(error) = headwater_server::serve_admin(listener, hub, config, forever).await {
        tracing::error!(%error, "the admin listener ended");
    }
}

/// Listens where a flag, or the setting of its name, says.
async fn bind(listen: Listen, flag: &str) -> Result<TcpListener, Failure> {
    let address = listen.address();
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program: end that one, or choose another port, as with \
             `{flag} {}`",
            SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or_default())
        )
        .into(),
        ErrorKind::AddrNotAvailable => Failure::usage(anyhow!(
            "{} is no address of this machine: choose another with `{flag}`",
            address.ip()
        )),
        ErrorKind::PermissionDenied => anyhow!(
            "only root may listen at {address}: choose a port from 1024 on, as with `{flag} {}`",
            SocketAddr::new(address.ip(), 8080)
        )
        .into(),
        _ => anyhow::Error::new(error).context(format!("cannot listen at {address}")).into(),
    })
}

/// Tells where the hub is. The first line is the same for everybody; programs read it.
fn announce(address: SocketAddr, keyed: bool, hints: &Hints) {
    let base = format!("http://{address}");
    let mut out = io::stdout().lock();
    let mut text = format!("Headwater is listening on {base}\n");
    if out.is_terminal() {
        text += &hints(&base, keyed);
    }
    // Whoever has closed it does not want to know.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Connections are files: as many as the system lets us have.
fn raise_files_limit(connections_max: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // What was allowed before still is.
    let _ = setrlimit(Resource::Nofile, raised);
    if let Some(files) = getrlimit(Resource::Nofile).current
        && files < u64::try_from(connections_max).unwrap_or(u64::MAX)
    {
        tracing::warn!(
            "the system allows {files} open files, fewer than limits.connections_max = \
             {connections_max}: raise it with `ulimit -n`, or LimitNOFILE= of systemd"
        );
    }
}

/// Who decides what may be done, if anybody does. Keys at a URL are fetched, and kept fresh, in the
/// background.
fn authorization(
    issuers: Vec<IssuerConfig>,
    application: Option<BackendConfig>,
    settings: &TokenSettings,
    root: Url,
) -> Result<Option<Authorization>, Failure> {
    if issuers.is_empty() && application.is_none() {
        return Ok(None);
    }
    let fetch = Arc::new(HttpFetch::new().context("cannot prepare for https")?);
    let tokens = Tokens::new(issuers, root, settings.limits(), fetch)
        .map_err(|(_, error)| Failure::usage(error))?;
    let judge = if let Some(config) = application {
        let application =
            token::Backend::new(config, tokens).context("cannot prepare to ask authorize_url")?;
        Judge::Application(Arc::new(application))
    } else {
        let fresh = tokens.clone();
        tokio::spawn(async move { fresh.keep_fresh().await });
        Judge::Tokens(tokens)
    };
    Ok(Some(Authorization { judge, credentials: settings.credentials() }))
}

/// Opens the log; says what was found on disk.
fn open_log(general: &General, root: &Url) -> Result<Arc<dyn Log>, Failure> {
    let retention = general.retention(root).map_err(|error| anyhow!(error))?;
    match general.log {
        Backend::Memory => {
            let epoch = Epoch::new(getrandom::u32().map_err(no_randomness)?);
            let key = IdKey::new(random_id_key()?);
            let log = MemoryLog::new(epoch, key, general.memory.limits(retention));
            Ok(Arc::new(log))
        }
        Backend::Disk => {
            let data = general.data.as_deref().unwrap_or(Path::new(DATA));
            // Epochs and nonces have to differ, not to be secret.
            let outside = Outside {
                id_key: random_id_key()?,
                random: Arc::new(|| fastrand::u64(..)),
                now: Arc::new(headwater_server::now),
            };
            let opened = DiskLog::open(data, general.disk.options(retention), outside);
            let (log, recovery) = opened.map_err(|error| anyhow!(error))?;
            let sound = recovery.damaged.is_empty() && recovery.missing.is_empty();
            if sound {
                tracing::info!("the log in {} has {recovery}", data.display());
            } else {
                tracing::error!("the log in {} has {recovery}", data.display());
            }
            Ok(Arc::new(log))
        }
    }
}

/// The key of the ids, which nobody is to guess.
fn random_id_key() -> anyhow::Result<[u8; 16]> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(no_randomness)?;
    Ok(key)
}

fn no_randomness(error: getrandom::Error) -> anyhow::Error {
    anyhow!("the system gives no random numbers: {error}")
}

impl Publish for Hub {
    fn now(&self) -> Millis {
        Self::now(self)
    }

    fn publish(&self, drafts: Vec<Draft>) -> impl Future<Output = Append> + Send {
        Self::publish(self, drafts)
    }

    fn listeners(&self, topic: Topic) -> watch::Receiver<usize> {
        self.watch_topic(topic)
    }
}
