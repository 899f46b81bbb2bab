//! A TCP proxy that lets so many bytes of a source's answers through, and then is gone.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// A proxy in front of 127.0.0.1.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: u16,
    left: AtomicU64,
    cut: AtomicBool,
}

impl Proxy {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            to: port,
            left: AtomicU64::new(u64::MAX),
            cut: AtomicBool::new(false),
        });
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.cut.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(&client));
            }
        });
        proxy
    }

    /// From now on so many bytes come through.
    pub fn allow(&self, bytes: u64) {
        self.shared.left.store(bytes, Ordering::SeqCst);
    }

    pub fn has_cut(&self) -> bool {
        self.shared.cut.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.to)) else {
            return;
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = std::io::copy(&mut &*client, &mut &server);
                let _ = server.shutdown(Shutdown::Both);
            });
            self.answers(&server, client);
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        });
    }

    fn answers(&self, mut server: &TcpStream, mut client: &TcpStream) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = server.read(&mut buffer) {
            let left = self.left.load(Ordering::SeqCst);
            let pass = usize::try_from(left).unwrap_or(usize::MAX).min(count);
            if client.write_all(&buffer[..pass]).is_err() {
                return;
            }
            if pass < count {
                self.cut.store(true, Ordering::SeqCst);
                return;
            }
            if left != u64::MAX {
                self.left.store(left - pass as u64, Ordering::SeqCst);
            }
        }
    }
}
