//! The proxy's thread: connections are accepted, and each is carried in two directions.

use super::conversation::{Conversation, Verdict};
use super::message::{Messages, length};
use super::rules::{Direction, Now, Rules};
use super::{Protocol, Target};
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Requests of clients before they log in: to encrypt by TLS or by GSSAPI.
const ENCRYPT: [u32; 2] = [80_877_103, 80_877_104];
const REFUSED: &[u8] = b"N";
const BUFFER: usize = 16 * 1024;

/// Accepts connections until it is told to stop; then all of them end with it.
pub(super) async fn serve(listener: std::net::TcpListener, target: Target, rules: Arc<Rules>) {
    let listener = TcpListener::from_std(listener).expect("a runtime, and a socket for it");
    let mut now = rules.watch();
    loop {
        let accepted = tokio::select! {
            _ = now.wait_for(|now| now.stop) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((client, _)) = accepted else { continue };
        if now.borrow().refuse {
            rules.count(|counts| counts.refused += 1);
            continue;
        }
        rules.count(|counts| counts.accepted += 1);
        let (target, rules) = (target.clone(), Arc::clone(&rules));
        let mut watch = rules.watch();
        tokio::spawn(async move {
            let closed = watch.borrow_and_update().closed;
            tokio::select! {
                _ = watch.wait_for(|now| now.closed != closed) => {}
                // Its error is a cut, or one of the two sides broke it: both hear it by the close.
                _ = carry(client, &target, &rules) => {}
            }
        });
    }
}

async fn carry(mut client: TcpStream, target: &Target, rules: &Arc<Rules>) -> Result<(), Error> {
    client.set_nodelay(true)?;
    let mut server = TcpStream::connect(&target.host_and_port).await?;
    server.set_nodelay(true)?;
    let conversation = match target.protocol {
        Protocol::Bytes => None,
        Protocol::Postgres => {
            let login = greet(&mut client, &mut rules.watch()).await?;
            Way::new(Direction::ToServer, rules, None)
                .deliver(&login, &mut server)
                .await?;
            let conversation = Conversation::new(Arc::clone(rules));
            Some(Arc::new(Mutex::new(conversation)))
        }
    };
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let there = Way::new(Direction::ToServer, rules, conversation.clone());
    let back = Way::new(Direction::ToClient, rules, conversation);
    // One that is cut ends the other.
    tokio::try_join!(
        there.carry(client_reads, server_writes),
        back.carry(server_reads, client_writes)
    )?;
    Ok(())
}

/// Refuses to encrypt, and returns the client's first message, which has no letter.
async fn greet(client: &mut TcpStream, now: &mut watch::Receiver<Now>) -> Result<Vec<u8>, Error> {
    loop {
        let mut message = vec![0; 4];
        client.read_exact(&mut message).await?;
        message.resize(length(&message)?, 0);
        client.read_exact(&mut message[4..]).await?;
        let code = message[4..]
            .first_chunk()
            .map(|code| u32::from_be_bytes(*code));
        if !code.is_some_and(|code| ENCRYPT.contains(&code)) {
            return Ok(message);
        }
        let both = |now: &Now| Direction::BOTH.iter().all(|way| !now.flow_of(*way).held);
        now.wait_for(both).await.map_err(Error::other)?;
        client.write_all(REFUSED).await?;
    }
}

/// One direction of a connection.
struct Way {
    direction: Direction,
    rules: Arc<Rules>,
    now: watch::Receiver<Now>,
    conversation: Option<Arc<Mutex<Conversation>>>,
}

impl Way {
    fn new(
        direction: Direction,
        rules: &Arc<Rules>,
        conversation: Option<Arc<Mutex<Conversation>>>,
    ) -> Way {
        Way {
            direction,
            rules: Arc::clone(rules),
            now: rules.watch(),
            conversation,
        }
    }

    /// Until the end, which it passes on, or a cut, which is an error.
    async fn carry(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), Error> {
        let mut buffer = vec![0; BUFFER];
        let mut messages = Messages::default();
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                self.may_deliver().await?;
                return to.shutdown().await;
            }
            let Some(conversation) = self.conversation.clone() else {
                self.deliver(&buffer[..count], &mut to).await?;
                continue;
            };
            messages.extend(&buffer[..count]);
            let (bytes, cut) = self.judge(&mut messages, &conversation)?;
            self.deliver(&bytes, &mut to).await?;
            if cut {
                return Err(cut_off());
            }
        }
    }

    /// The bytes of all complete messages that may pass, and whether the connection is cut then.
    fn judge(
        &self,
        messages: &mut Messages,
        conversation: &Mutex<Conversation>,
    ) -> Result<(Vec<u8>, bool), Error> {
        let mut conversation = conversation.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        while let Some(message) = messages.next()? {
            let verdict = match self.direction {
                Direction::ToServer => conversation.client_says(&message),
                Direction::ToClient => conversation.server_says(&message),
            };
            if verdict != Verdict::CutBefore {
                bytes.extend_from_slice(message.bytes());
            }
            if verdict != Verdict::Pass {
                return Ok((bytes, true));
            }
        }
        Ok((bytes, false))
    }

    async fn deliver(
        &mut self,
        bytes: &[u8],
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.may_deliver().await?;
        let allowed = self.rules.allow(self.direction, bytes.len());
        to.write_all(&bytes[..allowed]).await?;
        if allowed < bytes.len() {
            return Err(cut_off());
        }
        Ok(())
    }

    /// Waits as long as it takes, and as long as a black hole is there.
    async fn may_deliver(&mut self) -> Result<(), Error> {
        let delay = self.now.borrow().flow_of(self.direction).delay;
        tokio::time::sleep(delay).await;
        let direction = self.direction;
        let open = |now: &Now| !now.flow_of(direction).held;
        self.now
            .wait_for(open)
            .await
            .map(drop)
            .map_err(Error::other)
    }
}

fn cut_off() -> Error {
    Error::new(ErrorKind::ConnectionAborted, "cut")
}
