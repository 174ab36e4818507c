//! The way to the supervisor.

use std::fs;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use wsgi_proto::VERSION;
use wsgi_proto::admin::{Attach, ToControl, ToSupervisor};
use wsgi_proto::limits::MAX_DATAGRAM;
use wsgi_status::Snapshot;
use wsgi_sys::socket::Credentials;
use wsgi_sys::table::Table;
use wsgi_sys::{listener, socket};

use crate::arguments::Given;

/// Name of the socket in httpd's DefaultRuntimeDir.
const NAME: &str = "wsgictl.sock";
/// Where the kernel lists sockets.
const SOCKETS: &str = "/proc/net/unix";
/// How long the supervisor may take to lend its table.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the supervisor.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
}

/// The supervisor's slot table, lent.
#[derive(Debug)]
pub(super) struct Lent {
    table: Table,
}

impl Lent {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.table)
    }
}

impl Link {
    /// Connects to the socket that the options name, else to the only one there is.
    ///
    /// # Errors
    /// There is none, or several, or this user may not.
    pub(super) fn open(given: &Given) -> Result<Self, String> {
        let named = given.value("--socket").map(PathBuf::from);
        let path = match named.or_else(|| std::env::var_os("WSGICTL_SOCKET").map(PathBuf::from)) {
            Some(path) => path,
            None => only_one()?,
        };
        let socket = listener::connect_by_path(&path).map_err(|error| {
            let advice = match error.raw_os_error() {
                Some(libc::EACCES | libc::EPERM) => "; be root, or who runs httpd",
                Some(libc::ENOENT | libc::ECONNREFUSED) => "; httpd does not run",
                _ => "",
            };
            format!("{} can't be reached: {error}{advice}", path.display())
        })?;
        Ok(Self { socket })
    }

    /// Gives an order.
    ///
    /// # Errors
    /// The supervisor has ended.
    pub(super) fn send(&self, order: &ToSupervisor) -> Result<(), String> {
        let bytes = order.encode().map_err(|error| format!("the order is too long: {error}"))?;
        let sent = socket::send(self.socket.as_fd(), &[IoSlice::new(&bytes)], &[], true);
        // One that is refused has its answer already.
        match sent {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("the supervisor can't be told: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// The next answer.
    ///
    /// # Errors
    /// None comes in time, or the supervisor has ended.
    pub(super) fn receive(&self, patience: Duration) -> Result<ToControl, String> {
        self.receive_all(patience).map(|(answer, _)| answer)
    }

    fn receive_all(&self, patience: Duration) -> Result<(ToControl, Vec<OwnedFd>), String> {
        let failed = |error| format!("the supervisor can't be heard: {error}");
        let socket = self.socket.as_fd();
        let ready = socket::wait_readable(&[socket], Some(patience)).map_err(failed)?;
        if ready != [true] {
            let seconds = patience.as_secs();
            return Err(format!("not done within {seconds} s; it goes on, see wsgictl status"));
        }
        let mut buffer = vec![0; MAX_DATAGRAM as usize + 64];
        let received = match socket::receive(socket, &mut buffer, false) {
            // An end that came before the order was read is told first, and once; the
            // answer is behind it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                socket::receive(socket, &mut buffer, false)
            }
            received => received,
        };
        let received = received.map_err(failed)?;
        if received.length == 0 {
            return Err("the supervisor has ended; see httpd's error log".to_owned());
        }
        let bytes = buffer.get(..received.length).unwrap_or_default();
        let answer = ToControl::decode(bytes)
            .map_err(|_| "wsgictl and wsgi-supervisor are not of one release".to_owned())?;
        Ok((answer, received.descriptors))
    }

    /// Who listens at the socket.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(super) fn peer(&self) -> Result<Credentials, String> {
        listener::peer(self.socket.as_fd())
            .map_err(|error| format!("who is at the socket is unknown: {error}"))
    }

    /// Borrows the slot table.
    ///
    /// # Errors
    /// The supervisor refuses, or is of another release.
    pub(super) fn table(&self) -> Result<Lent, String> {
        self.send(&ToSupervisor::Attach(Attach { version: VERSION }))?;
        let (answer, descriptors) = self.receive_all(PATIENCE)?;
        match (answer, descriptors.into_iter().next()) {
            (ToControl::Attached(_), Some(table)) => {
                let table = Table::map(table.as_fd()).map_err(|error| error.to_string())?;
                Ok(Lent { table })
            }
            (ToControl::Failed(failed), _) => Err(failed.text),
            _ => Err("the supervisor's answer makes no sense".to_owned()),
        }
    }
}

/// The socket of the only httpd that runs here. The kernel's list has no path that
/// somebody has left behind.
fn only_one() -> Result<PathBuf, String> {
    let list = fs::read_to_string(SOCKETS).map_err(|error| {
        format!("{SOCKETS} can't be read: {error}; name the socket by --socket")
    })?;
    let mut paths: Vec<PathBuf> = listening(&list);
    paths.sort();
    paths.dedup();
    match &paths[..] {
        [path] => Ok(path.clone()),
        [] => Err("no httpd with mod_wsgi runs here".to_owned()),
        several => {
            let several: Vec<String> = several.iter().map(|p| p.display().to_string()).collect();
            Err(format!("several httpds run; name one by --socket: {}", several.join(", ")))
        }
    }
}

/// Paths of listening sockets of our name.
fn listening(list: &str) -> Vec<PathBuf> {
    // Num RefCount Protocol Flags Type St Inode Path; the flag says that it listens.
    const LISTENS: &str = "00010000";
    let path = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let listens = fields.nth(3) == Some(LISTENS);
        let path = Path::new(fields.nth(3)?);
        (listens && path.file_name().is_some_and(|name| name == NAME)).then(|| path.to_owned())
    };
    list.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_of_the_name_are_found() {
        let list = "Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0005 01 93 /run/apache2/wsgictl.sock
0000000000000000: 00000003 00000000 00000000 0005 03 94 /run/apache2/wsgictl.sock
0000000000000000: 00000002 00000000 00010000 0001 01 95 /run/dbus/system_bus_socket
0000000000000000: 00000003 00000000 00000000 0001 03 96
";
        assert_eq!(listening(list), [PathBuf::from("/run/apache2/wsgictl.sock")]);
    }
}
