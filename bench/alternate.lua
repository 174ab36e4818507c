-- wrk's side of bench/observed: a thread for each of two ports, and they take turns. Each has its
-- connections throughout, and sends requests in its own slices of time only.

local ffi = require("ffi")
ffi.cdef [[
    struct moment { long seconds, nanoseconds; };
    int clock_gettime(int clock, struct moment *moment);
]]

local MONOTONIC = 1
local ports = string.gmatch(os.getenv("BENCH_PORTS"), "%d+")
local threads = {}

-- Runs once, before the threads do.
function setup(thread)
    table.insert(threads, thread)
    thread.addr = wrk.lookup("127.0.0.1", ports())[1]
    thread:set("place", #threads - 1)
end

-- From here on: runs in each thread. What other threads see is global.
sent = 0

local moment = ffi.new("struct moment")
local slice = tonumber(os.getenv("BENCH_SLICE"))

function init()
    whole = wrk.format()
end

-- Milliseconds until this connection may send.
function delay()
    ffi.C.clock_gettime(MONOTONIC, moment)
    local now = tonumber(moment.seconds) * 1000 + tonumber(moment.nanoseconds) / 1e6
    local turn = math.floor(now / slice)
    if turn % 2 == place then
        return 0
    end
    return math.ceil((turn + 1) * slice - now)
end

function request()
    sent = sent + 1
    return whole
end

function done(summary)
    local errors = summary.errors
    io.write(string.format(
        '\nBENCH {"sent": [%d, %d], "errors": %d}\n',
        threads[1]:get("sent"), threads[2]:get("sent"),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
