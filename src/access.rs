//! Who is let in, and what may be run: the scripts that decide it, and the owners
//! that scripts must have.
//!
//! Whatever goes wrong, nobody is let in.
//!
//! *Runs in:* httpd child, on the thread that httpd gave the request.

pub(crate) mod ownership;

use crate::apache::Status;
use crate::apache::configuration::of_request;
use crate::apache::log::{Level, Loggable};
use crate::apache::request::Request;
use crate::config::DirectoryConfig;

/// Refuses every request to which a WSGIAccessScript applies, as it can't be asked.
pub(crate) fn access_checker(request: Request<'_>) -> Status {
    let script = of_request::<DirectoryConfig>(request)
        .and_then(|node| node.nearest(|directory| directory.access_script.clone()));
    let Some(script) = script else { return Status::DECLINED };
    let text = "MWR1300: access is denied, as WSGIAccessScript can't be asked";
    request.log(Level::Error, format_args!("{text}: {}", script.path.display()));
    Status::INTERNAL_SERVER_ERROR
}
