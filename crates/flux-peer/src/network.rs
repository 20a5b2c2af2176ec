//! The network of one engine: what it tells and what it has heard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flux_core::balance::{self, Load, Report, Score};
use flux_core::clock::BootTime;
use flux_core::host::Host;
use flux_core::ids::Incarnation;
use flux_core::labels::is_private;
use flux_core::ports::identity::Cluster;
use flux_core::ports::members::{Member, MemberState};
use flux_core::ports::peers::{Local, PeerReport, Peers};
use flux_proto::peer::v1 as wire;
use flux_proto::peer::v1::peer_service_server::PeerServiceServer;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::service::Service;

/// An engine reports at least this often.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// .. and at most this often.
const AT_MOST: Duration = Duration::from_millis(100);
/// What a peer may send at once.
const LARGEST: usize = 64 * 1024;

/// What a network must be told.
#[derive(Clone)]
pub struct Config {
    /// The cluster whose engines it talks to.
    pub cluster: Cluster,
    /// The machine of this engine: only on it are addresses like `127.0.0.1` of others any good.
    pub host_name: String,
    /// The pool of this engine: the labels that it has.
    pub pool: Option<String>,
    /// The version of the program.
    pub version: String,
    /// Whose certificates are trusted, as PEM; the authorities of the system when nothing is said.
    pub ca_pem: Option<String>,
}

/// The network of one engine. Clones share it; it ends with the last one.
#[derive(Clone)]
pub struct Network {
    pub(crate) inner: Arc<Inner>,
    _end: Arc<End>,
}

/// Ends the tasks of the network when it is dropped.
struct End(CancellationToken);

impl Drop for End {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

pub(crate) struct Inner {
    pub config: Config,
    pub host: Arc<dyn Host>,
    /// The latest report of this engine; none before it serves.
    pub own: watch::Sender<Option<wire::LoadReport>>,
    /// Each with the engines that are meant.
    pub nudges: broadcast::Sender<(Arc<[Incarnation]>, wire::Nudge)>,
    /// The own load has changed.
    changed: Notify,
    /// The members have changed, or a link has ended.
    pub dial: Notify,
    pub end: CancellationToken,
    table: Mutex<Table>,
}

#[derive(Default)]
pub(crate) struct Table {
    pub me: Option<(Incarnation, Arc<dyn Local>)>,
    /// Where the living others are reached.
    pub addresses: BTreeMap<Incarnation, String>,
    /// Which of the conversations with each other engine is the present one.
    pub links: BTreeMap<Incarnation, u64>,
    last_link: u64,
    reports: BTreeMap<Incarnation, (Report, String)>,
}

impl Network {
    /// A network that hears of nobody until it is told of the members. Its tasks run on `host`.
    #[must_use]
    pub fn start(config: Config, host: Arc<dyn Host>) -> Network {
        let end = CancellationToken::new();
        let inner = Arc::new(Inner {
            config,
            host,
            own: watch::Sender::new(None),
            nudges: broadcast::Sender::new(16),
            changed: Notify::new(),
            dial: Notify::new(),
            end: end.clone(),
            table: Mutex::default(),
        });
        let reporter = Arc::clone(&inner);
        inner.spawn(async move { reporter.report().await });
        let dialer = Arc::clone(&inner);
        inner.spawn(crate::dial::run(dialer));
        Network {
            inner,
            _end: Arc::new(End(end)),
        }
    }

    /// What the others call, to be served on this engine's port.
    #[must_use]
    pub fn service(&self) -> PeerServiceServer<impl wire::peer_service_server::PeerService> {
        PeerServiceServer::new(Service {
            inner: Arc::clone(&self.inner),
        })
        .max_decoding_message_size(LARGEST)
    }

