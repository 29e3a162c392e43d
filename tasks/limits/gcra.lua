-- One token of a cluster-wide rate limit (GCRA), by Redis's own clock. One round trip.
-- KEYS[1]  theoretical arrival time of the next token, in microseconds since the epoch
-- KEYS[2]  present while the model is paused for the whole cluster; its TTL is the pause
-- ARGV[1]  emission interval in microseconds; 0 means no rate limit, only pauses
-- ARGV[2]  how far ahead, in microseconds, a token may be reserved
-- Returns {1, wait} for a token that may be used `wait` microseconds from now, or {0, wait} to ask again then.
local paused = redis.call('PTTL', KEYS[2])
if paused > 0 then return {0, paused * 1000} end
local interval = tonumber(ARGV[1])
if interval == 0 then return {1, 0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
if arrival < now then arrival = now end
local wait = arrival - now
if wait > tonumber(ARGV[2]) then return {0, wait - tonumber(ARGV[2])} end
redis.call('SET', KEYS[1], string.format('%.0f', arrival + interval), 'PX', math.ceil((wait + interval) / 1000) + 60000)
return {1, wait}
