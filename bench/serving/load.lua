-- For wrk: sends the bodies of a file in the order of an index, over and over, and prints what came of it as JSON.
-- Arguments: the file, the index ("offset length" on each line, one for each request), content type, route.

local requests, place = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   local bodies = file:read("*a")
   file:close()
   local headers = {["Content-Type"] = arguments[3], ["Accept"] = "application/json"}
   local made = {}
   for line in io.lines(arguments[2]) do
      if not made[line] then
         local offset, length = line:match("(%d+) (%d+)")
         local body = bodies:sub(offset + 1, offset + length)
         made[line] = wrk.format("POST", arguments[4], headers, body)
      end
      requests[#requests + 1] = made[line]
   end
end

function request()
   place = place % #requests + 1
   return requests[place]
end

function done(summary, latency)
   local errors = summary.errors
   print(string.format(
      '{"requests": %d, "microseconds": %d, "p50": %f, "p95": %f, "p99": %f, "refused": %d, "broken": %d}',
      summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(95), latency:percentile(99),
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
