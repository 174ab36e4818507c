//! An application that is safe only alone in its process, in the configuration written for it.

use crate::harness::{Config, Gate, Request, Server, Visitor};

fn serve(group: &str) -> Server {
    // The module's documentation has the group in the <Directory>, under the old access control.
    let config = Config::new()
        .module("access_compat")
        .line(group)
        .mount("/", "karrigell.wsgi")
        .expect_errors();
    config.environment("SCRATCH", "{root}/scratch").start()
}

const DIRECTORY: &str = "<Directory {apps}>\nWSGIProcessGroup karrigell\nOrder deny,allow\nAllow from all\n\
                         Require all granted\n</Directory>";

/// Has five pages below `folder` begin, and then end in the opposite order, a few times.
pub(crate) fn five_at_once(server: &Server, folder: &str) {
    let gate = Gate::open();
    for round in 0..4 {
        let mut connections: Vec<_> = (0..5)
            .map(|number| {
                let mut connection = server.connect();
                let target = format!("{folder}r{round}n{number}?{}", gate.query());
                connection.send(&Request::get(&target)).unwrap();
                connection
            })
            .collect();
        let visitors: Vec<_> = (0..5).map(|_| gate.visitor()).collect();
        visitors.into_iter().rev().for_each(Visitor::release);
        for (number, connection) in connections.iter_mut().enumerate() {
            let head = connection.head().unwrap();
            let page = String::from_utf8(connection.body(&head).unwrap()).unwrap();
            let name = format!("r{round}n{number}");
            assert_eq!(page, format!("{name} begins\n{name} is in {name}\n"));
        }
    }
}

#[test]
fn five_at_once_do_not_mix_their_output() {
    let server = serve(&format!("WSGIDaemonProcess karrigell processes=5 threads=1\n{DIRECTORY}"));
    five_at_once(&server, "/");
}

#[test]
fn threads_and_the_empty_group_are_recognised() {
    let server = serve(&format!("WSGIDaemonProcess karrigell threads=5\n{DIRECTORY}"));
    assert_eq!(server.get("/").expect(500).text(), "CONFIGURATION ERROR\n");
    let server = serve("");
    assert_eq!(server.get("/").expect(500).text(), "CONFIGURATION ERROR\n");
}
