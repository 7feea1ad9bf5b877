-- Ends a run of wrk with one line of JSON. What stands above it is written by `stack bench`: the method,
-- the fields and the body. There is no function for each request, so Lua is not run during the measurement.
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"bytes":%d,"micros":%d,"failed":%d,"status":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.bytes, summary.duration,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99)))
end
