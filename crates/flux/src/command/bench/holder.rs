//! An HTTP server that never answers: whoever asks it is busy, and costs no process.

use crate::exit::Failure;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Requests that one address gets: of each pair of addresses a machine makes 28,000 connections, and those
/// of a process that was killed count for another minute.
const PER_ADDRESS: usize = 5_000;

/// The longest head of a request.
const HEAD: usize = 1024;

/// The server, until it is dropped.
pub struct Holder {
    addresses: Vec<String>,
    held: watch::Receiver<Held>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// How many connections ask for each number.
#[derive(Default)]
struct Held(HashMap<usize, u32>);

impl Holder {
    /// For so many requests at the same time, each with a number of its own.
    pub async fn start(requests: usize) -> Result<Holder, Failure> {
        let failed = |error| Failure::new(1, format!("cannot listen on a local port: {error}"));
        let (telling, held) = watch::channel(Held::default());
        let telling = Arc::new(telling);
        let (mut addresses, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..requests.div_ceil(PER_ADDRESS) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .map_err(failed)?;
            addresses.push(format!("http://{}", listener.local_addr().map_err(failed)?));
            let task = tokio::spawn(listen(listener, Arc::clone(&telling)));
            tasks.push(AbortOnDropHandle::new(task));
        }
        Ok(Holder {
            addresses,
            held,
            _tasks: tasks,
        })
    }

    /// Whom the request with this number is for.
    pub fn url(&self, number: usize) -> String {
        format!("{}/{number}", self.addresses[number % self.addresses.len()])
    }

    /// How many numbers are asked for now.
    pub fn count(&self) -> usize {
        self.held.borrow().0.len()
    }

    /// Waits until so many numbers are asked for.
    pub async fn reaches(&self, count: usize) {
        let mut held = self.held.clone();
        let _reached = held.wait_for(|held| held.0.len() == count).await;
    }
}

async fn listen(listener: TcpListener, held: Arc<watch::Sender<Held>>) {
    loop {
        // What fails here has failed for the one that connects; all files in use is told by who waits.
        match listener.accept().await {
            Ok((connection, _)) => drop(tokio::spawn(hold(connection, Arc::clone(&held)))),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Until the other side gives up.
async fn hold(mut connection: TcpStream, held: Arc<watch::Sender<Held>>) {
    let Some(number) = number(&mut connection).await else {
        return;
    };
    held.send_modify(|held| *held.0.entry(number).or_default() += 1);
    let mut rest = [0; 64];
    while matches!(connection.read(&mut rest).await, Ok(1..)) {}
    held.send_modify(|held| {
        let count = held.0.entry(number).or_default();
        *count = count.saturating_sub(1);
        if *count == 0 {
            held.0.remove(&number);
        }
    });
}

/// The number in the path of the request, once its head has come.
async fn number(connection: &mut TcpStream) -> Option<usize> {
    let mut head = Vec::with_capacity(HEAD);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = connection.read_buf(&mut head).await.ok()?;
        if read == 0 || head.len() > HEAD {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let (_, path) = head.split_once(" /")?;
    path.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_request_counts_until_its_connection_ends() {
        let holder = Holder::start(7).await.expect("a port is free");
        let url = holder.url(4711);
        let address = url.trim_start_matches("http://").trim_end_matches("/4711");
        let mut connection = TcpStream::connect(address).await.expect("it listens");
        let request = b"GET /4711 HTTP/1.1\r\nhost: here\r\n\r\n";
        connection.write_all(request).await.expect("it reads");
        holder.reaches(1).await;
        drop(connection);
        holder.reaches(0).await;
    }
}