    /// The latest load that was heard of this engine, and for how long it has been known.
    #[must_use]
    pub fn load_of(&self, who: Incarnation) -> Option<(Load, Duration)> {
        let table = self.inner.table();
        if let Some((_, local)) = table.me.as_ref().filter(|(me, _)| *me == who) {
            return Some((local.load(), Duration::ZERO));
        }
        let (report, _) = table.reports.get(&who)?;
        Some((report.load, self.inner.host.boot().since(report.at)))
    }
}

impl Inner {
    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task until the network ends.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let end = self.end.clone();
        self.host.spawn(Box::pin(async move {
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                () = task => {}
            }
        }));
    }

    /// Publishes the load when it has changed, and every second.
    async fn report(&self) {
        loop {
            let local = self.table().me.as_ref().map(|(_, local)| Arc::clone(local));
            if let Some(local) = local {
                let report = self.told(&local.load());
                self.own.send_replace(Some(report));
            }
            self.host.sleep(AT_MOST).await;
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = self.host.sleep(EVERY.saturating_sub(AT_MOST)) => {}
            }
        }
    }

    fn told(&self, load: &Load) -> wire::LoadReport {
        wire::LoadReport {
            running: load.running,
            concurrency_level: load.concurrency,
            resources: load.score.map(|score| score.available),
            claimed_since: load.score.map_or(0, |score| score.claimed),
            pool: self.config.pool.clone().unwrap_or_default(),
            version: self.config.version.clone(),
        }
    }

    pub fn heard(&self, from: Incarnation, told: wire::LoadReport) {
        let score = told.resources.map(|available| Score {
            available,
            claimed: told.claimed_since,
        });
        let load = Load {
            running: told.running,
            concurrency: told.concurrency_level,
            score,
        };
        let at: BootTime = self.host.boot();
        let report = Report { from, load, at };
        self.table().reports.insert(from, (report, told.pool));
    }

    pub fn nudged(&self, nudge: &wire::Nudge) {
        let table = self.table();
        if let Some((_, local)) = &table.me
            && share(&nudge.pool, self.config.pool.as_deref().unwrap_or_default())
        {
            local.nudged();
        }
    }

    /// The other engines that should take `ready` branches. Twice as many as the plan says: theirs may be a
    /// little different. And all that have labels, because the work may be pinned.
    fn takers(&self, ready: u32) -> Vec<Incarnation> {
        let table = self.table();
        let own_pool = self.config.pool.as_deref().unwrap_or_default();
        let sharing = || {
            let reports = table.reports.iter();
            reports.filter(|(_, (_, pool))| share(pool, own_pool))
        };
        let others = sharing().map(|(who, (report, _))| (*who, report.load));
        let own = table.me.as_ref().map(|(me, local)| (*me, local.load()));
        let mut takers = balance::takers(others.chain(own), ready.saturating_mul(2));
        takers.extend(
            sharing()
                .filter(|(_, (_, pool))| !pool.is_empty())
                .map(|(who, _)| who),
        );
        takers.retain(|taker| own.is_none_or(|(me, _)| me != *taker));
        takers
    }

    /// A conversation with another engine begins, in the place of an earlier one; its number.
    pub fn begin(&self, with: Incarnation) -> u64 {
        let mut table = self.table();
        table.last_link += 1;
        let number = table.last_link;
        table.links.insert(with, number);
        number
    }

    /// Whether a conversation has not been replaced by a later one.
    pub fn is_present(&self, with: Incarnation, number: u64) -> bool {
        self.table().links.get(&with) == Some(&number)
    }

    pub fn end(&self, with: Incarnation, number: u64) {
        let mut table = self.table();
        if table.links.get(&with) == Some(&number) {
            table.links.remove(&with);
            table.reports.remove(&with);
        }
        drop(table);
        self.dial.notify_one();
    }
}

impl Peers for Network {
    fn serve(&self, me: Incarnation, engine: Arc<dyn Local>) {
        let mut table = self.inner.table();
        let anew = table.me.as_ref().is_none_or(|(before, _)| *before != me);
        table.me = Some((me, engine));
        if anew {
            // The others know the former one; these conversations are over.
            table.links.clear();
            table.reports.clear();
        }
        drop(table);
        self.inner.changed.notify_one();
        self.inner.dial.notify_one();
    }

    fn meet(&self, members: &[Member]) {
        let mut table = self.inner.table();
        let me = table.me.as_ref().map(|(me, _)| *me);
        let living = members
            .iter()
            .filter(|m| m.state != MemberState::Dead && Some(m.incarnation) != me);
        let here = self.inner.config.host_name.as_str();
        let reached = living.filter_map(|member| {
            let address = member.address.clone()?;
            let usable = member.host == here || !is_loopback(&address);
            usable.then_some((member.incarnation, address))
        });
        table.addresses = reached.collect();
        let dead = members.iter().filter(|m| m.state == MemberState::Dead);
        for member in dead {
            table.reports.remove(&member.incarnation);
        }
        drop(table);
        self.inner.dial.notify_one();
    }

    fn changed(&self) {
        self.inner.changed.notify_one();
    }

    fn nudge(&self, ready: u32) {
        let pool = self.inner.config.pool.clone().unwrap_or_default();
        let takers = self.inner.takers(ready);
        if !takers.is_empty() {
            let nudge = wire::Nudge { pool, ready };
            // Nobody listens when there are no links.
            let _nobody = self.inner.nudges.send((takers.into(), nudge));
        }
    }

    fn reports(&self) -> Vec<PeerReport> {
        let own = self.inner.config.pool.as_deref().unwrap_or_default();
        let table = self.inner.table();
        let sharing = table.reports.values().filter(|(_, pool)| share(pool, own));
        let told = |(report, pool): &(Report, String)| PeerReport {
            report: *report,
            is_alike: pool == own,
        };
        sharing.map(told).collect()
    }
}

/// Whether engines of these pools work on the same branches: those of the common pool, whatever their
/// labels are, or those of the same private one.
fn share(one: &str, other: &str) -> bool {
    let private = |pool: &str| is_private(Some(pool).filter(|pool| !pool.is_empty()));
    one == other || !(private(one) || private(other))
}

/// Whether an address leads to the machine that uses it.
fn is_loopback(address: &str) -> bool {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|loopback| host.starts_with(loopback))
}
