//! httpd's scoreboard as the dict that `mod_wsgi.server_metrics()` returns, in JSON.
//!
//! Names and units are mod_wsgi's: seconds since 1970, 0 for what has not happened.

use crate::json::{array, object};

/// What each thread of each child of httpd does.
#[derive(Clone, Debug, Default)]
pub struct Scoreboard {
    /// ServerLimit.
    pub server_limit: u32,
    /// ThreadLimit.
    pub thread_limit: u32,
    /// Number of the configuration that runs.
    pub generation: u32,
    /// When it began to, in microseconds.
    pub restarted: u64,
    /// When the scoreboard was read, in microseconds.
    pub taken: u64,
    /// Places for children, whether there is one or not.
    pub children: Vec<Child>,
}

/// A place for a child.
#[derive(Clone, Debug, Default)]
pub struct Child {
    /// Its process; 0 for none.
    pub pid: i32,
    /// The configuration that it was started with.
    pub generation: u32,
    /// Whether it ends when its requests have.
    pub quiescing: bool,
    /// Places for threads.
    pub workers: Vec<Worker>,
}

/// A place for a thread. Times are in microseconds.
#[derive(Clone, Debug)]
pub struct Worker {
    /// httpd's number of the thread, counted over all children.
    pub number: u32,
    /// The configuration that it was started with.
    pub generation: u32,
    /// mod_status' letter.
    pub status: char,
    /// Requests served in this place.
    pub accesses: u64,
    /// Bytes sent in this place.
    pub bytes: u64,
    /// When its last request began.
    pub started: u64,
    /// When its last request ended.
    pub stopped: u64,
    /// When the status changed.
    pub used: u64,
    /// The client's address.
    pub client: String,
    /// The request's first line.
    pub request: String,
    /// The virtual host.
    pub host: String,
}

impl Scoreboard {
    /// The dict as a JSON document.
    #[must_use]
    pub fn document(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        object(&mut out, |json| {
            json.number("server_limit", self.server_limit);
            json.number("thread_limit", self.thread_limit);
            json.number("running_generation", self.generation);
            json.seconds("restart_time", self.restarted);
            json.seconds("current_time", self.taken);
            json.number("running_time", self.taken.saturating_sub(self.restarted) / 1_000_000);
            json.member("processes", |out| {
                let children: Vec<_> = self.children.iter().enumerate().collect();
                array(out, &children, |json, (number, child)| {
                    json.number("process_num", number);
                    json.number("pid", child.pid);
                    json.number("generation", child.generation);
                    json.flag("quiescing", child.quiescing);
                    json.member("workers", |out| {
                        array(out, &child.workers, |json, worker| worker.write(json));
                    });
                });
            });
        });
        out
    }
}

impl Worker {
    fn write(&self, json: &mut crate::json::Members<'_>) {
        json.number("thread_num", self.number);
        json.number("generation", self.generation);
        json.text("status", self.status.encode_utf8(&mut [0; 4]));
        json.number("access_count", self.accesses);
        json.number("bytes_served", self.bytes);
        json.seconds("start_time", self.started);
        json.seconds("stop_time", self.stopped);
        json.seconds("last_used", self.used);
        json.text("client", &self.client);
        json.text("request", &self.request);
        json.text("vhost", &self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_those_of_mod_wsgi() {
        let worker = Worker {
            number: 64,
            generation: 2,
            status: 'W',
            accesses: 3,
            bytes: 400,
            started: 1_500_000,
            stopped: 0,
            used: 2_000_001,
            client: "127.0.0.1".into(),
            request: "GET /\"\\ HTTP/1.1".into(),
            host: "a:80".into(),
        };
        let child = Child { pid: 7, generation: 2, quiescing: true, workers: vec![worker] };
        let board = Scoreboard {
            server_limit: 1,
            thread_limit: 1,
            generation: 2,
            restarted: 1_000_000,
            taken: 4_900_000,
            children: vec![child],
        };
        assert_eq!(
            board.document(),
            r#"{"server_limit":1,"thread_limit":1,"running_generation":2,"#.to_owned()
                + r#""restart_time":1.000000,"current_time":4.900000,"running_time":3,"#
                + r#""processes":[{"process_num":0,"pid":7,"generation":2,"quiescing":true,"#
                + r#""workers":[{"thread_num":64,"generation":2,"status":"W","access_count":3,"#
                + r#""bytes_served":400,"start_time":1.500000,"stop_time":0.000000,"#
                + r#""last_used":2.000001,"client":"127.0.0.1","request":"GET /\"\\ HTTP/1.1","#
                + r#""vhost":"a:80"}]}]}"#
        );
    }
}
