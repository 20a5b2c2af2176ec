//! The connections of clients: so many and no more, and none that says nothing.

use futures_util::Stream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

/// Connections at a time.
const MOST: usize = 2_000;

/// Within this time a client must have said that it speaks HTTP/2.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes with which every HTTP/2 connection begins.
const PREFACE: usize = 24;

/// The connections that clients open on an address.
pub(crate) struct Connections {
    incoming: TcpIncoming,
    free: Arc<Semaphore>,
}

impl Connections {
    /// Listens on an address; must be called on a runtime.
    pub fn listen(address: SocketAddr) -> io::Result<Connections> {
        // tonic heeds `tcp_nodelay` of its builder only where it listens itself.
        let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
        let free = Arc::new(Semaphore::new(MOST));
        Ok(Connections { incoming, free })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.incoming.local_addr()
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let next = ready!(Pin::new(&mut self.incoming).poll_next(cx));
            let stream = match next {
                Some(Ok(stream)) => stream,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            match Arc::clone(&self.free).try_acquire_owned() {
                Ok(place) => return Poll::Ready(Some(Ok(Connection::new(stream, place)))),
                // Closed at once: the client learns it, and may ask another engine.
                Err(_) => tracing::warn!("{MOST} clients are connected; one more was refused"),
            }
        }
    }
}

/// A connection, and its place among all of them.
pub(crate) struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    /// Until the client has said as much as a preface.
    greeting: Option<Greeting>,
}

struct Greeting {
    said: usize,
    patience: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Connection {
        let patience = Box::pin(sleep(SILENCE));
        Connection {
            stream,
            _place: place,
            greeting: Some(Greeting { said: 0, patience }),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut me.stream).poll_read(cx, buffer);
        if let Some(greeting) = &mut me.greeting {
            greeting.said += buffer.filled().len() - before;
            if greeting.said >= PREFACE {
                me.greeting = None;
            } else if read.is_pending() && greeting.patience.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
