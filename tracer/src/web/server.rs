//! The HTTP server around the pages: a bounded number of connections, each for a bounded time.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use super::{Site, router, tls::Tls};

/// Connections at a time; more wait in the kernel's accept queue.
const CONNECTIONS: u32 = 64;

/// A client that has said nothing at all by then is let go, so that a crowd of them holds up a scrape for less than a
/// usual scrape timeout.
const FIRST_WORD: Duration = Duration::from_secs(4);

/// A client that has not sent its next request by then is let go. Like the lifetime, no multiple of a usual scrape
/// interval: a connection shall not end at the very moment of the next scrape.
const REQUEST: Duration = Duration::from_secs(22);

/// A connection is closed at the first rest after this time, so that no client keeps its place for ever.
const LIFETIME: Duration = Duration::from_secs(127);

/// What is left of an answer then has this time.
const GRACE: Duration = Duration::from_secs(5);

/// Serves the site on all listeners until `shutdown` is ready, then lets the answers under way finish, for a few
/// seconds at most.
pub async fn serve(listeners: Vec<TcpListener>, site: Arc<Site>, shutdown: impl Future<Output = ()>) {
    let router = router(Arc::clone(&site));
    let places = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let (stop, stopped) = watch::channel(());
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            tokio::spawn(accept(
                listener,
                Arc::clone(&site),
                router.clone(),
                Arc::clone(&places),
                stopped.clone(),
            ))
        })
        .collect();
    drop(stopped);
    shutdown.await;
    drop(stop);
    for task in accepting {
        // A task that panicked has stopped accepting as well.
        let _ = task.await;
    }
    // Every place free: every connection has ended.
    let _ = timeout(GRACE, places.acquire_many(CONNECTIONS)).await;
}

/// Accepts while there is a place; ends when the sender of `stopped` is gone.
async fn accept(
    listener: TcpListener,
    site: Arc<Site>,
    router: Router,
    places: Arc<Semaphore>,
    mut stopped: watch::Receiver<()>,
) {
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            _ = stopped.changed() => return,
        };
        match accepted {
            Some((place, Ok((stream, _)))) => {
                tokio::spawn(converse(stream, Arc::clone(&site), router.clone(), place, stopped.clone()));
            }
            // Out of descriptors, or a client that has gone already: later ones may have more luck.
            Some((_, Err(error))) => {
                log::warn!("a client could not be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
            }
            None => return,
        }
    }
}

async fn converse(
    stream: TcpStream,
    site: Arc<Site>,
    router: Router,
    place: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<()>,
) {
    // Over TLS as well, the client speaks first.
    let mut first = [0];
    let speaks = tokio::select! {
        peeked = timeout(FIRST_WORD, stream.peek(&mut first)) => matches!(peeked, Ok(Ok(1))),
        _ = stopped.changed() => false,
    };
    if !speaks {
        return;
    }
    // Only a matter of speed.
    let _ = stream.set_nodelay(true);
    match site.security.tls.as_ref().map(Tls::acceptor) {
        None => answer(stream, router, stopped).await,
        Some(acceptor) => match timeout(REQUEST, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, router, stopped).await,
            Ok(Err(error)) => log::debug!("a client did not get through the TLS handshake: {error}"),
            Err(_) => {}
        },
    }
    drop(place);
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    router: Router,
    mut stopped: watch::Receiver<()>,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    tokio::select! {
        // A client that breaks off or talks nonsense is its own problem.
        _ = connection.as_mut() => return,
        () = sleep(LIFETIME) => {}
        _ = stopped.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}
