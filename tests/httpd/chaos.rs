//! Processes killed and stopped at random under load: what is answered is right, and afterwards
//! all capacity is back.
//!
//! `CHAOS=seconds` makes it longer (`make chaos`); `SEED=number` repeats a run's decisions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Config, Connection, Gate, PATIENCE, Process, Request, Server, Visitor, program,
};
use crate::ours_only;

const THREADS: usize = 3;
const PROCESSES: usize = 2;

/// Xorshift: repeatable, and good enough to choose victims by.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What clients saw.
#[derive(Default)]
struct Tally {
    right: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
}

/// Sends bodies of random sizes and checks every answer, until told to stop.
fn client(server: &Server, seed: u64, stop: &AtomicBool, tally: &Tally) {
    let mut dice = Dice(seed);
    while !stop.load(Ordering::Relaxed) {
        let body = vec![u8::try_from(dice.below(256)).unwrap(); dice.below(200_000)];
        let answer = Connection::open(server.address()).and_then(|mut connection| {
            connection.exchange(&Request::post("/digest", body.clone()))
        });
        let counter = match answer {
            Ok(response) if response.status() == 200 => {
                let (digest, echoed) = response.body.split_at(65);
                assert!(echoed == body, "a body of {} bytes came back wrong", body.len());
                assert_eq!(digest.len(), 65);
                &tally.right
            }
            Ok(response) => {
                assert!(matches!(response.status(), 502..=504), "status {}", response.status());
                &tally.refused
            }
            // A killed httpd child, or a response that broke off.
            Err(_) => &tally.broken,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Picks a process and ends or suspends it.
fn strike(server: &Server, dice: &mut Dice) {
    let children = server.children();
    let supervisor = server.supervisor();
    let processes = server.processes();
    let daemons = processes
        .iter()
        .filter(|process| !children.contains(process) && Some(**process) != supervisor)
        .copied()
        .collect::<Vec<Process>>();
    let victims: Vec<Process> = match dice.below(10) {
        0..5 => daemons,
        5..8 => children,
        _ => supervisor.into_iter().collect(),
    };
    let Some(victim) = (!victims.is_empty()).then(|| victims[dice.below(victims.len())]) else {
        return;
    };
    if dice.below(3) == 0 {
        victim.signal("STOP");
        thread::sleep(Duration::from_millis(u64::try_from(dice.below(300)).unwrap()));
        victim.signal("CONT");
    } else {
        victim.signal("KILL");
    }
}

/// How long capacity may take to come back: a process that was killed while it started is
/// started again after a pause, which grows up to 30 seconds.
const BACK: Duration = Duration::from_secs(90);

/// All threads of all processes must be free again.
fn capacity_is_back(server: &Server) {
    let source = "
        def run(environ, start_response):
            gate.wait(environ)
            start_response('200 OK', [])
            return [b'']
        ";
    let begun = Instant::now();
    let all_inside = || {
        let gate = Gate::open();
        let request = Request::get(&format!("{}&{}", program(source), gate.query()));
        let count = PROCESSES * THREADS;
        let mut connections: Vec<Connection> = (0..count).map(|_| server.connect()).collect();
        for connection in &mut connections {
            connection.send(&request).ok()?;
        }
        let deadline = Instant::now() + PATIENCE / 4;
        let mut inside = Vec::new();
        while inside.len() < count && Instant::now() < deadline {
            match gate.try_visitor() {
                Some(visitor) => inside.push(visitor),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
        let all = inside.len() == count;
        inside.into_iter().for_each(Visitor::release);
        all.then_some(())
    };
    while all_inside().is_none() {
        assert!(begun.elapsed() < BACK, "not all threads are back");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn chaos_spoils_no_response_and_costs_no_capacity() {
    ours_only!("mod_wsgi ends broken responses as if they were whole");
    let seconds = number("CHAOS", 10);
    let seed = number("SEED", u64::from(std::process::id()) | 1);
    println!("SEED={seed}");
    let options = format!("processes={PROCESSES} threads={THREADS}");
    let server = Config::new()
        .daemon("app", &options)
        .line("WSGIProcessGroup app\nWSGIApplicationGroup %{GLOBAL}")
        .mount("/digest", "digest.wsgi")
        .mount("/", "program.wsgi")
        .expect_log("AH00052")
        .expect_log("AH00051")
        .expect_log("[mpm_")
        .expect_log("[wsgi:crit]")
        .expect_log(":notice]")
        .expect_errors()
        .start();
    capacity_is_back(&server);
    let (stop, tally) = (AtomicBool::new(false), Tally::default());
    thread::scope(|scope| {
        for index in 0..8 {
            let (server, stop, tally) = (&server, &stop, &tally);
            scope.spawn(move || client(server, seed + 2 * index, stop, tally));
        }
        let mut dice = Dice(seed);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < deadline {
            thread::sleep(Duration::from_millis(u64::try_from(dice.below(250)).unwrap()));
            strike(&server, &mut dice);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} right, {} refused, {} broken off",
        count(&tally.right),
        count(&tally.refused),
        count(&tally.broken)
    );
    assert!(count(&tally.right) > 0);
    capacity_is_back(&server);
}
