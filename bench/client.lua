-- wrk's side of a workload: what to send comes from the environment, what was measured
-- leaves as one line of JSON. There is no request() function, so wrk builds the request once, but
-- for BENCH_POOLS: then so many places are asked in turn.

wrk.method = os.getenv("BENCH_METHOD")

local size = tonumber(os.getenv("BENCH_UPLOAD"))
if size > 0 then
    wrk.body = string.rep("x", size)
    wrk.headers["Content-Type"] = "application/octet-stream"
end
for n = 1, tonumber(os.getenv("BENCH_HEADERS")) do
    wrk.headers[string.format("X-Request-%02d", n)] = string.format("value of request header %02d", n)
end
if os.getenv("BENCH_CLOSE") == "1" then
    wrk.headers["Connection"] = "close"
end

local pools = tonumber(os.getenv("BENCH_POOLS") or "0")
if pools > 0 then
    local requests, turn = {}, 0
    function init()
        for pool = 1, pools do
            requests[pool] = wrk.format(nil, string.format("/%d/hello", pool - 1))
        end
    end
    function request()
        turn = turn % pools + 1
        return requests[turn]
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\nBENCH {"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p99": %d, "max": %d, '
            .. '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
        summary.requests, summary.duration, summary.bytes,
        latency:percentile(50), latency:percentile(99), latency.max,
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
