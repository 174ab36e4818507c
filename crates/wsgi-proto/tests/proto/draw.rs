//! Records drawn from a pool of bytes.
//!
//! proptest shrinks the pool; an empty pool gives the smallest record, so that
//! what a failing test shows is small as well.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use wsgi_proto::channel::{BodyEnd, Demand, ENVIRON_NAMES, End, File, Outcome};
use wsgi_proto::{admin, control, daemon, mailbox};

use crate::model::{EntryName, Head, Record, Request};

/// Bytes to draw from; zeros when they are used up.
pub(crate) struct Pool<'a>(pub(crate) &'a [u8]);

impl Pool<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = N.min(self.0.len());
        array[..taken].copy_from_slice(&self.0[..taken]);
        self.0 = &self.0[taken..];
        array
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(u16::from_le_bytes(self.array())) % limit
    }
}

/// A value that can be drawn.
pub(crate) trait Draw: Sized {
    fn draw(pool: &mut Pool<'_>) -> Self;
}

macro_rules! draw_integer {
    ($($type:ty),*) => {$(
        impl Draw for $type {
            fn draw(pool: &mut Pool<'_>) -> Self {
                Self::from_le_bytes(pool.array())
            }
        }
    )*};
}

draw_integer!(u8, u16, u32, u64, i32);

impl Draw for f64 {
    fn draw(pool: &mut Pool<'_>) -> Self {
        Self::from(i32::draw(pool)) / 1024.0
    }
}

impl Draw for bool {
    fn draw(pool: &mut Pool<'_>) -> Self {
        u8::draw(pool) & 1 == 1
    }
}

impl Draw for String {
    fn draw(pool: &mut Pool<'_>) -> Self {
        let count = pool.below(24);
        (0..count).map(|_| char::from_u32(u32::from(u16::draw(pool))).unwrap_or('😀')).collect()
    }
}

impl Draw for PathBuf {
    fn draw(pool: &mut Pool<'_>) -> Self {
        Self::from(OsString::from_vec(Draw::draw(pool)))
    }
}

impl<T: Draw> Draw for Option<T> {
    fn draw(pool: &mut Pool<'_>) -> Self {
        bool::draw(pool).then(|| T::draw(pool))
    }
}

impl<T: Draw> Draw for Vec<T> {
    fn draw(pool: &mut Pool<'_>) -> Self {
        let count = pool.below(40);
        (0..count).map(|_| T::draw(pool)).collect()
    }
}

impl<A: Draw, B: Draw> Draw for (A, B) {
    fn draw(pool: &mut Pool<'_>) -> Self {
        (A::draw(pool), B::draw(pool))
    }
}

/// Names every field, so that a new one can't be forgotten.
macro_rules! draw_struct {
    ($($record:ty { $($field:ident),* })*) => {$(
        impl Draw for $record {
            #[allow(unused_variables)]
            fn draw(pool: &mut Pool<'_>) -> Self {
                Self { $($field: Draw::draw(pool),)* }
            }
        }
    )*};
}

macro_rules! draw_enum {
    ($($records:ty { $($variant:ident),* })*) => {$(
        impl Draw for $records {
            fn draw(pool: &mut Pool<'_>) -> Self {
                let all: &[fn(&mut Pool<'_>) -> Self] =
                    &[$(|pool| Self::$variant(Draw::draw(pool))),*];
                all[pool.below(all.len())](pool)
            }
        }
    )*};
}

draw_struct! {
    daemon::Hello { version, worker, python_version, executable }
    daemon::Start {
        process_group, application_group, threads, processes, multiprocess, run_once, preload,
        home, python_path, display_name, locale, stack_size, switch_interval, restrict_stdin,
        restrict_stdout, restrict_signal, log_level, version, apache_version, mpm_name,
        mpm_processes, mpm_threads
    }
    daemon::Channel { thread, epoch }
    daemon::Stop { reason }
    daemon::Ready { loaded }
    daemon::ChannelReady { thread, epoch }
    daemon::ChannelLost { thread, epoch }
    daemon::Log { level, text }
    daemon::Recycle { reason }
    daemon::Probe {}
    daemon::Interrupt { thread, age, raise }
    daemon::Trace { thread, age }
    daemon::Traced { thread, stack }
    daemon::Loaded { script }
    daemon::Alive {}
    mailbox::Register { version, generation, lease }
    mailbox::Registered { lease }
    mailbox::OpenPool { sequence, process_group, application_group, script, callable_object }
    mailbox::Pool { sequence, index, serial }
    mailbox::FetchChannel { sequence, slot }
    mailbox::Channel { sequence, slot, epoch, thread }
    mailbox::Refused { sequence, reason }
    mailbox::Waiting { pool }
    mailbox::ChannelBroken { slot, epoch }
    control::Begin {
        version, generation, module_version, apache_version, mpm_name, mpm_processes, mpm_threads,
        worker_directory, child_uid, slow_requests, telemetry, telemetry_interval, admin_socket
    }
    control::Preload { application_group, script }
    control::Interpreter {
        application_group, python_path, switch_interval, restrict_stdin, restrict_stdout,
        restrict_signal
    }
    control::Identity { name, uid, gid, groups, home }
    control::Group {
        name, origin, identity, processes, processes_max, multiprocess, threads, umask, chroot,
        home, lang, locale, display_name, python, python_home, python_path, python_eggs,
        python_flags, pure_worker, hash_seed, stack_size, cpu_priority, memory_limit,
        virtual_memory_limit, cpu_time_limit, resident_memory_limit, maximum_requests,
        maximum_requests_jitter, restart_interval, inactivity_timeout, idle_timeout,
        processes_cap, startup_timeout, deadlock_timeout, request_timeout, interrupt_timeout,
        graceful_timeout, eviction_timeout, shutdown_timeout, socket_timeout, send_buffer_size,
        receive_buffer_size, switch_interval, restrict_stdin, restrict_stdout, restrict_signal,
        server_metrics, interpreters, log_level, preload
    }
    control::Commit { generation }
    control::GenerationEnded { generation }
    control::Stop {}
    control::Cleared {}
    control::Committed { version, generation }
    admin::Attach { version }
    admin::Stacks { group }
    admin::Reload { group }
    admin::Scale { group, processes }
    admin::Drain { group }
    admin::Resume { group }
    admin::Attached { version, httpd }
    admin::Begun { text }
    admin::Done { text, processes }
    admin::Failed { text }
    BodyEnd { status }
    Request {
        has_body, reloads, cpu_time, request_start, queue_start, script, handler_script, callable_object, entries
    }
}

draw_enum! {
    daemon::ToDaemon { Start, Channel, Stop, Probe, Interrupt, Trace }
    daemon::ToSupervisor {
        Hello, Ready, ChannelReady, ChannelLost, Log, Recycle, Loaded, Alive, Traced
    }
    mailbox::ToSupervisor { Register, OpenPool, FetchChannel, Waiting, ChannelBroken }
    mailbox::ToChild { Registered, Pool, Channel, Refused }
    control::ToSupervisor { Begin, Group, Commit, GenerationEnded, Stop, Cleared }
    control::ToParent { Committed }
    admin::ToSupervisor { Attach, Stacks, Reload, Scale, Drain, Resume }
    admin::ToControl { Attached, Begun, Done, Failed }
}

impl Draw for Record {
    fn draw(pool: &mut Pool<'_>) -> Self {
        match pool.below(10) {
            0 => Self::Cancel,
            1 => Self::Body(Draw::draw(pool)),
            2 => Self::BodyEnd(Draw::draw(pool)),
            3 => Self::Request(Draw::draw(pool)),
            4 => Self::Demand(Draw::draw(pool)),
            5 => Self::Head(Draw::draw(pool)),
            6 => Self::Data { more: Draw::draw(pool), bytes: Draw::draw(pool) },
            7 => Self::File(Draw::draw(pool)),
            8 => Self::Log { level: u8::draw(pool) % 8, text: Draw::draw(pool) },
            _ => Self::End(Draw::draw(pool)),
        }
    }
}

impl Draw for EntryName {
    fn draw(pool: &mut Pool<'_>) -> Self {
        match u8::try_from(pool.below(ENVIRON_NAMES.len() + 1)) {
            Ok(id @ 1..) => Self::Known(id),
            _ => Self::Literal(Draw::draw(pool)),
        }
    }
}

impl Draw for Head {
    fn draw(pool: &mut Pool<'_>) -> Self {
        let status = 100 + u16::draw(pool) % 900;
        Self { status, reason: Draw::draw(pool), headers: Draw::draw(pool) }
    }
}

impl Draw for Demand {
    fn draw(pool: &mut Pool<'_>) -> Self {
        let need = u64::draw(pool);
        Self { need, window: need.saturating_add(u64::draw(pool)) }
    }
}

impl Draw for File {
    fn draw(pool: &mut Pool<'_>) -> Self {
        Self { offset: u64::draw(pool) >> 2, length: u64::draw(pool) >> 2 }
    }
}

impl Draw for End {
    fn draw(pool: &mut Pool<'_>) -> Self {
        Self {
            outcome: match pool.below(3) {
                0 => Outcome::Complete,
                1 => Outcome::Failed(400 + u16::draw(pool) % 200),
                _ => Outcome::Aborted,
            },
            application_time: Draw::draw(pool),
            cpu_time: Draw::draw(pool),
            input: Draw::draw(pool),
            output: Draw::draw(pool),
        }
    }
}
